// A sound request for each RPC that a server has, as bytes.
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { bytesOf } from '../../dist/tensor/index.js';
import { DTYPES, jsonOf, tensorOf } from './spec-values.mjs';

const FOLDER = fileURLToPath(new URL('../../src/grpc/proto/', import.meta.url));
const FILES = ['inference', 'bentoml-v1', 'jubako'].map((name) => `${FOLDER}${name}.proto`);
const DTYPE_OF = Object.fromEntries(Object.entries(DTYPES).map(([dtype, { oip }]) => [oip, dtype]));
const REFLECTION = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);
/** Which list of InferTensorContents has the elements; the other dtypes go raw. */
const CONTENTS = {
  ...{ bool: 'bool_contents', int8: 'int_contents', int16: 'int_contents', int32: 'int_contents' },
  ...{ int64: 'int64_contents', uint8: 'uint_contents', uint16: 'uint_contents', uint32: 'uint_contents' },
  ...{ uint64: 'uint64_contents', float32: 'fp32_contents', float64: 'fp64_contents', string: 'bytes_contents' },
};
/** Lists of Series. */
const SERIES = {
  ...{ string: 'string_values', bool: 'bool_values', int32: 'int32_values', int64: 'int64_values' },
  ...{ float32: 'float_values', float64: 'double_values' },
};
/** RPCs that are answered OK where their request is sound; others are declared and refused. */
const ANSWERED = [
  ...['ServerLive', 'ServerReady', 'ModelReady', 'ServerMetadata', 'ModelMetadata', 'ModelInfer', 'ModelStreamInfer'],
  ...['ModelConfig', 'ModelStatistics', 'RepositoryIndex', 'SystemSharedMemoryStatus', 'CudaSharedMemoryStatus'],
  ...['Call', 'ServiceMetadata', 'CallStream', 'Check', 'List', 'Watch', 'ServerReflectionInfo'],
];
/** Ends when its client does. */
const ENDLESS = ['Watch'];

export class Rpcs {
  /** `{ path, name, decode, isStream, isAnswered, isEndless }`, APIs and models each by themselves. */
  targets = [];
  #models;

  /** @param document - OpenAPI. @param models - name → metadata. */
  constructor(document, models) {
    this.#models = models;
    const protos = loadSync([healthProto, ...FILES], { keepCase: true, enums: String, oneofs: true });
    for (const [service, methods] of Object.entries(protos)) {
      if (methods.format !== undefined) continue; // a message
      for (const method of Object.values(methods)) this.#add(service, method);
    }
    for (const path of REFLECTION) {
      const make = () => [Buffer.concat([Buffer.of(0x3a, 0)])]; // list_services: ''
      this.#push({ path, name: 'ServerReflectionInfo', make, decode: (bytes) => bytes, isStream: true });
    }
    this.#addApis(document, protos);
    this.#addModels(protos);
  }

  #add(service, { path, requestSerialize, responseDeserialize, responseStream }) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (['Call', 'CallStream', 'ModelInfer', 'ModelStreamInfer'].includes(name)) return;
    const [model] = this.#models.keys();
    const request = { name: service.includes('Health') ? '' : model, model_name: model };
    this.#push({
      path,
      name,
      make: () => [requestSerialize(request)],
      decode: responseDeserialize,
      isStream: responseStream,
    });
  }

  #addApis(document, protos) {
    for (const [path, { post }] of Object.entries(document.paths)) {
      const { api, input, output } = post?.['x-jubako'] ?? {};
      if (api === undefined || path === '/flood' || path === '/quiet') continue;
      const isStream = output.kind === 'stream';
      const method = isStream ? protos['jubako.v1.Jubako'].CallStream : protos['bentoml.grpc.v1.BentoService'].Call;
      const schema = post.requestBody.content['application/json'].schema;
      this.#push({
        path: method.path,
        name: isStream ? 'CallStream' : 'Call',
        make: (random) => [method.requestSerialize({ api_name: api, ...contentOf(random, input, schema, document) })],
        decode: method.responseDeserialize,
        isStream,
      });
    }
  }

  #addModels(protos) {
    const { ModelInfer, ModelStreamInfer } = protos['inference.GRPCInferenceService'];
    for (const [model, { inputs }] of this.#models) {
      const make = (random) => ModelInfer.requestSerialize(inferRequest(random, model, inputs));
      const { path, responseDeserialize: decode } = ModelInfer;
      if (!model.endsWith('.count')) this.#push({ path, name: 'ModelInfer', make: (random) => [make(random)], decode });
      this.#push({
        path: ModelStreamInfer.path,
        name: 'ModelStreamInfer',
        make: (random) => Array.from({ length: random.below(4) }, () => make(random)),
        decode: ModelStreamInfer.responseDeserialize,
        isStream: true,
      });
    }
  }

  #push(target) {
    const { name } = target;
    this.targets.push({ ...target, isAnswered: ANSWERED.includes(name), isEndless: ENDLESS.includes(name) });
  }
}

