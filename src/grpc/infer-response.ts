import type { InferResponse } from '../inference/infer-request.js';
import type { ModelStatistics } from '../inference/model-statistics.js';
import { toRaw } from '../inference/raw-elements.js';
import type { InferOutputTensor, ModelInferResponse, ModelStatisticsMessage } from './infer-messages.js';
import { isRawOnly, toContents } from './tensor-contents.js';

// What the room `inference` gives → the messages of answers.

/** Raw where the request was raw, or where an output has no typed form; never mixed. */
export function toResponseMessage(response: InferResponse, isRawRequest: boolean): ModelInferResponse {
  const { modelName, modelVersion, id, outputs } = response;
  const isRaw = isRawRequest || outputs.some(({ port }) => isRawOnly(port.dtype));
  const tensors: InferOutputTensor[] = outputs.map(({ port: { name, datatype }, tensor }) => {
    const { shape } = tensor;
    return isRaw ? { name, datatype, shape } : { name, datatype, shape, contents: toContents(tensor) };
  });
  return {
    model_name: modelName,
    model_version: modelVersion,
    id,
    outputs: tensors,
    raw_output_contents: isRaw ? outputs.map(({ tensor }) => toRaw(tensor)) : undefined,
  };
}

export function toStatisticsMessage(statistics: ModelStatistics): ModelStatisticsMessage {
  return {
    name: statistics.name,
    version: statistics.version,
    last_inference: statistics.lastInference,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: statistics.durations,
  };
}
