import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { decodeValue, encodeValue } from '#dist/tensor/index.js';
import type { ErrorOf } from '../support/http-client.js';
import { outputOf, type AskOptions, type DoorForm, type Target, type Told } from './door.js';
import { readElements, writeElements } from './elements.js';
import type { Body, Element, Form, Given, ModelTensor } from './forms.js';
import { readStream, VALUES_TYPE, type StreamType } from './http-streams.js';

// The APIs as JSON, as bodies of their own media type (streams as server-sent events) and as application/vnd.jubako.value;
// the Open Inference Protocol as JSON, and with binary tensor data.

const JSON_TYPE = 'application/json';
const VALUE_TYPE = 'application/vnd.jubako.value';

export function httpDoors(http: string): readonly DoorForm[] {
  const isModel = ({ model, isStream }: Target, { form }: Given): boolean =>
    model !== undefined && form.model !== undefined && isStream !== true;
  return [
    {
      name: 'API JSON',
      leadsTo: (_target, given) => !given.beyondJson,
      ask: (...asked) => askApi(http, JSON_WAY, ...asked),
    },
    {
      name: 'API media',
      leadsTo: (target, given) =>
        target.isStream === true
          ? !given.beyondJson
          : given.form.media !== undefined && outputOf(target, given).media !== undefined,
      ask: (...asked) => askApi(http, MEDIA_WAY, ...asked),
    },
    { name: 'API value', leadsTo: () => true, ask: (...asked) => askApi(http, VALUE_WAY, ...asked) },
    {
      name: 'OIP JSON',
      leadsTo: (target, given) => isModel(target, given) && !given.beyondJson,
      ask: (...asked) => infer(http, 'JSON', ...asked),
    },
    { name: 'OIP binary', leadsTo: isModel, ask: (...asked) => infer(http, 'binary', ...asked) },
  ];
}

/** How a value goes to an API and comes back. */
interface Way {
  readonly stream: StreamType;
  accept(output: Form): string;
  write(given: Given): Body;
  read(output: Form, body: Body): unknown;
  readItem(output: Form, item: unknown): unknown;
}

const JSON_WAY: Way = {
  stream: 'application/x-ndjson',
  accept: () => JSON_TYPE,
  write: ({ form, value }) => jsonBody(JSON.stringify(form.toJson(value))),
  read: (output, { bytes }) => output.sameOfJson(JSON.parse(bytes.toString('utf8'))),
  readItem: (output, item) => output.sameOfJson(item),
};

const MEDIA_WAY: Way = {
  stream: 'text/event-stream',
  accept: ({ media }) => media?.accept ?? '*/*',
  write: (given) => given.form.media?.toBody(given.value) ?? JSON_WAY.write(given),
  read: (output, body) => output.media?.sameOfBody(body),
  readItem: (output, item) => output.sameOfJson(item),
};

const VALUE_WAY: Way = {
  stream: VALUES_TYPE,
  accept: () => VALUE_TYPE,
  write: ({ form, value }) => {
    const { head, parts } = encodeValue(form.toPlain(value));
    return { headers: { 'content-type': VALUE_TYPE }, bytes: Buffer.concat([head, ...parts]) };
  },
  read: (output, { bytes }) => output.sameOfPlain(decodeValue(Uint8Array.from(bytes))),
  readItem: (output, item) => output.sameOfPlain(item),
};

function jsonBody(text: string): Body {
  return { headers: { 'content-type': JSON_TYPE }, bytes: Buffer.from(text) };
}

async function askApi(http: string, way: Way, target: Target, given: Given, options: AskOptions): Promise<Told> {
  const output = outputOf(target, given);
  const accept = target.isStream === true ? way.stream : way.accept(output);
  const { headers, bytes } = way.write(given);
  const body = { headers: { ...headers, accept }, bytes };
  const answer = await exchange(`${http}/${target.api}`, body, options);
  if (answer.status >= 300) return refusedByApi(answer);
  if (target.isStream !== true) return answered(answer, await way.read(output, answer));
  const { items, error } = readStream(way.stream, answer.bytes);
  const value = await Promise.all(items.map((item) => way.readItem(output, item)));
  return error === undefined ? answered(answer, value) : { ...answered(answer, value), ...error };
}

async function infer(
  http: string,
  contents: 'JSON' | 'binary',
  target: Target,
  given: Given,
  options: AskOptions,
): Promise<Told> {
  const tensors = given.form.model?.toTensors(given.value) ?? [];
  const body = contents === 'JSON' ? jsonBody(toJsonText(tensors)) : toBinary(tensors);
  const answer = await exchange(`${http}/v2/models/${target.model ?? ''}/infer`, body, options);
  if (answer.status >= 300) return refusedByInference(answer);
  return answered(answer, await outputOf(target, given).model?.sameOfTensors(readTensors(answer)));
}

