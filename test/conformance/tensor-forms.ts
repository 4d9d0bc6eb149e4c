import { DTYPES, Tensor, type Dtype, type DtypeData, type NumericDtype } from '#dist/tensor/index.js';
import { given, type Body, type Element, type Form, type Given, type ModelTensor } from './forms.js';
import { readElements, writeElements } from './elements.js';
import { fromValue, toValue, type Message } from './protobuf-values.js';

// JSON, tensors, several tensors.

/** A tensor with its elements one by one: 64-bit integers as bigint, half floats as the numbers that they stand for. */
export interface Elements {
  readonly shape: readonly number[];
  readonly elements: readonly Element[];
}

/** JSON alone: for models a BYTES tensor with a document. */
export const jsonForm: Form = {
  same: (value) => value,
  toJson: (value) => value,
  sameOfJson: (json) => json,
  toPlain: (value) => value,
  sameOfPlain: (plain) => plain,
  toContent: (value) => ({ json: toValue(value) }),
  sameOfContent: (content) => fromValue(content['json'] as Message | undefined),
  model: {
    toTensors: (value) => [{ name: 'input', datatype: 'BYTES', shape: [1], elements: [JSON.stringify(value)] }],
    sameOfTensors: ([document]) => JSON.parse(String(document?.elements[0])) as unknown,
  },
};

/** The list of NDArray in which elements of each dtype go; what it has no list for goes in a wider one. */
const LISTS: Readonly<Record<Dtype, string>> = {
  bool: 'bool_values',
  uint8: 'uint32_values',
  uint16: 'uint32_values',
  uint32: 'uint32_values',
  uint64: 'uint64_values',
  int8: 'int32_values',
  int16: 'int32_values',
  int32: 'int32_values',
  int64: 'int64_values',
  float16: 'float_values',
  bfloat16: 'float_values',
  float32: 'float_values',
  float64: 'double_values',
  string: 'string_values',
};

export function tensorForm(dtype: Dtype): Form<Elements> {
  const { oip: datatype } = DTYPES[dtype];
  const same = ({ shape, elements }: Elements): unknown => ({ shape, elements: elements.map(toSame) });
  const form: Form<Elements> = {
    same,
    toJson: ({ shape, elements }) => nest(elements.map(toJsonElement), shape),
    sameOfJson: (json) => same(unnest(dtype, json)),
    toPlain: (value) => toTensor(dtype, value),
    sameOfPlain: (plain) => same(fromTensor(plain as Tensor)),
    toContent: ({ shape, elements }) => ({
      ndarray: { shape, [LISTS[dtype]]: elements.map((one) => (typeof one === 'bigint' ? String(one) : one)) },
    }),
    sameOfContent: ({ ndarray }) => {
      const { shape = [], [LISTS[dtype]]: list = [] } = ndarray as Readonly<Record<string, readonly never[]>>;
      return same({ shape, elements: fromWire(dtype, list) });
    },
    model: {
      toTensors: (value) => [{ name: 'input', datatype, ...value }],
      sameOfTensors: ([tensor]) => same(tensor as ModelTensor),
    },
  };
  if (dtype === 'string') return form;
  return { ...form, media: { accept: 'application/octet-stream', ...tensorMedia(dtype, same) } };
}

function tensorMedia(
  dtype: NumericDtype,
  same: (value: Elements) => unknown,
): { toBody(value: Elements): Body; sameOfBody(body: Body): unknown } {
  return {
    toBody: ({ shape, elements }) => ({
      headers: {
        'content-type': 'application/octet-stream',
        'tensor-dtype': dtype,
        'tensor-shape': shape.join(','),
      },
      bytes: writeElements(DTYPES[dtype].oip, elements),
    }),
    sameOfBody: ({ headers, bytes }) => {
      const shape = (headers['tensor-shape'] ?? '').split(',').map(Number);
      return same({ shape, elements: readElements(DTYPES[headers['tensor-dtype'] as Dtype].oip, bytes) });
    },
  };
}