/** The content of a Request of BentoML, in one of the forms that the API takes. */
function contentOf(random, input, schema, document) {
  const isPlain = random.chance(0.5);
  if (isPlain && input.kind === 'tensor' && NDARRAY[input.dtype] !== undefined)
    return { ndarray: ndarrayOf(random, input) };
  if (isPlain && input.kind === 'table' && input.columns !== null)
    return { dataframe: dataframeOf(random, input.columns) };
  const json = jsonOf(random, input, schema, document);
  if (isPlain && input.kind === 'text') return { text: { value: json } };
  if (isPlain && input.kind === 'bytes') return { serialized_bytes: Buffer.from(json, 'base64') };
  return { json: toValue(json) };
}

const NDARRAY = {
  ...{ float32: 'float_values', float64: 'double_values', bool: 'bool_values', int32: 'int32_values' },
  ...{ int64: 'int64_values', uint32: 'uint32_values', uint64: 'uint64_values', string: 'string_values' },
};

function ndarrayOf(random, spec) {
  const { dtype, shape, data } = tensorOf(random, spec);
  return { shape, [NDARRAY[dtype]]: plainElements(dtype, data) };
}

function dataframeOf(random, columns) {
  const rows = random.between(1, 3);
  const cells = { string: 'x', bool: true, int32: -7, int64: '9007199254740993', float32: 0.5, float64: 1e300 };
  return {
    column_names: Object.keys(columns),
    columns: Object.values(columns).map((type) => ({ [SERIES[type]]: Array(rows).fill(cells[type]) })),
  };
}

function toValue(json) {
  if (json === null || json === undefined) return { nullValue: 'NULL_VALUE' };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  return {
    structValue: { fields: Object.fromEntries(Object.entries(json).map(([key, value]) => [key, toValue(value)])) },
  };
}

function inferRequest(random, model, inputs) {
  const rows = random.between(1, 3);
  const isRaw = random.chance(0.5) || inputs.some(({ datatype }) => CONTENTS[DTYPE_OF[datatype]] === undefined);
  const raw = [];
  const list = inputs.map(({ name, datatype, shape: pattern }) => {
    const dtype = DTYPE_OF[datatype];
    const isDocument = dtype === 'string' && pattern.length === 1;
    const documents = () => Array.from({ length: rows }, () => (model.includes('count') ? '3' : '{"text":"a b"}'));
    const { shape, data, ...tensor } = isDocument
      ? { shape: [rows], data: documents() }
      : tensorOf(random, { dtype, shape: pattern }, rows);
    if (!isRaw) return { name, datatype, shape, contents: { [CONTENTS[dtype]]: contentsOf(dtype, data) } };
    raw.push(dtype === 'string' ? withLengths(data) : Buffer.from(bytesOf({ ...tensor, shape, data })));
    return { name, datatype, shape };
  });
  const parameters = random.chance(0.2) ? { priority: { int64_param: '1' } } : undefined;
  return { model_name: model, id: random.text(6), inputs: list, raw_input_contents: raw, parameters };
}

function contentsOf(dtype, data) {
  return dtype === 'string' ? Array.from(data, (text) => Buffer.from(text)) : plainElements(dtype, data);
}

function plainElements(dtype, data) {
  return Array.from(data, (element) => {
    if (dtype === 'bool') return element === 1;
    return typeof element === 'bigint' ? element.toString() : element;
  });
}

function withLengths(texts) {
  return Buffer.concat(
    Array.from(texts, (text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length, 0);
      return Buffer.concat([length, bytes]);
    }),
  );
}
