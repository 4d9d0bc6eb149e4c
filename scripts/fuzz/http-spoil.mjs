// What can be wrong with a request: its body, what it is said to be, its path, its head.
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import {
  BINARY_TYPE,
  BOMB,
  BROTLI_BOMB,
  DEFLATE_BOMB,
  FORM_TYPE,
  JSON_TYPE,
  NO_REQUEST,
  VALUE_TYPE,
  writeForm,
} from './http-bodies.mjs';
import { brokenJson, mutateJson } from './json-values.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { DTYPES } from './spec-values.mjs';

/** Makes one or two things wrong with a request. */
export function spoil(random, draft, maxBodyBytes) {
  const hasBody = draft.body !== undefined;
  const ways = [
    [1, spoilMethod],
    [1, spoilPath],
    [1, garble],
    ...(hasBody
      ? [
          [draft.json === undefined ? 0 : 8, spoilJson],
          [draft.json === undefined ? 0 : 3, breakJson],
          [draft.parts === undefined ? 0 : 8, spoilForm],
          [draft.json === undefined ? 8 : 3, spoilBytes],
          [2, spoilType],
          [1.5, spoilCoding],
          [draft.isInference === true ? 4 : 0.5, spoilInferenceLength],
          [1.5, spoilTensorHeaders],
          [1, truncate],
          [0.5, empty],
          [0.3, (_random, each) => tooLarge(each, maxBodyBytes)],
        ]
      : [[2, giveBody]]),
  ];
  const times = random.chance(0.25) ? 2 : 1;
  for (let left = times; left > 0; left -= 1) {
    random.weighted(ways)(random, draft);
    if (draft.isGarbled) break;
  }
  draft.isSound = false;
}

function spoilJson(random, draft) {
  draft.json = mutateJson(random, draft.json);
  draft.body = replaceJson(draft, Buffer.from(JSON.stringify(draft.json) ?? 'null'));
  draft.notes.push('another JSON');
}

function breakJson(random, draft) {
  draft.body = replaceJson(draft, Buffer.from(brokenJson(random, JSON.stringify(draft.json) ?? '')));
  draft.notes.push('broken JSON');
}

/** Of a body that is JSON and raw elements, the JSON alone. */
function replaceJson(draft, text) {
  const header = draft.headers.find(([name]) => name === 'Inference-Header-Content-Length');
  if (header === undefined) return text;
  const rest = draft.body.subarray(Number(header[1]));
  header[1] = String(text.length);
  return Buffer.concat([text, rest]);
}

function spoilBytes(random, draft) {
  draft.body = mutateBytes(random, draft.body);
  draft.notes.push('other bytes');
}

function spoilForm(random, draft) {
  const parts = draft.parts.map((part) => ({ ...part }));
  const part = random.pick(parts);
  random.weighted([
    [2, () => (part.bytes = mutateBytes(random, part.bytes))],
    [1, () => (part.name = random.pick(['', 'other', '__proto__', 'constructor', `${part.name}"`, 'x'.repeat(9000)]))],
    [
      1,
      () => (part.type = random.pick(['text/plain', JSON_TYPE, 'image/png', ';;', FORM_TYPE, 'a/b; charset=utf-16'])),
    ],
    [1, () => (part.fileName = random.pick(['', '../x', 'a"b', 'a\\', '\u0000', 'x'.repeat(300), 'é😀']))],
    [1, () => parts.push({ ...part })],
    [1, () => parts.splice(parts.indexOf(part), 1)],
    [1, () => (part.bytes = writeForm(draft.parts, draft.boundary))],
    [1, () => parts.push(...Array.from({ length: 500 }, (_, at) => ({ ...part, name: `${part.name}${at}` })))],
  ])();
  draft.body = writeForm(parts, draft.boundary);
  if (random.chance(0.2)) draft.body = mutateBytes(random, draft.body);
  draft.notes.push('another form');
}

const TYPES = [
  ...[JSON_TYPE, VALUE_TYPE, BINARY_TYPE, FORM_TYPE, 'text/plain', 'text/csv', 'image/png', 'application/pdf', '*/*'],
  ...['application/vnd.apache.arrow.stream', 'application/vnd.apache.arrow.file', 'application/json; charset=latin1'],
  ...[
    'text/plain; charset=utf-16',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary=x',
    'multipart/mixed',
  ],
  ...[
    '',
    ' ',
    ';',
    'a',
    'a/',
    '/b',
    'constructor',
    'a/b; c',
    'a/b; c="',
    `a/b; c=${'d'.repeat(3000)}`,
    'a/b, c/d',
    '\xff/\xfe',
  ],
  ...['application/x-www-form-urlencoded', 'application/json;charset="utf-8"', 'application/x-ndjson', 'text/html'],
];

function spoilType(random, draft) {
  const others = draft.headers.filter(([name]) => name !== 'Content-Type');
  const own = draft.headers.filter(([name]) => name === 'Content-Type');
  const given = ['Content-Type', random.pick(TYPES)];
  draft.headers = random.weighted([
    [4, [given, ...others]],
    [1, others],
    [1, [...own, given, ...others]],
    [1, [given, ...own, ...others]],
  ]);
  draft.statuses.add(415);
  draft.notes.push('another content type');
}

