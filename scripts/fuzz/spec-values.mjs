// Values that a descriptor takes, in each of its forms: JSON, tensors and bytes for the codec of values, bodies of their own.
import { tableFromArrays, tableToIPC, vectorFromArray, Bool, Float32, Float64, Int32, Int64, Utf8 } from 'apache-arrow';
import { DTYPES, Tensor, allocateData, bytesOf, encodeValue } from '../../dist/tensor/index.js';
import { valueOf } from './json-values.mjs';
import { PICTURES } from './pictures.mjs';

const MAX_ROWS = 4;

/** @param random @param spec - of a descriptor. @param schema - of its JSON. @param root - of the document. */
export function jsonOf(random, spec, schema, root) {
  switch (spec.kind) {
    case 'json':
      return valueOf(random, schema, root);
    case 'tensor':
      return tensorJson(random, tensorOf(random, spec));
    case 'tensors':
      return mapObject(tensorsOf(random, spec), (tensor) => tensorJson(random, tensor));
    case 'table':
      return tableJson(random, spec);
    case 'text':
      return textOf(random, spec);
    case 'bytes':
      return blobOf(random, spec).toString('base64');
    case 'file': {
      const file = { name: `f${random.text(5, 'abc é.-_')}x`, mediaType: typeFor(random, spec), data: '' };
      file.data = blobOf(random, spec).toString('base64');
      return file;
    }
    case 'image': {
      const data = pictureOf(random, spec).bytes.toString('base64');
      return random.chance(0.5) ? data : { data };
    }
    case 'multipart':
      return formOf(random, spec, (name, field) => jsonOf(random, field, schemaOf(schema, root, name), root));
    default:
      throw new TypeError(`Cannot make a value of kind ${spec.kind}`);
  }
}

/** As application/vnd.jubako.value. */
export function valueBytes(random, spec, schema, root) {
  const { head, parts } = encodeValue(partOf(random, spec, schema, root));
  return Buffer.concat([head, ...parts]);
}

function partOf(random, spec, schema, root) {
  switch (spec.kind) {
    case 'tensor':
      return tensorOf(random, spec);
    case 'tensors':
      return tensorsOf(random, spec);
    case 'bytes':
      return blobOf(random, spec);
    case 'file':
      return { name: 'x', mediaType: typeFor(random, spec), bytes: blobOf(random, spec) };
    case 'image':
      return pixelsOf(random, spec);
    case 'multipart':
      return formOf(random, spec, (name, field) => partOf(random, field, schemaOf(schema, root, name), root));
    case 'table':
      return columnsOf(random, spec);
    default:
      return jsonOf(random, spec, schema, root);
  }
}

/** A body of the media type `type`, or undefined where this fuzzer knows none. */
export async function mediaBytes(random, spec, type) {
  switch (spec.kind) {
    case 'text':
      return Buffer.from(textOf(random, spec));
    case 'bytes':
    case 'file':
      return blobOf(random, spec);
    case 'image':
      return pictureOf(random, spec, type).bytes;
    case 'table':
      return type === 'text/csv' ? Buffer.from(csvOf(random, spec)) : arrowOf(random, spec, type);
    default:
      return undefined;
  }
}

export function formOf(random, { fields, optional }, make) {
  const form = {};
  for (const [name, field] of Object.entries(fields)) {
    if (!optional.includes(name) || random.chance(0.5)) form[name] = make(name, field);
  }
  return form;
}

export function schemaOf(schema, root, name) {
  let at = schema;
  while (at?.$ref !== undefined) {
    at = at.$ref
      .slice(2)
      .split('/')
      .reduce((from, key) => from[key], root);
  }
  return at?.properties?.[name];
}

/** The first size of all that can have any is the same, as batches want it. */
function tensorsOf(random, { fields }) {
  const rows = random.between(1, MAX_ROWS);
  return mapObject(fields, (field) => tensorOf(random, field, rows));
}

export function tensorOf(
  random,
  { dtype, shape: pattern, allowNonFinite = false },
  rows = random.between(1, MAX_ROWS),
) {
  const shape = pattern.map((size, axis) => (size !== -1 ? size : axis === 0 ? rows : random.between(1, 3)));
  const count = shape.reduce((product, size) => product * size, 1);
  if (dtype === 'string')
    return new Tensor(
      dtype,
      shape,
      Array.from({ length: count }, () => random.text(6)),
    );
  const data = allocateData(dtype, count);
  const raw = random.bytes(data.byteLength);
  const tensor = new Tensor(dtype, shape, data);
  if (dtype === 'bool') for (const at of raw.keys()) raw[at] &= 1;
  bytesOf(tensor).set(raw);
  if (!allowNonFinite) keepFinite(random, tensor);
  return tensor;
}

