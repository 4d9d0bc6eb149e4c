import type { InferResponse } from '../inference/infer-request.js';
import { toJsonList } from '../inference/json-elements.js';
import { toRaw } from '../inference/raw-elements.js';
import { answerCompressed } from './compress.js';
import type { Exchange } from './exchange.js';
import { INFERENCE_TYPE } from './inference-error.js';
import { BINARY_TYPE } from './tensor-headers.js';

// An answer of the Open Inference Protocol over HTTP: JSON, and behind it the raw elements of the outputs that were asked
// for so, in their order.
// A1 Answers are compressed by gzip and deflate only, and those with raw elements where the client takes one coding and no
//    other: Triton's clients name all that their HTTP library knows, and read these two.

const CODINGS = ['gzip', 'deflate'] as const;

/** Up to here a copy costs less than a write of its own. */
const JOINED_BYTES = 64 * 1024;

/** Never rejects. */
export function answerInference(
  exchange: Exchange,
  response: InferResponse,
  isBinary: (output: string) => boolean,
): void | Promise<void> {
  const raws: Uint8Array[] = [];
  const outputs = response.outputs.map(({ port: { name, datatype }, tensor }) => {
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${tensor.shape.join(',')}]`;
    if (!isBinary(name)) return `${head},"data":${toJsonList(tensor)}}`;
    const raw = toRaw(tensor);
    raws.push(raw);
    return `${head},"parameters":{"binary_data_size":${raw.byteLength}}}`;
  });
  const text = `${headOf(response)},"outputs":[${outputs.join(',')}]}`;
  if (raws.length === 0) return answerCompressed(exchange, INFERENCE_TYPE, text, { codings: CODINGS });
  return answerBinary(exchange, text, raws);
}

function answerBinary(exchange: Exchange, text: string, raws: readonly Uint8Array[]): void | Promise<void> {
  const jsonBytes = Buffer.byteLength(text);
  const headers = ['Inference-Header-Content-Length', String(jsonBytes)];
  let byteLength = jsonBytes;
  for (const raw of raws) byteLength += raw.byteLength;
  const wantsCoding = CODINGS.some((name) => name === exchange.request.headers['accept-encoding']); // A1
  if (!wantsCoding && byteLength > JOINED_BYTES) {
    exchange.answerPieces(BINARY_TYPE, [Buffer.from(text), ...raws], headers);
    return;
  }
  const body = Buffer.allocUnsafe(byteLength);
  let at = body.write(text, 'utf8');
  for (const raw of raws) {
    body.set(raw, at);
    at += raw.byteLength;
  }
  if (!wantsCoding) exchange.answer(200, BINARY_TYPE, body, headers);
  else return answerCompressed(exchange, BINARY_TYPE, body, { headers, codings: CODINGS, always: true });
}

function headOf({ id, modelName, modelVersion }: InferResponse): string {
  const names = `"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`;
  return id === '' ? `{${names}` : `{"id":${JSON.stringify(id)},${names}`;
}
