// What an answer must be, whatever was asked.
// O1 Its status is documented for the operation; a sound request is answered 200, unless others fill the queue.
// O2 A client's fault is never a 5xx.
// O3 A body of a 200 is what the document says of its content type. O4 An error has the form of the catalogue, with the id.
// O5 The connection closes where the answer says so, and is of use otherwise.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { tableFromIPC } from 'apache-arrow';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import sharp from 'sharp';
import { ERROR_KINDS } from '../../dist/errors.js';
import { decodeValue } from '../../dist/tensor/index.js';

const GOOD_ID = /^[\x21-\x7e]{1,128}$/;
const DOCUMENT = 'http://document/';
const DECODERS = { gzip: gunzipSync, br: brotliDecompressSync, deflate: inflateSync };
/** Kinds of the frames of application/vnd.jubako.values. */
const [ITEM, END, FAILURE] = [0, 1, 2];
/** What another client may have caused: it filled a queue, or unloaded a model. */
const TEMPORARY = new Set(['QUEUE_FULL', 'NOT_READY']);

export class Oracle {
  #document;
  #ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false, logger: false });
  #compiled = new Map();

  constructor(document) {
    this.#document = document;
    this.#ajv.addSchema(document, DOCUMENT);
  }

  /** @returns what is wrong: texts. */
  async check(request, answer) {
    const faults = [];
    const { status, headers } = answer;
    const id = headers.get('x-request-id');
    if (id === undefined || !GOOD_ID.test(id)) faults.push(`the request id is ${id}`);
    else if (!isIdLost(request, status) && id !== request.id) faults.push(`the request id is ${id}`);
    const isByOthers = status === 503 && TEMPORARY.has(codeOf(answer));
    if (status >= 500 && !isByOthers)
      faults.push(`status ${status} for what the client did`); // O2
    else if (request.isSound && status !== 200 && !isByOthers) faults.push(`status ${status} for a sound request`);
    else if (!request.isGarbled && !request.statuses.has(status)) faults.push(`status ${status} is not documented`);
    if (request.method === 'HEAD') return faults;
    const body = this.#decoded(answer, faults);
    if (body === undefined) return faults;
    if (status !== 200) this.#checkError(request, answer, body, faults);
    else if (!request.isGarbled) await this.#checkBody(request, answer, body, faults);
    return faults;
  }

  /** @param answer - to what was no request that can be known. */
  checkError(answer) {
    const faults = [];
    this.#checkError({ isGarbled: true, notes: [] }, answer, answer.body, faults);
    return faults;
  }

