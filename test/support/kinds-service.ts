import {
  bytes,
  defineService,
  file,
  image,
  json,
  multipart,
  stream,
  table,
  tensor,
  tensors,
  text,
  type ServiceDefinition,
} from '#dist/service/index.js';

// An API of every kind that there is: each gives back what it takes, or tells it piece by piece.

export const COLUMNS = {
  name: 'string',
  member: 'bool',
  age: 'int32',
  id: 'int64',
  height: 'float32',
  weight: 'float64',
} as const;

const TREE = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    children: { type: 'array', items: { $ref: '#' } },
    color: { $ref: '#/$defs/color' },
  },
  additionalProperties: false,
  $defs: { color: { enum: ['red', 'blue'] } },
};

const anything = json();
const tree = json<{ readonly name: string }>(TREE);
const numbers = tensor('float32', [-1, 2]);
const pair = tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) });
const people = table({ columns: COLUMNS });
const form = multipart(
  { tree, numbers, people, words: text(), blob: bytes(), document: file(), picture: image(), note: text(), ids: pair },
  { optional: ['note'] },
);
const plainForm = multipart({ tree, numbers, words: text(), note: text() }, { optional: ['note'] });

function echo<T>(input: T): T {
  return input;
}

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  for (const value of values) yield await Promise.resolve(value);
}

export const service: ServiceDefinition = defineService({
  name: 'kinds',
  version: '2',
  apis: {
    anything: {
      input: anything,
      output: anything,
      handler: echo,
      doc: 'Gives back any JSON.',
      example: { a: [1, null] },
    },
    tree: { input: tree, output: tree, handler: echo, route: '/v1/tree' },
    numbers: { input: numbers, output: numbers, handler: echo },
    longs: { input: tensor('int64', [-1]), output: tensor('int64', [-1]), handler: echo },
    labels: { input: tensor('string', [-1]), output: tensor('string', [-1]), handler: echo },
    pair: { input: pair, output: pair, handler: echo },
    words: { input: text(), output: text(), handler: echo },
    page: { input: text({ maxLength: 3 }), output: text({ mediaType: 'text/html' }), handler: echo },
    blob: { input: bytes(), output: bytes(), handler: echo },
    document: { input: file(), output: file(), handler: echo },
    report: {
      input: file({ mediaTypes: ['application/pdf'] }),
      output: file({ mediaTypes: ['application/pdf'] }),
      handler: echo,
    },
    sound: { input: file({ mediaTypes: ['audio/wav', 'audio/*'] }), output: file(), handler: echo },
    picture: { input: image(), output: image(), handler: echo },
    scan: {
      input: image({ channels: 1, mediaTypes: ['image/jpeg', 'image/tiff'] }),
      output: image({ channels: 1, mediaType: 'image/jpeg' }),
      handler: echo,
    },
    sprite: { input: image({ channels: 4 }), output: image({ channels: 4, mediaType: 'image/webp' }), handler: echo },
    people: { input: people, output: people, handler: echo },
    ages: {
      input: table({ columns: { age: 'int64' } }),
      output: table({ columns: { age: 'int64' } }),
      handler: echo,
    },
    open: { input: table(), output: table(), handler: echo },
    form: { input: form, output: form, handler: echo },
    sizes: {
      input: form,
      output: json(),
      handler: ({ blob, document, picture, people, note }) => ({
        blob: blob.byteLength,
        document: { ...document, bytes: document.bytes.byteLength },
        picture: picture.shape,
        people: people.rows,
        note: note ?? null,
      }),
    },
    plain: { input: plainForm, output: plainForm, handler: echo },
    tokens: { input: text(), output: stream(text()), handler: (words: string) => each(words.split(' ')) },
    events: {
      input: json<readonly unknown[]>({ type: 'array', maxItems: 4 }),
      output: stream(anything),
      handler: (list: readonly unknown[]) => each(list),
    },
    chunks: { input: bytes(), output: stream(bytes()), handler: (blob: Uint8Array) => each([blob, blob]) },
    rows: { input: numbers, output: stream(numbers), handler: (rows) => each([rows, rows]) },
  },
});
