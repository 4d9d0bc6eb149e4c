import { bentoSpec, type BentoForm } from '../descriptor/bento-spec.js';
import type { OutputSpec } from '../descriptor/descriptor.js';
import type { ServiceDefinition } from '../service/define.js';
import type { DescriptorMetadata, ServiceMetadataResponse } from './bento-messages.js';
import { DTYPE_FORMS } from './bento-ndarray.js';
import { toStruct } from './bento-value.js';

// What BentoML's client builds its methods from: `args` are the arguments of its own descriptor classes.

const FORM: BentoForm = {
  tensors: 'multipart',
  streams: 'values',
  orient: 'columns',
  // Clients convert to this dtype and then have to find it in NDArray: hence the one that is written, not the own one.
  numpyDtype: (dtype) => DTYPE_FORMS[dtype].numpy,
};

/** Answer of ServiceMetadata, the same for every call. */
export function serviceMetadata(service: ServiceDefinition): ServiceMetadataResponse {
  return {
    name: service.name,
    apis: Object.entries(service.apis).map(([name, api]) => ({
      name,
      input: toMetadata('input', api.input.spec),
      output: toMetadata('output', api.output.spec),
      ...(api.doc !== undefined && { docs: api.doc }),
    })),
    docs: '',
  };
}

function toMetadata(side: 'input' | 'output', spec: OutputSpec): DescriptorMetadata {
  const { id, args } = bentoSpec(side, spec, FORM);
  return { descriptor_id: id, attributes: toStruct({ args }) };
}
