import { DTYPES, type Dtype } from '#dist/tensor/index.js';
import type { ErrorCode } from '#dist/errors.js';
import type { DoorName, Target } from './door.js';
import { given, type Element, type Given } from './forms.js';
import { bytesForm, fileForm, imageForm, textForm, UNNAMED, type ImageGiven } from './media-forms.js';
import { partsForm, tableForm } from './table-forms.js';
import { jsonForm, tensorForm, tensorsForm } from './tensor-forms.js';

// What test/fixtures/conformance/kinds.ts is asked: values of every kind, whose answers are the same at every door, and values
// that every door refuses.

export interface AnswerCase {
  readonly title: string;
  readonly target: Target;
  readonly given: Given;
  /** Of a stream, or where it is another than what is given. */
  readonly wanted?: unknown;
}

export interface RefusalCase {
  readonly title: string;
  readonly row: ErrorCode;
  readonly message: RegExp;
  readonly target: Target;
  readonly given: Given;
  /** Default: all that lead there; others have no words for the mistake. */
  readonly doors?: readonly DoorName[];
}

const FLOAT_ENDS: Readonly<Partial<Record<Dtype, readonly number[]>>> = {
  float16: [1.5, -65504, 2 ** -24],
  bfloat16: [1.5, -(2 ** 127), 2 ** -133],
  float32: [1.5, -3.4028234663852886e38, 2 ** -149],
  float64: [1.5, -Number.MAX_VALUE, Number.MIN_VALUE],
};

function endsOf(dtype: Dtype): readonly Element[] {
  if (dtype === 'bool') return [true, false, true];
  if (dtype === 'string') return ['', 'Grüße', '日本語 🦄'];
  const [low = 0n, high = 0n] = DTYPES[dtype].range ?? [];
  const ends = [low, 1n, high];
  return FLOAT_ENDS[dtype] ?? (dtype.endsWith('64') ? ends : ends.map(Number));
}

function tensor(dtype: Dtype, elements: readonly Element[], options?: { readonly beyondJson?: boolean }): Given {
  return given(tensorForm(dtype), { shape: [1, elements.length], elements }, options);
}

function ofDtype(dtype: Dtype): readonly AnswerCase[] {
  const target = { api: dtype, model: `echo.${dtype}` };
  const cases: AnswerCase[] = [{ title: `tensor of ${dtype}`, target, given: tensor(dtype, endsOf(dtype)) }];
  if (DTYPES[dtype].isFloat) {
    const odd = tensor(dtype, [NaN, Infinity, -Infinity, -0], { beyondJson: true });
    cases.push({ title: `tensor of ${dtype}: NaN, infinities, -0`, target, given: odd });
  }
  return cases;
}

const MATRIX = given(tensorForm('float32'), { shape: [2, 4], elements: [1, 2, 3, 4, 5, 6, 7, 8] });
const pairForm = tensorsForm({ ids: 'int64', words: 'string' });
const IDS = { shape: [1, 2], elements: [1n, -(2n ** 63n)] };
const WORDS = { shape: [1], elements: ['ä'] };
const BLOB = Uint8Array.from({ length: 256 }, (_, i) => i);

/** A red and a blue pixel. */
const PIXELS: ImageGiven = {
  png: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAIAAAB7QOjdAAAADUlEQVR4nGP4zwAE/wEHAAH/4iOeWQAAAABJRU5ErkJggg==',
    'base64',
  ),
  shape: [1, 2, 3],
  pixels: Uint8Array.of(255, 0, 0, 0, 0, 255),
};

const peopleForm = tableForm({ name: 'string', member: 'bool', age: 'int32', id: 'int64', height: 'float64' });
const PEOPLE = {
  name: ['Ann', '007'],
  member: [true, false],
  age: [5, -6],
  id: [2n ** 63n - 1n, -(2n ** 63n)],
  height: [1.5, 0.1],
};

const FILE = { name: UNNAMED, mediaType: 'application/pdf', bytes: BLOB };
const PARTS = {
  named: given(jsonForm, { name: 'x' }),
  row: MATRIX,
  people: given(peopleForm, PEOPLE),
  words: given(textForm, 'Grüße'),
  blob: given(bytesForm, BLOB),
  document: given(fileForm, FILE),
  picture: given(imageForm, PIXELS),
};
const wholeForm = partsForm(Object.fromEntries(Object.entries(PARTS).map(([name, { form }]) => [name, form])));