/** Several tensors by name. */
export function tensorsForm(dtypes: Readonly<Record<string, Dtype>>): Form<Readonly<Record<string, Elements>>> {
  const forms = Object.entries(dtypes).map(([name, dtype]) => [name, tensorForm(dtype)] as const);
  const each = <T>(take: (form: Form<Elements>, name: string) => T): Readonly<Record<string, T>> =>
    Object.fromEntries(forms.map(([name, form]) => [name, take(form, name)]));
  // What a case leaves out on purpose stays out.
  const written = <T>(
    value: Readonly<Record<string, Elements>>,
    take: (form: Form<Elements>, one: Elements) => T,
  ): Readonly<Record<string, T>> =>
    Object.fromEntries(
      forms
        .filter(([name]) => value[name] !== undefined)
        .map(([name, form]) => [name, take(form, value[name] as Elements)]),
    );
  const fieldOf = (from: unknown, name: string): unknown => (from as Readonly<Record<string, unknown>>)[name];
  return {
    same: (value) => written(value, (form, one) => form.same(one)),
    toJson: (value) => written(value, (form, one) => form.toJson(one)),
    sameOfJson: (json) => each((form, name) => form.sameOfJson(fieldOf(json, name))),
    toPlain: (value) => written(value, (form, one) => form.toPlain(one)),
    sameOfPlain: (plain) => each((form, name) => form.sameOfPlain(fieldOf(plain, name))),
    toContent: (value) => ({ multipart: { fields: written(value, (form, one) => form.toContent(one)) } }),
    sameOfContent: ({ multipart, json }) => {
      const fields = fieldOf(multipart, 'fields') as Readonly<Record<string, Message>> | undefined;
      if (fields === undefined) throw new Error(`wanted multipart, got ${JSON.stringify(json)}`);
      return each((form, name) => form.sameOfContent(fields[name] as Message));
    },
    model: {
      toTensors: (value) =>
        forms
          .filter(([name]) => value[name] !== undefined)
          .map(([name]) => ({ name, datatype: DTYPES[dtypes[name] as Dtype].oip, ...(value[name] as Elements) })),
      sameOfTensors: (tensors) =>
        each((form, name) => form.model?.sameOfTensors(tensors.filter((tensor) => tensor.name === name))),
    },
  };
}

/** What tests without a form of their own send: rows of numbers as float32, anything else as JSON. */
export function givenOf(value: unknown): Given {
  if (!Array.isArray(value) || !value.every(Array.isArray)) return given(jsonForm, value);
  const rows = value as readonly (readonly number[])[];
  return given(tensorForm('float32'), { shape: [rows.length, rows[0]?.length ?? 0], elements: rows.flat() });
}

/** Text where a number would not say it: JSON has no -0, no NaN, and no long integers. */
function toSame(element: Element): unknown {
  if (typeof element === 'bigint') return String(element);
  if (typeof element !== 'number') return element;
  return Number.isFinite(element) && !Object.is(element, -0)
    ? element
    : Object.is(element, -0)
      ? '-0'
      : String(element);
}

function toJsonElement(element: Element): unknown {
  if (typeof element !== 'bigint') return element;
  return Number.isSafeInteger(Number(element)) ? Number(element) : String(element);
}

function nest(elements: readonly unknown[], shape: readonly number[]): unknown {
  const [size, ...rest] = shape;
  if (size === undefined) return elements[0];
  const step = rest.reduce((product, one) => product * one, 1);
  return Array.from({ length: size }, (_, i) => nest(elements.slice(i * step, (i + 1) * step), rest));
}

function unnest(dtype: Dtype, json: unknown): Elements {
  const shape: number[] = [];
  for (let level = json; Array.isArray(level); level = level[0]) shape.push(level.length);
  return { shape, elements: fromWire(dtype, (json as unknown[]).flat(Infinity)) };
}

/** JSON and the loader give long integers as texts where they are long. */
function fromWire(dtype: Dtype, list: readonly unknown[]): readonly Element[] {
  if (dtype === 'int64' || dtype === 'uint64') return list.map((one) => BigInt(one as string | number));
  return list as readonly Element[];
}

function toTensor(dtype: Dtype, { shape, elements }: Elements): Tensor {
  if (dtype === 'string') return new Tensor('string', shape, elements as readonly string[]);
  const bytes = Uint8Array.from(writeElements(DTYPES[dtype].oip, elements));
  return new Tensor(dtype, shape, asData(dtype, bytes.buffer));
}

const ARRAYS = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

function asData(dtype: NumericDtype, buffer: ArrayBuffer): DtypeData[NumericDtype] {
  return new ARRAYS[dtype](buffer);
}

function fromTensor({ dtype, shape, data }: Tensor): Elements {
  if (dtype === 'string') return { shape, elements: data as readonly string[] };
  const { buffer, byteOffset, byteLength } = data as Uint8Array;
  return { shape, elements: readElements(DTYPES[dtype].oip, Buffer.from(buffer, byteOffset, byteLength)) };
}
