import type { Tensor } from '#dist/tensor/index.js';
import { DTYPES } from '#dist/tensor/index.js';
import { toRaw } from '#dist/inference/raw-elements.js';

/** The same tensors as requests over HTTP: all as JSON, or their elements as bytes behind it. */

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON, and its text. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** What follows the JSON. */
  readonly binary: Buffer;
}

export interface HttpInfer {
  readonly url: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function postInfer({ url, body, headers = {} }: HttpInfer): Promise<HttpAnswer> {
  const answer = await fetch(url, { method: 'POST', body: body as string, headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const length = Number(answer.headers.get('inference-header-content-length') ?? bytes.byteLength);
  const text = bytes.subarray(0, length).toString();
  const json = JSON.parse(text) as HttpAnswer['json'];
  return { status: answer.status, headers: answer.headers, json, text, binary: bytes.subarray(length) };
}

export interface BinaryRequest {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** @param rest - of the JSON beside `inputs`. @param says - in place of what is true of each input. */
export function binaryRequest(
  tensors: Readonly<Record<string, Tensor>>,
  rest: object = {},
  says: object = {},
): BinaryRequest {
  const raws = Object.values(tensors).map(toRaw);
  const inputs = Object.entries(tensors).map(([name, { dtype, shape }], i) => ({
    name,
    shape,
    datatype: DTYPES[dtype].oip,
    parameters: { binary_data_size: raws[i]?.byteLength },
    ...says,
  }));
  const json = Buffer.from(JSON.stringify({ ...rest, inputs }));
  const headers = { 'inference-header-content-length': String(json.byteLength) };
  return { body: Buffer.concat([json, ...raws]), headers };
}