function spoilCoding(random, draft) {
  const { body } = draft;
  const [name, bytes] = random.pick([
    ['gzip', () => body],
    ['gzip', () => Buffer.alloc(0)],
    ['gzip', () => gzipSync(body).subarray(0, -random.between(1, 9))],
    ['gzip', () => Buffer.concat([gzipSync(body), gzipSync(body)])],
    ['gzip', () => Buffer.concat([gzipSync(body), random.bytes(20)])],
    ['gzip', () => gzipSync(gzipSync(body))],
    ['gzip', () => mutateBytes(random, gzipSync(body))],
    ['gzip', () => BOMB],
    ['gzip', () => gzipSync(BOMB)],
    ['deflate', () => body],
    ['deflate', () => mutateBytes(random, deflateSync(body))],
    ['deflate', () => DEFLATE_BOMB],
    ['br', () => body],
    ['br', () => mutateBytes(random, brotliCompressSync(body))],
    ['br', () => BROTLI_BOMB],
    ['zstd', () => body],
    ['gzip, gzip', () => gzipSync(gzipSync(body))],
    ['identity, gzip', () => gzipSync(body)],
    ['constructor', () => body],
    [',', () => body],
    ['gzip\t', () => gzipSync(body)],
  ]);
  draft.body = bytes();
  draft.headers.push(['Content-Encoding', name]);
  draft.notes.push(`coding ${name}`);
}

const NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '16',
  '17',
  '-1',
  '+1',
  '1.5',
  '1e3',
  '0x10',
  '',
  ' ',
  'x',
  '9'.repeat(15),
  '9'.repeat(40),
  '1, 1',
];

function spoilInferenceLength(random, draft) {
  const others = draft.headers.filter(([name]) => name !== 'Inference-Header-Content-Length');
  const value = random.chance(0.4) ? String(random.below((draft.body?.length ?? 0) + 3)) : random.pick(NUMBERS);
  draft.headers = [...others, ['Inference-Header-Content-Length', value]];
  if (random.chance(0.1)) draft.headers.push(['Inference-Header-Content-Length', random.pick(NUMBERS)]);
  draft.notes.push(`JSON length ${value}`);
}

const SHAPES = [
  '',
  '-1',
  '-1,-1',
  '0',
  '0,0',
  '-2,3',
  '1',
  '2,2',
  '4294967296,4294967296',
  '1,'.repeat(300),
  ',',
  '1;2',
  'NaN',
  '1,2,',
];

function spoilTensorHeaders(random, draft) {
  draft.headers = draft.headers.filter(([name]) => !name.startsWith('Tensor-') || random.chance(0.5));
  if (random.chance(0.7)) draft.headers.push(['Tensor-Shape', random.pick(SHAPES)]);
  if (random.chance(0.5))
    draft.headers.push(['Tensor-Dtype', random.pick([...Object.keys(DTYPES), 'float', '', 'constructor'])]);
  draft.notes.push('other tensor headers');
}

function truncate(random, draft) {
  draft.cutBytes = random.between(1, Math.max(1, draft.body.length));
  draft.ends = true;
  draft.notes.push('cut');
}

function empty(_random, draft) {
  draft.body = Buffer.alloc(0);
  draft.notes.push('empty');
}

function tooLarge(draft, maxBodyBytes) {
  draft.body = Buffer.concat([
    draft.body,
    Buffer.alloc(maxBodyBytes + 1 - Math.min(draft.body.length, maxBodyBytes), ' '),
  ]);
  draft.notes.push('too large');
}

function giveBody(random, draft) {
  draft.body = random.pick([Buffer.from('{}'), random.bytes(100), Buffer.alloc(100_000)]);
  draft.notes.push('a body that nobody wants');
}

const METHODS = [
  'GET',
  'HEAD',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
  'PURGE',
  'M-SEARCH',
  'POST',
];

function spoilMethod(random, draft) {
  draft.method = random.pick([...METHODS, 'get', 'JUMP', 'P\0ST', '']);
  for (const status of [405, ...NO_REQUEST]) draft.statuses.add(status);
  draft.isGarbled = /[^A-Z-]/.test(draft.method) || draft.method === '' || draft.method === 'JUMP';
  draft.notes.push(`method ${draft.method}`);
}

function spoilPath(random, draft) {
  const { url } = draft;
  draft.url = random.pick([
    `${url}/`,
    `/${url}`,
    url.slice(0, -1),
    `${url}x`,
    url.toUpperCase(),
    url.replace(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    `${url}%00`,
    `${url}%zz`,
    `${url}%ff%fe`,
    `${url}/../${url}`,
    `${url};a=b`,
    `${url}#x`,
    `http://test${url}`,
    `http://other:99999${url}`,
    'http://',
    '*',
    `${url}${'/a'.repeat(2000)}`,
    `/${'%41'.repeat(2000)}`,
    `${url}\\..\\x`,
    '/__proto__',
    '/v2/models/__proto__/infer',
    `/v2/models/${'x'.repeat(5000)}/versions/1/infer`,
    '/v2/models//infer',
    '/v2/models/%2e%2e/infer',
    '/v2/models/echo.bool/versions/%00/infer',
  ]);
  for (const status of [404, 405, 415, ...NO_REQUEST]) draft.statuses.add(status);
  draft.notes.push('another path');
}

/** Changes bytes of the head, or of the framing. */
function garble(_random, draft) {
  draft.isGarbled = true;
  if (draft.method === 'HEAD') draft.method = 'GET'; // a refusal of what is no request has a body
  draft.notes.push('garbled head');
}
