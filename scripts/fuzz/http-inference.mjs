// Bodies of the Open Inference Protocol for the models that a server says it has.
import { bytesOf } from '../../dist/tensor/index.js';
import { DTYPES, tensorOf } from './spec-values.mjs';

const MODEL = /^\/v2\/models\/([^/]+)/;
const DTYPE_OF = Object.fromEntries(Object.entries(DTYPES).map(([dtype, { oip }]) => [oip, dtype]));

/**
 * A sound request for the model that `url` names: all inputs, as JSON or as raw elements behind it.
 * @param type - `application/octet-stream`: raw elements. @returns `{ body, json, headers }`
 */
export function inferenceBody(random, models, url, type) {
  const { inputs, platform } = models.get(decodeURIComponent(MODEL.exec(url)[1]));
  const isBinary = type !== 'application/json';
  const raw = [];
  const rows = random.between(1, 3);
  const json = {
    inputs: inputs.map(({ name, datatype, shape }) =>
      inputOf(random, name, datatype, shape, rows, isBinary, raw, platform),
    ),
  };
  if (random.chance(0.3)) json.id = random.text(8);
  if (random.chance(0.3)) json.parameters = { binary_data_output: random.chance(0.5) };
  if (random.chance(0.2)) json.parameters = { ...json.parameters, priority: random.pick([0, 1, 2]), custom: 'x' };
  const text = Buffer.from(JSON.stringify(json));
  const headers = isBinary ? [['Inference-Header-Content-Length', String(text.length)]] : [];
  return { body: Buffer.concat([text, ...raw]), json, headers };
}

function inputOf(random, name, datatype, pattern, rows, isBinary, raw) {
  const dtype = DTYPE_OF[datatype];
  // A model of documents takes texts of JSON that its schema allows.
  if (dtype === 'string' && pattern.length === 1) {
    const texts = Array.from({ length: rows }, () => JSON.stringify({ text: random.text(8) }));
    return textInput(random, name, [rows], texts, isBinary, raw);
  }
  const tensor = tensorOf(random, { dtype, shape: pattern, allowNonFinite: false }, rows);
  const shape = [...tensor.shape];
  if (dtype === 'string') return textInput(random, name, shape, tensor.data, isBinary, raw);
  if (isBinary || dtype === 'float16' || dtype === 'bfloat16') {
    if (!isBinary) return { name, datatype, shape, data: Array.from(tensor.data, (bits) => (bits & 0xff) / 4) };
    const bytes = Buffer.from(bytesOf(tensor));
    raw.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  }
  const data = Array.from(tensor.data, (element) => {
    if (dtype === 'bool') return element === 1;
    return typeof element === 'bigint' ? Number(BigInt.asIntN(40, element) & 0xffffn) : element;
  });
  return { name, datatype, shape, data };
}

function textInput(random, name, shape, texts, isBinary, raw) {
  if (!isBinary || random.chance(0.5)) return { name, datatype: 'BYTES', shape, data: [...texts] };
  const pieces = [...texts].flatMap((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length, 0);
    return [length, bytes];
  });
  const bytes = Buffer.concat(pieces);
  raw.push(bytes);
  return { name, datatype: 'BYTES', shape, parameters: { binary_data_size: bytes.length } };
}
