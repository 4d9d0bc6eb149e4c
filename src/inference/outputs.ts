import { JubakoError } from '../errors.js';
import { Tensor } from '../tensor/index.js';
import type { InferOutput, RequestedOutput } from './infer-request.js';
import type { Model } from './models.js';
import { refuseTensorParameters } from './parameters.js';
import type { Port } from './ports.js';

// From what runners gave to the outputs that a request asked for.

/**
 * The outputs that the request asks for, in its order; all where it names none.
 * @throws {JubakoError} INVALID_INPUT - the model has no such output.
 */
export function requestedOutputs(model: Model, requested: readonly RequestedOutput[] | undefined): readonly Port[] {
  const { outputs } = model;
  if (requested === undefined) return outputs.list;
  return requested.map(({ name, parameters }) => {
    const port = outputs.byName.get(name);
    if (port === undefined)
      throw new JubakoError('INVALID_INPUT', `Cannot give the output "${name}": the outputs are ${outputs.names}`);
    refuseTensorParameters(`output "${name}"`, parameters);
    return port;
  });
}

/** @param values - what the calls gave: one, unless the output is JSON. */
export function toOutputs(model: Model, ports: readonly Port[], values: readonly unknown[]): readonly InferOutput[] {
  switch (model.outputs.kind) {
    case 'json': {
      const documents = values.map((value) => toText(model, value));
      const tensor = new Tensor('string', [documents.length], documents);
      return ports.map((port) => ({ port, tensor }));
    }
    case 'tensor':
      return ports.map((port) => ({ port, tensor: values[0] as Tensor }));
    case 'tensors': {
      const tensors = values[0] as Readonly<Record<string, Tensor>>;
      return ports.map((port) => ({ port, tensor: tensors[port.name] as Tensor }));
    }
    default:
      return model.outputs.kind satisfies never;
  }
}

function toText(model: Model, value: unknown): string {
  try {
    const text = JSON.stringify(model.toJson(value)) as string | undefined;
    return text ?? 'null';
  } catch (cause) {
    const why = JubakoError.from(cause).message;
    throw new JubakoError('USER_CODE', `Cannot write the output of the model "${model.name}" as JSON: ${why}`, {
      cause,
    });
  }
}