function without(name: keyof typeof PARTS): Given {
  return given(wholeForm, Object.fromEntries(Object.entries(PARTS).filter(([one]) => one !== name)));
}

const JSON_VALUE = { a: [1, null, 'ä', true, { 'b c': 1e308 }], '': {} };
const COUNT: Target = { api: 'count', model: 'tokens.count' };
const number = (value: number): Given => given(jsonForm, value);

export const ANSWERS: readonly AnswerCase[] = [
  ...(Object.keys(DTYPES) as Dtype[]).flatMap(ofDtype),
  { title: 'several rows', target: { api: 'row', model: 'shapes.row' }, given: MATRIX },
  {
    title: 'several tensors',
    target: { api: 'pair', model: 'shapes.pair' },
    given: given(pairForm, { ids: IDS, words: WORDS }),
  },
  { title: 'JSON', target: { api: 'json', model: 'shapes.json' }, given: given(jsonForm, JSON_VALUE) },
  { title: 'JSON: null', target: { api: 'json', model: 'shapes.json' }, given: given(jsonForm, null) },
  { title: 'JSON with a schema', target: { api: 'named', model: 'shapes.named' }, given: PARTS.named },
  { title: 'text', target: { api: 'text' }, given: PARTS.words },
  { title: 'bytes', target: { api: 'bytes' }, given: PARTS.blob },
  { title: 'file', target: { api: 'file' }, given: PARTS.document },
  { title: 'image', target: { api: 'image' }, given: PARTS.picture },
  { title: 'table', target: { api: 'table' }, given: PARTS.people },
  { title: 'multipart', target: { api: 'form' }, given: given(wholeForm, PARTS) },
  { title: 'multipart without its optional part', target: { api: 'form' }, given: without('words') },
  { title: 'stream of JSON', target: { ...COUNT, isStream: true }, given: number(3), wanted: [1, 2, 3] },
  { title: 'stream of nothing', target: { ...COUNT, isStream: true }, given: number(0), wanted: [] },
  {
    title: 'stream of tensors',
    target: { api: 'rows', model: 'tokens.rows', isStream: true },
    given: MATRIX,
    wanted: [MATRIX.same, MATRIX.same],
  },
  {
    title: 'stream of texts',
    target: { api: 'words', isStream: true },
    given: given(textForm, 'ä b'),
    wanted: ['ä', 'b'],
  },
  {
    title: 'stream of bytes',
    target: { api: 'chunks', isStream: true },
    given: PARTS.blob,
    wanted: [PARTS.blob.same, PARTS.blob.same],
  },
];

/** Others carry pixels. */
const ENCODED: readonly DoorName[] = ['API JSON', 'API media', 'Bento Call'];
const ROW: Target = { api: 'row', model: 'shapes.row' };
const PAIR: Target = { api: 'pair', model: 'shapes.pair' };

