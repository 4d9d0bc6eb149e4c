import { JubakoError } from '../errors.js';
import {
  DTYPES,
  elementCount,
  fitsShape,
  formatShape,
  indexOfNonFinite,
  isTensor,
  type Dtype,
  type Tensor,
} from '../tensor/index.js';
import type { Descriptor, SyncDescriptor, TensorFields, TensorSpec, TensorsSpec, ValueOf } from './descriptor.js';
import { isRecord } from './json-object.js';
import { preview } from './preview.js';
import { tensorFromJson, tensorToJson } from './tensor-json.js';

export interface TensorOptions {
  /** True: NaN and infinities are let through. Default false: they are refused, since they make a model answer nonsense silently. */
  readonly allowNonFinite?: boolean;
  /** What the Open Inference Protocol calls it where it is the only input or output. Default `input` or `output`. */
  readonly name?: string;
}

export interface TensorsOptions {
  /** False: their rows (axis 0) need not agree; such tensors cannot be batched. Default true. */
  readonly sameRows?: boolean;
}

/**
 * A tensor of one dtype; `shape` may hold -1 for any size, and axis 0 is the batch axis.
 * `tensor('float32', [-1, 64])`: any number of rows of 64 numbers.
 */
export function tensor<D extends Dtype>(
  dtype: D,
  shape: readonly number[],
  options: TensorOptions = {},
): SyncDescriptor<Tensor<D>, TensorSpec> {
  if (!Object.hasOwn(DTYPES, dtype)) {
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot describe a tensor of "${dtype}": the dtypes are ${Object.keys(DTYPES).join(', ')}`,
    );
  }
  if (!shape.every((size) => Number.isInteger(size) && size >= -1)) {
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot describe a tensor of shape ${formatShape(shape)}: sizes are whole numbers >= -1`,
    );
  }
  const spec: TensorSpec = {
    kind: 'tensor',
    dtype,
    shape: [...shape],
    allowNonFinite: options.allowNonFinite ?? false,
    ...(options.name !== undefined && { name: options.name }),
  };
  return new TensorDescriptor(spec) as unknown as SyncDescriptor<Tensor<D>, TensorSpec>;
}

/** Several named tensors whose rows (axis 0) agree: `tensors({ ids: tensor('int64', [-1, 128]), mask: … })`. */
export function tensors<F extends Readonly<Record<string, Descriptor<Tensor>>>>(
  fields: F,
  options: TensorsOptions = {},
): SyncDescriptor<{ readonly [K in keyof F]: ValueOf<F[K]> }, TensorsSpec> {
  return new TensorsDescriptor(fields, options.sameRows ?? true) as unknown as SyncDescriptor<
    { readonly [K in keyof F]: ValueOf<F[K]> },
    TensorsSpec
  >;
}

class TensorDescriptor implements SyncDescriptor<Tensor, TensorSpec> {
  readonly spec: TensorSpec;

  constructor(spec: TensorSpec) {
    this.spec = spec;
  }

  fromJson(value: unknown): Tensor {
    return this.check(tensorFromJson(this.spec.dtype, this.spec.shape.length, value));
  }

  toJson(value: Tensor): unknown {
    return tensorToJson(value);
  }

  check(value: unknown): Tensor {
    const { dtype, shape, allowNonFinite } = this.spec;
    if (!isTensor(value)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(value)}: wanted a ${dtype} tensor of shape ${formatShape(shape)}`,
      );
    }
    if (value.dtype !== dtype) {
      throw new JubakoError('INVALID_INPUT', `Cannot accept a tensor of dtype ${value.dtype}: wanted ${dtype}`);
    }
    if (!fitsShape(value.shape, shape)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept a tensor of shape ${formatShape(value.shape)}: wanted ${formatShape(shape)} (-1 is any size)`,
      );
    }
    if (!allowNonFinite) refuseNonFinite(value);
    if (dtype === 'bool') refuseNonBits(value);
    return value;
  }
}

type TensorDescriptors = Readonly<Record<string, SyncDescriptor<Tensor>>>;