function toJsonText(tensors: readonly ModelTensor[]): string {
  const inputs = tensors.map(({ name, datatype, shape, elements }) => {
    const data = elements.map((one) => (typeof one === 'bigint' ? String(one) : JSON.stringify(one)));
    return `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":[${data.join(',')}]}`;
  });
  return `{"inputs":[${inputs.join(',')}]}`;
}

function toBinary(tensors: readonly ModelTensor[]): Body {
  const raws = tensors.map(({ datatype, elements }) => writeElements(datatype, elements));
  const inputs = tensors.map(({ name, datatype, shape }, i) => {
    return { name, datatype, shape, parameters: { binary_data_size: raws[i]?.length } };
  });
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  return {
    headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(json.length) },
    bytes: Buffer.concat([json, ...raws]),
  };
}

interface InferOutput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly Element[];
  readonly parameters?: { readonly binary_data_size?: number };
}

function readTensors({ headers, bytes }: Body): readonly ModelTensor[] {
  let at = Number(headers['inference-header-content-length'] ?? bytes.length);
  // Long integers as texts: JSON.parse would round them.
  const text = bytes.toString('utf8', 0, at).replace(/(?<=[[,])-?\d{16,}(?=[,\]])/g, '"$&"');
  const { outputs } = JSON.parse(text) as { readonly outputs: readonly InferOutput[] };
  return outputs.map(({ name, datatype, shape, data = [], parameters }) => {
    const size = parameters?.binary_data_size;
    const isLong = datatype === 'INT64' || datatype === 'UINT64';
    if (size === undefined) return { name, datatype, shape, elements: isLong ? data.map((one) => BigInt(one)) : data };
    at += size;
    return { name, datatype, shape, elements: readElements(datatype, bytes.subarray(at - size, at)) };
  });
}

interface Answer extends Body {
  readonly status: number;
}

/** A connection of its own; any status is an answer. */
function exchange(
  url: string,
  body: Partial<Body>,
  options: AskOptions & { readonly method?: string },
): Promise<Answer> {
  const { requestId, signal, headers, method = body.bytes === undefined ? 'GET' : 'POST' } = options;
  const all = { ...body.headers, ...(requestId !== undefined && { 'x-request-id': requestId }), ...headers };
  return new Promise((resolve, reject) => {
    const call = httpRequest(url, { agent: false, method, headers: all, ...(signal !== undefined && { signal }) });
    call.on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: plainHeaders(response.headers),
          bytes: Buffer.concat(chunks),
        });
      });
    });
    call.end(body.bytes);
  });
}

function plainHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

export interface AskHttpOptions extends AskOptions {
  readonly method?: string;
}

/** Any path; `value` is the answer as JSON. */
export async function askHttp(url: string, text?: string, options: AskHttpOptions = {}): Promise<Told> {
  const answer = await exchange(url, text === undefined ? {} : jsonBody(text), options);
  if (answer.status < 300) return answered(answer, parseJson(answer.bytes));
  return answer.headers['x-error-code'] === undefined ? refusedByApi(answer) : refusedByInference(answer);
}

function answered(answer: Answer, value: unknown): Told {
  return {
    code: 'ok',
    status: answer.status,
    message: '',
    requestId: answer.headers['x-request-id'] ?? '',
    retryAfter: undefined,
    value,
    seen: answer.bytes.toString('utf8'),
  };
}

function refusedByApi(answer: Answer): Told {
  const {
    code = '',
    message = '',
    requestId = '',
  } = (parseJson(answer.bytes) as { readonly error?: ErrorOf } | undefined)?.error ?? {};
  const told = refused(answer, code, message);
  if (requestId !== told.requestId)
    throw new Error(`The body names request "${requestId}", the header "${told.requestId}"`);
  return told;
}

/** The Open Inference Protocol has a text only; the code stands in a header. */
function refusedByInference(answer: Answer): Told {
  const { error = '' } = parseJson(answer.bytes) as { readonly error?: string };
  return refused(answer, answer.headers['x-error-code'] ?? '', error);
}

function refused({ status, headers, bytes }: Answer, code: string, message: string): Told {
  return {
    code,
    status,
    message,
    requestId: headers['x-request-id'] ?? '',
    retryAfter: headers['retry-after'],
    value: undefined,
    seen: `${bytes.toString('utf8')} ${JSON.stringify({ ...headers, date: undefined })}`,
  };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