export const REFUSALS: readonly RefusalCase[] = [
  {
    title: 'tensor of another width',
    row: 'INVALID_INPUT',
    message: /\[1, 3\]/,
    target: ROW,
    given: tensor('float32', [1, 2, 3]),
  },
  {
    title: 'tensor of texts for one of floats',
    row: 'INVALID_INPUT',
    message: /./,
    target: ROW,
    given: tensor('string', ['1', '2', '3', '4']),
  },
  {
    title: 'tensor of int64 for one of float32',
    row: 'INVALID_INPUT',
    message: /int64|INT64/,
    target: ROW,
    given: tensor('int64', [1n, 2n, 3n, 4n]),
    doors: ['API media', 'API value', 'OIP JSON', 'OIP binary', 'OIP typed', 'OIP raw'], // in JSON and in NDArray they are numbers
  },
  {
    title: 'NaN where it is not allowed',
    row: 'INVALID_INPUT',
    message: /NaN or infinity at element 1/,
    target: ROW,
    given: tensor('float32', [1, NaN, 3, 4], { beyondJson: true }),
  },
  {
    title: 'one of two tensors is missing',
    row: 'INVALID_INPUT',
    message: /words|1 are given; wanted 2/,
    target: PAIR,
    given: given(pairForm, { ids: IDS }),
  },
  {
    title: 'tensors with different numbers of rows',
    row: 'INVALID_INPUT',
    message: /2 rows/,
    target: PAIR,
    given: given(pairForm, { ids: IDS, words: { shape: [2], elements: ['a', 'b'] } }),
  },
  {
    title: 'JSON that does not fit its schema',
    row: 'INVALID_INPUT',
    message: /required property 'name'/,
    target: { api: 'named', model: 'shapes.named' },
    given: given(jsonForm, { nom: 'x' }),
  },
  {
    title: 'text that is too long',
    row: 'TOO_LARGE',
    message: /at most 3/,
    target: { api: 'short' },
    given: given(textForm, 'abcd'),
  },
  {
    title: 'image with too many pixels',
    row: 'TOO_LARGE',
    message: /pixels/,
    target: { api: 'small' },
    given: given(imageForm, {
      png: Buffer.from(
        'iVBORw0KGgoAAAANSUhEUgAAAAUAAAABCAIAAACZnPOkAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAC0lEQVQImWNgQAUAABAAASG2FtIAAAAASUVORK5CYII=',
        'base64',
      ),
      shape: [1, 5, 3],
      pixels: new Uint8Array(15),
    }),
  },
  {
    title: 'bytes that are no image',
    row: 'UNSUPPORTED_MEDIA',
    message: /wanted image\/png/,
    target: { api: 'image' },
    given: given(imageForm, { png: Buffer.from(BLOB), shape: [], pixels: BLOB }),
    doors: ENCODED,
  },
  {
    title: 'image that is cut off',
    row: 'INVALID_INPUT',
    message: /image/,
    target: { api: 'image' },
    given: given(imageForm, { ...PIXELS, png: PIXELS.png.subarray(0, 45) }),
    doors: ENCODED,
  },
  {
    title: 'file of another media type',
    row: 'UNSUPPORTED_MEDIA',
    message: /image\/png/,
    target: { api: 'pdf' },
    given: given(fileForm, { ...FILE, mediaType: 'image/png' }),
  },
  {
    title: 'table that lacks a column',
    row: 'INVALID_INPUT',
    message: /id/,
    target: { api: 'table' },
    given: given(peopleForm, { name: ['Ann'], member: [true], age: [5], height: [1.5] }),
  },
  {
    title: 'multipart that lacks a part',
    row: 'INVALID_INPUT',
    message: /document/,
    target: { api: 'form' },
    given: without('document'),
  },
  {
    title: 'multipart with a part that is unknown',
    row: 'INVALID_INPUT',
    message: /other/,
    target: { api: 'form' },
    given: given(wholeForm, { ...PARTS, other: PARTS.words }),
  },
  {
    title: 'what streams, asked for one answer',
    row: 'INVALID_INPUT',
    message: /stream of/,
    target: COUNT,
    given: number(3),
    doors: ['OIP JSON', 'OIP binary', 'Bento Call', 'OIP typed', 'OIP raw'],
  },
];

/** Of streams: refused before the first answer, or after some. */
export interface StreamFailure {
  readonly title: string;
  readonly row: ErrorCode;
  readonly target: Target;
  readonly given: Given;
  /** What came before. */
  readonly before: readonly unknown[];
}

const TRICKLE: Target = { api: 'trickle', model: 'tokens.trickle', isStream: true };
export const STALL: Target = { api: 'stall', model: 'tokens.stall', isStream: true };

export const STREAM_FAILURES: readonly StreamFailure[] = [
  {
    title: 'stream: input that does not fit',
    row: 'INVALID_INPUT',
    target: { ...COUNT, isStream: true },
    given: number(-1),
    before: [],
  },
  { title: 'stream: fails before its first value', row: 'USER_CODE', target: TRICKLE, given: number(0), before: [] },
  { title: 'stream: fails after two values', row: 'USER_CODE', target: TRICKLE, given: number(2), before: [1, 2] },
];

/** At a server with a short streamFirstTimeout and streamIdleTimeout. */
export const LATE_STREAMS: readonly StreamFailure[] = [
  {
    title: 'stream: first value beyond streamFirstTimeout',
    row: 'DEADLINE_EXCEEDED',
    target: STALL,
    given: number(0),
    before: [],
  },
  {
    title: 'stream: next value beyond streamIdleTimeout',
    row: 'DEADLINE_EXCEEDED',
    target: STALL,
    given: number(1),
    before: [1],
  },
];
