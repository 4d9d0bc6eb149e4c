import type { ServiceDefinition } from '../service/define.js';
import type { DescriptorSpec, TensorSpec } from '../descriptor/descriptor.js';
import type { DescriptorMetadata, ServiceMetadataResponse } from './bento-messages.js';
import { DTYPE_FORMS } from './bento-ndarray.js';
import { toStruct } from './bento-value.js';

// What BentoML's client builds its methods from: `args` are the arguments of its own descriptor classes.

/** Answer of ServiceMetadata, the same for every call. */
export function serviceMetadata(service: ServiceDefinition): ServiceMetadataResponse {
  return {
    name: service.name,
    apis: Object.entries(service.apis).map(([name, api]) => ({
      name,
      input: toMetadata(api.input.spec),
      output: toMetadata(api.output.spec as DescriptorSpec),
      ...(api.doc !== undefined && { docs: api.doc }),
    })),
    docs: '',
  };
}

interface BentoSpec {
  readonly id: string;
  readonly args: Readonly<Record<string, unknown>>;
}

function toMetadata(spec: DescriptorSpec): DescriptorMetadata {
  const { id, args } = toSpec(spec);
  return { descriptor_id: id, attributes: toStruct({ args }) };
}

function toSpec(spec: DescriptorSpec): BentoSpec {
  switch (spec.kind) {
    case 'json':
      return { id: 'bentoml.io.JSON', args: { has_pydantic_model: false, has_json_encoder: false } };
    case 'tensor':
      return toArraySpec(spec);
    case 'tensors': {
      const args = Object.entries(spec.fields).map(([name, field]) => [name, toArraySpec(field)] as const);
      return { id: 'bentoml.io.Multipart', args: Object.fromEntries(args) };
    }
    default:
      return { id: 'bentoml.io.JSON', args: { has_pydantic_model: false, has_json_encoder: false } };
  }
}

function toArraySpec({ dtype, shape }: TensorSpec): BentoSpec {
  return {
    id: 'bentoml.io.NumpyNdarray',
    args: {
      // Clients convert to this dtype and then have to find it in NDArray: hence the one that is written, not the own one.
      dtype: DTYPE_FORMS[dtype].numpy,
      shape,
      // Clients would refuse int64 for a uint32, although every value may fit; here each value is looked at.
      enforce_dtype: false,
      enforce_shape: true,
    },
  };
}
