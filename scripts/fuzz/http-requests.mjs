// Requests for each operation of an OpenAPI document, in each of its content types: sound ones, and ones with something wrong.
// R1 A sound request is answered 200, whatever is odd about it that HTTP allows.
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { inferenceBody } from './http-inference.mjs';
import { brokenJson, jsonText, mutateJson } from './json-values.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { DTYPES, formOf, jsonOf, mediaBytes, schemaOf, tensorOf, typeFor, valueBytes } from './spec-values.mjs';
import { bytesOf } from '../../dist/tensor/index.js';

export const JSON_TYPE = 'application/json';
const VALUE_TYPE = 'application/vnd.jubako.value';
const BINARY_TYPE = 'application/octet-stream';
const FORM_TYPE = 'multipart/form-data';
const INFER = /\/infer$/;

/** Operations whose answers do not end by themselves: the cases about readers have them. */
const ENDLESS = new Set(['/flood', '/quiet']);
/** What an operation need not document: the request is none, or is too large a head. */
const NO_REQUEST = [400, 413];

/** Every operation in every content type of its requests. */
export function targetsOf(document) {
  const targets = [];
  for (const [path, item] of Object.entries(document.paths)) {
    if (ENDLESS.has(path)) continue;
    for (const method of ['get', 'post']) {
      const operation = item[method];
      if (operation === undefined) continue;
      const types = Object.keys(operation.requestBody?.content ?? { '': 1 });
      const parameters = item.parameters ?? [];
      for (const type of types) targets.push({ path, method: method.toUpperCase(), operation, parameters, type });
    }
  }
  return targets;
}

export class RequestMaker {
  #document;
  #models;
  #maxBodyBytes;

