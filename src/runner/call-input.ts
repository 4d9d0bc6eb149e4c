import { JubakoError } from '../errors.js';
import type { TensorSpec } from '../descriptor/descriptor.js';
import type { MethodManifest } from '../service/manifest.js';
import { fitsShape, formatShape, isTensor, peekValue, type Tensor } from '../tensor/index.js';

/** The input of one call, checked against the method's descriptor as far as joining and splitting rely on it. */
export type CallInput =
  | { readonly kind: 'json'; readonly rows: 1; readonly batchKey: ''; readonly text: Uint8Array }
  | {
      readonly kind: 'tensors';
      readonly rows: number;
      readonly batchKey: string;
      readonly tensors: readonly NamedTensor[];
    };

/** `name` is '' for a method whose input is a lone tensor. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/**
 * Reads the body of a link request. Values of a tensor (such as NaN) were checked by the API worker; dtype and shape are
 * checked here again, because this process joins rows by them.
 * @throws {JubakoError} INVALID_INPUT, or LINK_PROTOCOL for a body that is no value.
 */
export function readCallInput(method: MethodManifest, body: Uint8Array): CallInput {
  const { input } = method;
  const value = peekValue(body);
  if (input.kind === 'json') {
    if (value.form !== 'json') throw wrongKind(method, 'a JSON value');
    return { kind: 'json', rows: 1, batchKey: '', text: value.text };
  }
  if (input.kind === 'tensor') {
    if (value.form !== 'tensor') throw wrongKind(method, 'a tensor');
    checkTensor(method, '', input, value.tensor);
    return toInput(method, [{ name: '', tensor: value.tensor }]);
  }
  const record = value.form === 'tree' ? value.decode() : undefined;
  if (typeof record !== 'object' || record === null) throw wrongKind(method, 'an object of tensors');
  const named = Object.entries(input.fields).map(([name, spec]): NamedTensor => {
    const tensor = (record as Record<string, unknown>)[name];
    if (!isTensor(tensor)) throw wrongKind(method, `a tensor "${name}"`);
    checkTensor(method, name, spec, tensor);
    return { name, tensor };
  });
  return toInput(method, named);
}

function toInput(method: MethodManifest, tensors: readonly NamedTensor[]): CallInput {
  const rows = method.batch === null ? 1 : (tensors[0]?.tensor.rows ?? 0);
  if (tensors.some(({ tensor }) => method.batch !== null && tensor.rows !== rows)) {
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot run "${method.name}": its input tensors have different numbers of rows`,
    );
  }
  if (rows === 0) throw new JubakoError('INVALID_INPUT', `Cannot run "${method.name}" on 0 rows: at least 1 is needed`);
  return { kind: 'tensors', rows, batchKey: batchKeyOf(tensors), tensors };
}

function batchKeyOf(tensors: readonly NamedTensor[]): string {
  let key = '';
  for (const { tensor } of tensors) {
    for (let axis = 1; axis < tensor.shape.length; axis += 1) key += `${tensor.shape[axis] ?? 0},`;
    key += ';';
  }
  return key;
}

function checkTensor(method: MethodManifest, name: string, spec: TensorSpec, tensor: Tensor): void {
  if (tensor.dtype === spec.dtype && fitsShape(tensor.shape, spec.shape)) return;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot run "${method.name}" on a ${tensor.dtype} tensor ${name === '' ? '' : `"${name}" `}of shape ${formatShape(tensor.shape)}: ` +
      `wanted ${spec.dtype} ${formatShape(spec.shape)}`,
  );
}

function wrongKind(method: MethodManifest, wanted: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot run "${method.name}": its input must be ${wanted}`);
}