function keepFinite(random, { dtype, data }) {
  for (const at of data.keys()) {
    if (dtype === 'float32' || dtype === 'float64') data[at] = Math.fround((random.real() - 0.5) * 1000);
    else if (dtype === 'float16') data[at] &= 0xbbff;
    else if (dtype === 'bfloat16') data[at] &= 0xbfff;
  }
}

function tensorJson(random, tensor) {
  const flat = Array.from(tensor.data, (element) => {
    if (tensor.dtype === 'bool') return element === 1;
    if (typeof element === 'bigint') return Number.isSafeInteger(Number(element)) ? Number(element) : String(element);
    if (tensor.dtype === 'float16' || tensor.dtype === 'bfloat16') return (element & 0xff) / 8;
    return element;
  });
  if (random.chance(0.3)) return { shape: [...tensor.shape], data: flat };
  if (random.chance(0.2) && tensor.dtype !== 'string') {
    return { shape: [...tensor.shape], data: Buffer.from(bytesOf(tensor)).toString('base64') };
  }
  return nested(flat, tensor.shape);
}

function nested(flat, [size, ...inner]) {
  if (size === undefined) return flat[0];
  const step = flat.length / size;
  return Array.from({ length: size }, (_, at) => nested(flat.slice(at * step, (at + 1) * step), inner));
}

const CELLS = {
  string: (random) => random.text(6),
  bool: (random) => random.chance(0.5),
  int32: (random) => random.between(-1e6, 1e6),
  int64: (random) => random.between(-1e9, 1e9),
  float32: (random) => (random.chance(0.1) ? null : Math.fround(random.real() * 100)),
  float64: (random) => (random.chance(0.1) ? null : random.real() * 1e10),
};
const ANY_COLUMNS = { a: 'float64', b: 'string', c: 'bool' };

function columnsOf(random, { columns, maxRows }) {
  const rows = random.between(1, Math.min(maxRows ?? MAX_ROWS, MAX_ROWS));
  return mapObject(columns ?? ANY_COLUMNS, (type) => Array.from({ length: rows }, () => CELLS[type](random)));
}

function tableJson(random, spec) {
  const columns = columnsOf(random, spec);
  return random.chance(0.5) ? columns : rowsOf(columns);
}

function rowsOf(columns) {
  const names = Object.keys(columns);
  const [first] = Object.values(columns);
  return first.map((_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
}

function csvOf(random, spec) {
  const columns = columnsOf(random, spec);
  const end = random.pick(['\n', '\r\n']);
  const quoted = (cell) => (cell === null ? '' : `"${String(cell).replaceAll('"', '""')}"`);
  const lines = rowsOf(columns).map((row) => Object.values(row).map(quoted).join());
  return [Object.keys(columns).map(quoted).join(), ...lines, ''].join(end);
}

const ARROW_TYPES = {
  string: () => new Utf8(),
  bool: () => new Bool(),
  int32: () => new Int32(),
  int64: () => new Int64(),
  float32: () => new Float32(),
  float64: () => new Float64(),
};

function arrowOf(random, spec, type) {
  const types = spec.columns ?? ANY_COLUMNS;
  const vectors = Object.entries(columnsOf(random, spec)).map(([name, cells]) => {
    const values = types[name] === 'int64' ? cells.map(BigInt) : cells;
    return [name, vectorFromArray(values, ARROW_TYPES[types[name]]())];
  });
  const form = type.endsWith('.file') ? 'file' : 'stream';
  return Buffer.from(tableToIPC(tableFromArrays(Object.fromEntries(vectors)), form));
}

function textOf(random, { maxLength }) {
  const text = random.text(Math.min(maxLength ?? 40, 40)).slice(0, maxLength ?? undefined);
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])/g, '');
}

function blobOf(random, { maxBytes }) {
  return random.bytes(random.below(Math.min(maxBytes ?? 200, 200) + 1));
}

export function typeFor(random, { mediaTypes }) {
  if (mediaTypes.length === 0) return random.pick(['application/octet-stream', 'text/plain', 'image/png', 'a/b']);
  return random.pick(mediaTypes).replace('*', 'x-any');
}

export function pictureOf(random, { mediaTypes, maxPixels }, type) {
  const known = PICTURES.filter(({ mediaType, pixels }) => mediaTypes.includes(mediaType) && pixels <= maxPixels);
  const exact = known.filter(({ mediaType }) => mediaType === type);
  return random.pick(exact.length > 0 ? exact : known);
}

function pixelsOf(random, { channels, maxPixels }) {
  const height = random.between(1, Math.min(8, maxPixels));
  return tensorOf(random, { dtype: 'uint8', shape: [height, random.between(1, 4), channels] });
}

function mapObject(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

export { DTYPES };