  /** @param models - name → metadata of the Open Inference Protocol. */
  constructor(document, models, maxBodyBytes) {
    this.#document = document;
    this.#models = models;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** @param id - of the request. */
  async make(random, target, id) {
    const draft = {
      target,
      id,
      method: target.method,
      version: '1.1',
      url: urlOf(random, target),
      headers: [],
      body: undefined,
      json: undefined,
      isChunked: false,
      isSound: true,
      /** Ends our half: the server would wait for more. */
      ends: false,
      /** Any number of answers may come. */
      isGarbled: false,
      statuses: new Set(Object.keys(target.operation.responses).map(Number)),
      notes: [],
    };
    await this.#fill(random, draft);
    if (random.chance(0.7)) spoil(random, draft, this.#maxBodyBytes);
    if (random.chance(0.6)) decorate(random, draft);
    return finish(random, draft);
  }

  async #fill(random, draft) {
    const { target } = draft;
    const { type } = target;
    if (type === '') return;
    if (INFER.test(target.path)) {
      draft.isInference = true;
      const made = inferenceBody(random, this.#models, draft.url, type);
      Object.assign(draft, { body: made.body, json: made.json });
      draft.headers.push(['Content-Type', type], ...made.headers);
      return;
    }
    const spec = target.operation['x-jubako']?.input;
    const schema = target.operation.requestBody.content[JSON_TYPE]?.schema;
    if (spec === undefined) draft.json = { ready: random.chance(0.5) };
    else if (type === JSON_TYPE) draft.json = jsonOf(random, spec, schema, this.#document);
    if (draft.json !== undefined) {
      draft.body = Buffer.from(jsonText(random, draft.json));
      draft.headers.push(['Content-Type', random.pick([JSON_TYPE, JSON_TYPE, 'Application/JSON; charset=UTF-8'])]);
    } else if (type === VALUE_TYPE) {
      draft.body = valueBytes(random, spec, schema, this.#document);
      draft.headers.push(['Content-Type', type]);
    } else if (type === FORM_TYPE) await this.#fillForm(random, draft, spec, schema);
    else if (spec.kind === 'tensor') fillTensor(random, draft, spec);
    else {
      const concrete = type === '*/*' ? typeFor(random, { mediaTypes: [] }) : type.replace('*', 'x-any');
      draft.body = await mediaBytes(random, spec, concrete);
      draft.headers.push(['Content-Type', concrete]);
    }
  }

  async #fillForm(random, draft, spec, schema) {
    const fields = spec.kind === 'tensors' ? { fields: spec.fields, optional: [] } : spec;
    const parts = [];
    const form = formOf(random, fields, (name, field) => [name, field]);
    // Rows of several tensors agree where they are made together.
    const together = spec.kind === 'tensors' ? jsonOf(random, spec, schema, this.#document) : undefined;
    for (const [name, field] of Object.values(form)) {
      const made = await this.#part(random, name, field, schemaOf(schema, this.#document, name), together?.[name]);
      parts.push({ name, ...made });
    }
    draft.parts = parts;
    const boundary = random.pick([
      'x',
      'a'.repeat(70),
      '----WebKitFormBoundary7MA4YWxkTrZu0gW',
      "gc0p4Jq0M2Yt08j34c0p'",
    ]);
    draft.boundary = boundary;
    draft.body = writeForm(parts, boundary);
    const shown = /^[\w-]+$/.test(boundary) ? boundary : `"${boundary}"`;
    draft.headers.push(['Content-Type', `${FORM_TYPE}; boundary=${shown}`]);
  }

  async #part(random, name, field, schema, value) {
    const isMedia = ['text', 'bytes', 'file', 'image'].includes(field.kind);
    if (!isMedia || value !== undefined) {
      const json = value ?? jsonOf(random, field, schema, this.#document);
      return { type: random.pick([JSON_TYPE, undefined]), bytes: Buffer.from(JSON.stringify(json)) };
    }
    const type = partType(random, field);
    const fileName = field.kind === 'text' ? undefined : random.pick(['a.bin', 'é.png', 'two words.txt']);
    return { type, fileName, bytes: await mediaBytes(random, field, type) };
  }
}

function partType(random, field) {
  switch (field.kind) {
    case 'text':
      return 'text/plain';
    case 'image':
      return 'image/png';
    default:
      return typeFor(random, { mediaTypes: field.mediaTypes ?? [] });
  }
}

export function writeForm(parts, boundary) {
  const pieces = [];
  for (const { name, type, fileName, bytes } of parts) {
    const file = fileName === undefined ? '' : `; filename="${fileName}"`;
    const head = [`--${boundary}`, `Content-Disposition: form-data; name="${name}"${file}`];
    if (type !== undefined) head.push(`Content-Type: ${type}`);
    pieces.push(Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

function fillTensor(random, draft, spec) {
  const tensor = tensorOf(random, spec);
  draft.body = Buffer.from(bytesOf(tensor));
  draft.headers.push(['Content-Type', BINARY_TYPE], ['Tensor-Shape', tensor.shape.join()]);
  if (random.chance(0.5)) draft.headers.push(['Tensor-Dtype', spec.dtype]);
}

function urlOf(random, { path, parameters }) {
  return path.replace(/\{(\w+)\}/g, (_, name) => {
    const { schema } = parameters.find((parameter) => parameter.name === name);
    return encodeURIComponent(random.pick(schema.enum));
  });
}

// What is wrong.

function spoil(random, draft, maxBodyBytes) {
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

const BOMB_BYTES = 64 * 1024 * 1024;
export const BOMB = gzipSync(Buffer.alloc(BOMB_BYTES, ' '));
export const DEFLATE_BOMB = deflateRawSync(Buffer.alloc(BOMB_BYTES, '['));
export const BROTLI_BOMB = brotliCompressSync(Buffer.alloc(BOMB_BYTES, '1'));

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

// What is odd, and allowed.

const ACCEPTS = [
  ...['*/*', JSON_TYPE, VALUE_TYPE, BINARY_TYPE, FORM_TYPE, 'text/csv', 'image/*', 'image/webp', 'text/event-stream'],
  ...['application/x-ndjson', 'application/vnd.jubako.values', 'application/vnd.apache.arrow.stream', 'text/plain'],
  ...['', ',', ';q=1', 'a', 'text/html, */*;q=0.1', '*/*;q=0', 'image/png;q=0, image/*', `${'a/b,'.repeat(500)}*/*`],
  ...[
    'application/json;q=abc',
    'application/json;q=1.0000',
    '*/json',
    'application/*;q=0.5, text/*;q=0.7',
    '"',
    '\xff',
  ],
];
const CODINGS = [
  'gzip',
  'br',
  'deflate',
  'identity',
  '*',
  'gzip;q=0',
  '*;q=0',
  'identity;q=0',
  '',
  ',,',
  'zstd, br;q=0.1',
  'x',
];
const QUERIES = ['', 'a=b', 'a&a&a', '%zz', '%', '=', '__proto__=1', 'a[b]=c', 'x'.repeat(4000), '?', '/../', '%00'];
const ODD_HEADERS = [
  ...[
    ['Cookie', 'a=b; c'],
    ['Range', 'bytes=0-1'],
    ['If-None-Match', '*'],
    ['If-Modified-Since', 'yesterday'],
  ],
  ...[
    ['X-Forwarded-For', '1.2.3.4, ::1'],
    ['X-Forwarded-For', 'x'.repeat(500)],
    ['Forwarded', 'for=_x'],
    ['Origin', 'null'],
  ],
  ...[
    ['TE', 'trailers'],
    ['Via', '1.0 x'],
    ['Authorization', 'Bearer \xff'],
    ['X-HTTP-Method-Override', 'DELETE'],
  ],
  ...[
    ['Expect', 'something'],
    ['Upgrade', 'h2c'],
    ['Keep-Alive', 'timeout=x'],
    ['Content-Language', 'x'],
    ['', undefined],
  ],
  ...[
    ['Connection', 'keep-alive'],
    ['Connection', 'X-Odd, TE'],
    ['Proxy-Connection', 'close'],
    ['Traceparent', '00-x'],
  ],
  ...[
    ['Content-Disposition', 'attachment; filename="x.bin"'],
    ['Content-MD5', 'x'],
    ['Digest', 'x'],
    ['Priority', 'u=9'],
  ],
  ...[
    ['Access-Control-Request-Method', 'POST'],
    ['Sec-WebSocket-Key', 'x'],
    ['Date', '0'],
    ['X-Empty', ''],
  ],
];

function decorate(random, draft) {
  const { headers } = draft;
  for (const add of random.some(DECORATIONS, 0.25)) add(random, draft);
  draft.headers = headers;
}

const DECORATIONS = [
  (random, draft) => draft.headers.push(['Accept', random.pick(ACCEPTS)]),
  (random, draft) => draft.headers.push(['Accept-Encoding', random.pick(CODINGS)]),
  (random, draft) => {
    if (!draft.notes.includes('another path')) draft.url += `?${random.pick(QUERIES)}`;
  },
  (random, draft) => {
    for (const [name, value] of random.some(ODD_HEADERS, 0.1)) if (name !== '') draft.headers.push([name, value]);
  },
  (random, draft) => {
    for (let at = random.below(60); at > 0; at -= 1) draft.headers.push([`X-${at}`, random.text(20, 'abc ,;="\xe9')]);
  },
  (_random, draft) => {
    draft.isChunked = draft.body !== undefined;
  },
  (_random, draft) => {
    if (!draft.isSound || draft.body === undefined) return;
    draft.headers.push(['Expect', '100-continue']);
  },
  (random, draft) => {
    const isFree = draft.body !== undefined && !draft.headers.some(([name]) => name === 'Content-Encoding');
    if (!isFree) return;
    const [name, code] = random.pick([
      ['gzip', gzipSync],
      ['x-gzip', gzipSync],
      ['GZIP', gzipSync],
      ['deflate', deflateSync],
      ['deflate', deflateRawSync],
      ['br', brotliCompressSync],
      ['identity', (bytes) => bytes],
    ]);
    draft.body = code(draft.body);
    draft.headers.push(['Content-Encoding', name]);
  },
  (random, draft) => {
    if (random.chance(0.3)) draft.headers.push(['Connection', 'close']);
  },
  (random, draft) => {
    if (random.chance(0.3) && !draft.isChunked) draft.version = '1.0';
  },
  (random, draft) => {
    draft.badId = random.pick(['', 'two words', 'x'.repeat(129), '\xe9', '{}', 'a,b']);
  },
];

// The bytes.

function finish(random, draft) {
  const { method, url, version, headers, body, id } = draft;
  const lines = [`${method} ${url} HTTP/${version}`, 'Host: test', `x-request-id: ${draft.badId ?? id}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (draft.isChunked && version === '1.0') draft.isChunked = false;
  if (body !== undefined) lines.push(draft.isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`);
  let head = Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
  let rest = body === undefined ? Buffer.alloc(0) : draft.isChunked ? chunked(random, body) : body;
  if (draft.cutBytes !== undefined) {
    rest = rest.subarray(0, Math.max(0, rest.length - draft.cutBytes));
    for (const status of NO_REQUEST) draft.statuses.add(status);
  }
  if (draft.isGarbled) {
    draft.ends = true;
    if (draft.notes.includes('garbled head')) {
      if (random.chance(0.8)) head = mutateBytes(random, head, 2);
      else rest = mutateBytes(random, rest, 3);
    }
  }
  // Whether it will be kept then is not always the same; nobody may count on it.
  const asksClose =
    version === '1.0' || headers.some(([name, value]) => /^(?:Proxy-)?Connection$/.test(name) && value === 'close');
  return {
    ...draft,
    head,
    rest,
    asksClose,
    text: `${draft.method} ${draft.url.slice(0, 80)} (${draft.target.type}) ${draft.notes.join(', ')}`,
  };
}

const EXTENSIONS = ['', '', '', ';a', ';a=b', ';a="b"', '   '];

function chunked(random, body) {
  const pieces = [];
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, random.pick([1, 7, 100, 4096, 65536]));
    const hex = random.pick([size.toString(16), size.toString(16).toUpperCase(), `00${size.toString(16)}`]);
    pieces.push(
      Buffer.from(`${hex}${random.pick(EXTENSIONS.slice(0, 6))}\r\n`),
      body.subarray(at, at + size),
      Buffer.from('\r\n'),
    );
    at += size;
  }
  const trailers = random.chance(0.2) ? 'X-Trailer: a\r\nContent-Type: x\r\n' : '';
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${trailers}\r\n`)]);
}
