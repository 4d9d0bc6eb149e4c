import type { ValueSpec } from '../descriptor/descriptor.js';
import { DTYPES, type Dtype } from '../tensor/index.js';

// What the Open Inference Protocol calls the inputs and outputs that descriptors describe.

/** One named input or output of a model. */
export interface Port {
  readonly name: string;
  readonly dtype: Dtype;
  /** Name of the dtype in the protocol. */
  readonly datatype: string;
  /** -1 stands for any size. */
  readonly shape: readonly number[];
}

export interface Ports {
  /** `json`: one BYTES tensor whose elements are JSON documents, each a call of its own. */
  readonly kind: ValueSpec['kind'];
  readonly list: readonly Port[];
  readonly byName: ReadonlyMap<string, Port>;
  /** `"ids", "mask"`, for messages. */
  readonly names: string;
}

/** @param otherwise - the name of a lone tensor or document that has none of its own. */
export function toPorts(spec: ValueSpec, otherwise: string): Ports {
  const list = toPortList(spec, otherwise);
  return {
    kind: spec.kind,
    list,
    byName: new Map(list.map((port) => [port.name, port])),
    names: list.map((port) => `"${port.name}"`).join(', '),
  };
}

function toPortList(spec: ValueSpec, otherwise: string): Port[] {
  switch (spec.kind) {
    case 'json':
      return [toPort(otherwise, 'string', [-1])];
    case 'tensor':
      return [toPort(spec.name ?? otherwise, spec.dtype, spec.shape)];
    case 'tensors':
      return Object.entries(spec.fields).map(([name, field]) => toPort(name, field.dtype, field.shape));
    default:
      return spec satisfies never;
  }
}

function toPort(name: string, dtype: Dtype, shape: readonly number[]): Port {
  return { name, dtype, datatype: DTYPES[dtype].oip, shape };
}
