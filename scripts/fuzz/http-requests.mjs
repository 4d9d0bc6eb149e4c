// Requests for each operation of an OpenAPI document, in each of its content types: sound ones, and ones with something wrong.
// R1 A sound request is answered 200, whatever is odd about it that HTTP allows.
import { bytesOf } from '../../dist/tensor/index.js';
import { BINARY_TYPE, FORM_TYPE, JSON_TYPE, NO_REQUEST, VALUE_TYPE, writeForm } from './http-bodies.mjs';
import { decorate } from './http-decorate.mjs';
import { inferenceBody } from './http-inference.mjs';
import { spoil } from './http-spoil.mjs';
import { jsonText } from './json-values.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { formOf, jsonOf, mediaBytes, schemaOf, tensorOf, typeFor, valueBytes } from './spec-values.mjs';

const INFER = /\/infer$/;
const UNLOAD = /\/unload$/;

/** Operations whose answers do not end by themselves: the cases about readers have them. */
const ENDLESS = new Set(['/flood', '/quiet']);
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
  /** Models come and go: a sound request may find none. */
  #unloads;

  /** @param models - name → metadata of the Open Inference Protocol. */
  constructor(document, models, maxBodyBytes) {
    this.#unloads = Object.keys(document.paths).some((path) => UNLOAD.test(path));
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
      isSound: !this.#unloads,
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
