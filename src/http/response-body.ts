import { JubakoError } from '../errors.js';
import type { Descriptor } from '../descriptor/descriptor.js';
import { bytesOf, type NumericDtype, type Tensor } from '../tensor/index.js';
import { JSON_TYPE, type Exchange } from './exchange.js';
import { BINARY_TYPE, isBinaryTensor } from './tensor-headers.js';

/**
 * Answers with the output of an API: JSON, or the raw tensor where the client accepts that.
 * @throws {JubakoError} USER_CODE - the output can't be written.
 */
export function answerOutput(exchange: Exchange, api: string, descriptor: Descriptor, output: unknown): void {
  if (isBinaryTensor(descriptor.spec) && acceptsBinary(exchange.request.headers.accept)) {
    const tensor = output as Tensor<NumericDtype>; // the invoker has checked it
    exchange.answer(200, BINARY_TYPE, bytesOf(tensor), [
      'Tensor-Dtype',
      tensor.dtype,
      'Tensor-Shape',
      tensor.shape.join(','),
    ]);
    return;
  }
  exchange.answer(200, JSON_TYPE, toText(api, descriptor, output));
}

function toText(api: string, descriptor: Descriptor, output: unknown): string {
  try {
    const text = JSON.stringify(descriptor.toJson(output)) as string | undefined;
    return text ?? 'null';
  } catch (thrown) {
    const cause = JubakoError.from(thrown);
    throw new JubakoError('USER_CODE', `Cannot write the output of API "${api}" as JSON: ${cause.message}`, {
      cause: thrown,
    });
  }
}

/** True where `Accept` lists the binary type and does not turn it down by `q=0`. */
function acceptsBinary(accept: string | undefined): boolean {
  if (accept === undefined || accept === '*/*') return false;
  if (accept === BINARY_TYPE) return true;
  return accept.split(',').some((entry) => {
    const [type = '', ...parameters] = entry.toLowerCase().split(';');
    return type.trim() === BINARY_TYPE && !parameters.some((parameter) => /^\s*q=0(?:\.0*)?\s*$/.test(parameter));
  });
}
