import { Tensor } from '../tensor/index.js';
import type { ThreadPayload, WireTensor } from './thread-messages.js';

/** The payload as the model sees it: a tensor, tensors by name, or a JSON value. */
export function readPayload(payload: ThreadPayload): unknown {
  if (payload.kind === 'json') {
    const { buffer, byteOffset, byteLength } = payload.text;
    return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
  }
  const [first] = payload.tensors;
  if (first?.name === '') return toTensor(first);
  return Object.fromEntries(payload.tensors.map((wire) => [wire.name, toTensor(wire)]));
}

function toTensor(wire: WireTensor): Tensor {
  return new Tensor(wire.dtype, wire.shape, wire.data as never);
}
