// The gRPC services of the bench as Jubako's .proto files declare them, loaded as it loads them: both servers of a case decode
// and encode the same messages by the same code.
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';

const FOLDER = fileURLToPath(new URL('../../src/grpc/proto/', import.meta.url));
const FILES = ['inference.proto', 'bentoml-v1.proto', 'jubako.proto'];

const protos = loadSync(
  FILES.map((file) => `${FOLDER}${file}`),
  { keepCase: true, enums: String, oneofs: true },
);

export const BENTO = protos['bentoml.grpc.v1.BentoService'];
export const INFERENCE = protos['inference.GRPCInferenceService'];
export const STREAMS = protos['jubako.v1.Jubako'];

/** A JSON value of plain objects, lists, texts, numbers and booleans as google.protobuf.Value. */
export function toValue(json) {
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  return {
    structValue: { fields: Object.fromEntries(Object.entries(json).map(([key, item]) => [key, toValue(item)])) },
  };
}

/** A call of a float32 model whose one input has that shape, with raw contents. */
export function inferRequest(model, shape, bytes) {
  return {
    model_name: model,
    inputs: [{ name: 'input', datatype: 'FP32', shape }],
    raw_input_contents: [bytes],
  };
}