  #decoded({ headers, body }, faults) {
    const coding = headers.get('content-encoding');
    if (coding === undefined) return body;
    try {
      return DECODERS[coding](body);
    } catch (thrown) {
      faults.push(`the answer is not in the coding ${coding}: ${thrown.message}`);
      return undefined;
    }
  }

  /** O4 */
  #checkError(request, { status, headers }, body, faults) {
    const type = headers.get('content-type');
    if (type?.startsWith('application/json') !== true) return void faults.push(`an error comes as ${type}`);
    const json = parse(body);
    const isInference = headers.get('x-error-code') !== undefined;
    const code = isInference ? headers.get('x-error-code') : json?.error?.code;
    const text = isInference ? json?.error : json?.error?.message;
    if (typeof text !== 'string' || text === '')
      faults.push(`an error without a message: ${body.toString().slice(0, 200)}`);
    if (ERROR_KINDS[code]?.http !== status) faults.push(`the code ${code} comes with status ${status}`);
    if (!isInference && json?.error?.requestId !== headers.get('x-request-id')) faults.push('an error without its id');
    const { target } = request;
    const response = target?.operation.responses[status];
    if (response !== undefined && !request.isGarbled && !request.notes.includes('another path')) {
      const wrong = this.#validate(
        this.#resolve(response).content[Object.keys(this.#resolve(response).content)[0]],
        json,
      );
      if (wrong !== undefined) faults.push(`an error that is not as documented: ${wrong}`);
    }
  }

  /** O3 */
  async #checkBody(request, answer, body, faults) {
    if (request.notes.includes('another path') || request.method !== request.target.method) return;
    const given = answer.headers.get('content-type') ?? '';
    const type = given.split(';')[0].trim().toLowerCase();
    const content = this.#resolve(request.target.operation.responses[200]).content ?? {};
    const exact = content[type];
    const documented = exact ?? Object.entries(content).find(([pattern]) => fits(type, pattern))?.[1];
    if (documented === undefined) return void faults.push(`content type ${given} is not documented`);
    if (answer.isCut) return void faults.push('the answer breaks off');
    try {
      // What may be of any type may be called an image or a text, and be none.
      const isFile = request.target.operation['x-jubako']?.output.kind === 'file';
      if (exact !== undefined && !isFile) await this.#read(type, given, body, documented);
    } catch (thrown) {
      faults.push(`the body is no ${given}: ${thrown.message}: ${body.toString('latin1', 0, 200)}`);
    }
  }

  async #read(type, given, body, documented) {
    switch (type) {
      case 'application/json':
        return this.#mustFit(documented, JSON.parse(utf8(body)));
      case 'application/x-ndjson':
        for (const line of utf8(body).split('\n').slice(0, -1)) this.#mustFitItem(documented, JSON.parse(line));
        return undefined;
      case 'text/event-stream':
        return this.#readEvents(utf8(body), documented);
      case 'application/vnd.jubako.value':
        return void decodeValue(body);
      case 'application/vnd.jubako.values':
        return readFrames(body);
      case 'multipart/form-data':
        return void (await new Response(body, { headers: { 'content-type': given } }).formData());
      case 'application/vnd.apache.arrow.stream':
      case 'application/vnd.apache.arrow.file':
        return void tableFromIPC(body);
      case 'text/csv':
      case 'text/plain':
      case 'text/html':
        return void utf8(body);
      default:
        if (type.startsWith('image/')) await sharp(body).metadata();
        return undefined;
    }
  }

  #readEvents(text, documented) {
    if (text !== '' && !text.endsWith('\n\n')) throw new Error('the last event does not end');
    for (const event of text.split('\n\n').slice(0, -1)) {
      const lines = event.split('\n');
      const bad = lines.find((line) => !/^(?:id: \d+|event: (?:end|error)|retry: \d+|data:.*|:.*)$/s.test(line));
      if (bad !== undefined) throw new Error(`a line of an event is ${JSON.stringify(bad)}`);
      if (lines.some((line) => line.startsWith('event:'))) continue;
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice('data: '.length));
      if (documented['x-item-schema'] === undefined || this.#isTextItem(documented)) continue;
      this.#mustFitItem(documented, JSON.parse(data.join('\n')));
    }
  }

  #isTextItem(documented) {
    return this.#resolve(documented['x-item-schema']).type === 'string';
  }

  #mustFit(documented, value) {
    const wrong = this.#validate(documented, value);
    if (wrong !== undefined) throw new Error(wrong);
  }

  #mustFitItem(documented, value) {
    if (documented['x-item-schema'] === undefined) return;
    this.#mustFit({ schema: documented['x-item-schema'] }, value);
  }

  #validate(documented, value) {
    const { schema } = documented;
    const key = JSON.stringify(schema);
    let validate = this.#compiled.get(key);
    if (validate === undefined) {
      validate = this.#ajv.compile(JSON.parse(key.replaceAll('"$ref":"#', `"$ref":"${DOCUMENT}#`)));
      this.#compiled.set(key, validate);
    }
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors);
  }

  #resolve(object) {
    if (object?.$ref === undefined) return object;
    return object.$ref
      .slice(2)
      .split('/')
      .reduce((at, key) => at[key], this.#document);
  }
}

/** Where the head was not read, nobody knows the id. */
function isIdLost({ isGarbled, badId, notes }, status) {
  return isGarbled || badId !== undefined || (status === 400 && notes.includes('another path'));
}

function codeOf({ headers, body }) {
  return headers.get('x-error-code') ?? parse(body)?.error?.code;
}

function fits(type, pattern) {
  if (pattern === '*/*') return true;
  return pattern.endsWith('/*') && type.startsWith(pattern.slice(0, -1));
}

function readFrames(body) {
  let at = 0;
  let last;
  while (at < body.length) {
    if (last === END || last === FAILURE) throw new Error('a frame follows the last');
    const length = body.readUInt32LE(at);
    const frame = body.subarray(at + 4, at + 4 + length);
    if (frame.length !== length) throw new Error('the last frame is cut');
    last = frame[0];
    if (last === ITEM) decodeValue(frame.subarray(1));
    else if (last === FAILURE) JSON.parse(utf8(frame.subarray(1)));
    else if (last !== END || length !== 1) throw new Error(`a frame of kind ${last} and ${length} bytes`);
    at += 4 + length;
  }
  if (last !== END && last !== FAILURE) throw new Error('it does not end');
}

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes) {
  return STRICT.decode(bytes);
}

function parse(bytes) {
  try {
    return JSON.parse(utf8(bytes));
  } catch {
    return undefined;
  }
}