class TensorsDescriptor implements SyncDescriptor<TensorFields, TensorsSpec> {
  readonly spec: TensorsSpec;
  readonly parts: TensorDescriptors;
  readonly #sameRows: boolean;

  constructor(fields: Readonly<Record<string, Descriptor<Tensor>>>, sameRows: boolean) {
    const specs: Record<string, TensorSpec> = {};
    for (const [name, field] of Object.entries(fields)) {
      if (field.spec.kind !== 'tensor')
        throw new JubakoError('SERVICE_INVALID', `Cannot describe tensors: "${name}" is not a tensor()`);
      specs[name] = field.spec;
    }
    this.spec = { kind: 'tensors', fields: specs };
    this.parts = fields as TensorDescriptors;
    this.#sameRows = sameRows;
  }

  fromJson(value: unknown): TensorFields {
    return this.#convert(value, (field, item) => field.fromJson(item));
  }

  toJson(value: TensorFields): unknown {
    return Object.fromEntries(
      Object.entries(this.parts).map(([name, field]) => [name, field.toJson(value[name] as Tensor)]),
    );
  }

  fromParts(values: Readonly<Record<string, unknown>>): TensorFields {
    return this.#convert(values, (_field, item) => item as Tensor);
  }

  check(value: unknown): TensorFields {
    return this.#convert(value, (field, item) => field.check(item));
  }

  #convert(value: unknown, convert: (field: SyncDescriptor<Tensor>, item: unknown) => Tensor): TensorFields {
    const names = Object.keys(this.parts);
    if (!isRecord(value) || isTensor(value)) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept ${preview(value)}: wanted an object of tensors ${names.join(', ')}`,
      );
    }
    const unknown = Object.keys(value).find((name) => !Object.hasOwn(this.parts, name));
    if (unknown !== undefined) {
      throw new JubakoError(
        'INVALID_INPUT',
        `Cannot accept the tensor "${unknown}": the tensors are ${names.join(', ')}`,
      );
    }
    const result: Record<string, Tensor> = {};
    let rows: number | undefined;
    for (const name of names) {
      const item = Object.hasOwn(value, name) ? value[name] : undefined;
      if (item === undefined) throw new JubakoError('INVALID_INPUT', `Cannot accept the tensors: "${name}" is missing`);
      const tensor = namingErrors(name, () => convert(this.parts[name] as SyncDescriptor<Tensor>, item));
      rows ??= tensor.rows;
      if (this.#sameRows && tensor.rows !== rows) {
        throw new JubakoError(
          'INVALID_INPUT',
          `Cannot accept the tensors: "${name}" has ${tensor.rows} rows, "${names[0] ?? ''}" has ${rows}`,
        );
      }
      result[name] = tensor;
    }
    return result;
  }
}

function namingErrors<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    throw new JubakoError(error.code, `Tensor "${name}": ${error.message}`, { details: error.details, cause: error });
  }
}

/** Bytes of a binary body are taken as they are: a model must not see a bool that is 2. */
function refuseNonBits(tensor: Tensor): void {
  const bad = (tensor.data as Uint8Array).findIndex((bit) => bit > 1);
  if (bad === -1) return;
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot accept a bool tensor whose element ${bad} is ${preview(tensor.data[bad])}: wanted 0 or 1`,
  );
}

/** Above this a second look is worth saving: most handlers hand their input on to a runner, which would be checked again. */
const LARGE_ELEMENTS = 4096;
/** Large tensors that were found finite. A tensor is a value: who writes into its data afterwards is not checked again. */
const knownFinite = new WeakSet<Tensor>();

function refuseNonFinite(tensor: Tensor): void {
  const isLarge = elementCount(tensor.shape) > LARGE_ELEMENTS;
  if (isLarge && knownFinite.has(tensor)) return;
  const bad = indexOfNonFinite(tensor);
  if (bad === -1) {
    if (isLarge) knownFinite.add(tensor);
    return;
  }
  throw new JubakoError(
    'INVALID_INPUT',
    `Cannot accept a tensor with a NaN or infinity at element ${bad}: wanted finite numbers`,
    {
      details: [{ path: `/${bad}`, message: 'must be a finite number' }],
    },
  );
}
