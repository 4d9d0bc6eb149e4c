import { Cancellation, type CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { InferResponse } from '../inference/infer-request.js';
import type { Model } from '../inference/models.js';
import type { OpenInference } from '../inference/open-inference.js';
import { flagOf } from '../inference/parameters.js';
import { newTiming, type CallContext } from '../service/invoke.js';
import type { Admission } from './admission.js';
import { InOrder } from './in-order.js';
import type { ModelInferRequest, ModelInferResponse, ModelStreamInferResponse } from './infer-messages.js';
import { toInferRequest, toParameters } from './infer-request.js';
import { toResponseMessage } from './infer-response.js';
import type { Refuse, Rpc } from './rpc.js';

// ModelStreamInfer as Triton's clients use it.
// F1 Requests are worked on at the same time, and answered in the order in which they came.
// F2 A request that fails is answered by `error_message`, with its id beside; the others go on.
// F3 Every answer says in `triton_final_response` whether it is the last one to its request. That a model which streams has
//    ended is known after its last answer: a client that wants to know asks for an empty one
//    (`triton_enable_empty_final_response`).
// F4 A server that drains answers what it has begun, and then ends the stream: the client connects to another worker.

// Of one stream at a time: enough to fill a batch of the usual size; and where they are large, no more than this of them.
const MAX_REQUESTS = 64;
const MAX_BYTES = 64 * 1024 * 1024;

const FINAL = 'triton_final_response';
const WANTS_EMPTY_FINAL = 'triton_enable_empty_final_response';

export interface StreamInferOptions {
  readonly open: OpenInference;
  readonly admission: Admission;
  readonly refuse: Refuse;
}

export function streamInfer(
  requests: AsyncIterable<ModelInferRequest>,
  rpc: Rpc,
  options: StreamInferOptions,
): AsyncIterable<ModelStreamInferResponse> {
  const answers = new InOrder<ModelInferRequest, ModelStreamInferResponse>(requests, {
    maxRequests: MAX_REQUESTS,
    maxBytes: MAX_BYTES,
    bytesOf,
    answersTo: (message) => new Answers(message, rpc, options),
  });
  // F4
  rpc.endSoon = (error): void => {
    answers.endWith(error);
  };
  return answers;
}

/** Of what is large in a request. */
function bytesOf({ raw_input_contents: raw, inputs }: ModelInferRequest): number {
  let byteLength = 0;
  for (const { length } of raw ?? []) byteLength += length;
  for (const { contents } of inputs ?? []) {
    for (const list of Object.values(contents ?? {})) byteLength += (list as readonly unknown[]).length * TYPED_BYTES;
  }
  return byteLength;
}

/** Of an element of typed contents, as an estimate. */
const TYPED_BYTES = 8;

/** The answers to one request; fails never (F2). */
class Answers implements AsyncIterator<ModelStreamInferResponse, void> {
  readonly #call: StreamedCall;
  readonly #answers: AsyncGenerator<ModelStreamInferResponse, void, undefined>;

  constructor(message: ModelInferRequest, rpc: Rpc, options: StreamInferOptions) {
    this.#call = new StreamedCall(rpc);
    this.#answers = answersTo(message, rpc, this.#call, options);
  }

  next(): Promise<IteratorResult<ModelStreamInferResponse, void>> {
    return this.#answers.next();
  }

  /** What runs for it is told to end. */
  return(): Promise<IteratorResult<ModelStreamInferResponse, void>> {
    this.#call.cancellation.cancel(new JubakoError('CLIENT_GONE', 'Nobody reads the answers to the request any more'));
    return this.#answers.return();
  }
}

async function* answersTo(
  message: ModelInferRequest,
  rpc: Rpc,
  call: StreamedCall,
  { open, admission, refuse }: StreamInferOptions,
): AsyncGenerator<ModelStreamInferResponse, void, undefined> {
  let leave: (() => void) | undefined;
  try {
    leave = admission.enter();
    const model = open.find(message.model_name ?? '', message.model_version ?? '');
    yield* model.isStream ? many(open, model, message, call) : one(open, model, message, call);
  } catch (thrown) {
    yield failed(message, refuse(thrown, rpc).details);
  } finally {
    call.end();
    leave?.();
  }
}

async function* one(
  { inference }: OpenInference,
  model: Model,
  message: ModelInferRequest,
  call: CallContext,
): AsyncGenerator<ModelStreamInferResponse, void, undefined> {
  const response = await inference.infer(model, toInferRequest(message), call);
  yield { infer_response: withFinal(toMessage(message, response), true) };
}

async function* many(
  { inference }: OpenInference,
  model: Model,
  message: ModelInferRequest,
  call: CallContext,
): AsyncGenerator<ModelStreamInferResponse, void, undefined> {
  const wantsEmptyFinal = flagOf(toParameters(message.parameters), WANTS_EMPTY_FINAL) ?? false;
  for await (const response of inference.stream(model, toInferRequest(message), call)) {
    yield { infer_response: withFinal(toMessage(message, response), false) };
  }
  if (wantsEmptyFinal) yield { infer_response: withFinal(emptyAnswer(message, model.version), true) };
}

function toMessage({ raw_input_contents: raw }: ModelInferRequest, response: InferResponse): ModelInferResponse {
  return toResponseMessage(response, raw !== undefined);
}

function failed(message: ModelInferRequest, text: string): ModelStreamInferResponse {
  const answer = emptyAnswer(message, message.model_version ?? '');
  return { error_message: text, infer_response: withFinal(answer, true) };
}

function emptyAnswer({ model_name = '', id = '' }: ModelInferRequest, version: string): ModelInferResponse {
  return { model_name, model_version: version, id, outputs: [] };
}

function withFinal(response: ModelInferResponse, isFinal: boolean): ModelInferResponse {
  return { ...response, parameters: { [FINAL]: { bool_param: isFinal } } };
}

/** One request of a stream: ends with the RPC, but can be given up without it. */
class StreamedCall implements CallContext, CancelTarget {
  readonly requestId: string;
  readonly deadlineAtMs: number | undefined;
  readonly timing = newTiming();
  readonly cancellation = new Cancellation();
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
    this.requestId = rpc.requestId;
    this.deadlineAtMs = rpc.deadlineAtMs;
    const { reason } = rpc.cancellation;
    if (reason === undefined) rpc.cancellation.add(this);
    else this.cancellation.cancel(reason);
  }

  onCancel(reason: JubakoError): void {
    this.cancellation.cancel(reason);
  }

  end(): void {
    this.#rpc.cancellation.remove(this);
    const { timing } = this.#rpc;
    timing.queueMs += this.timing.queueMs;
    timing.batchMs += this.timing.batchMs;
    timing.computeMs += this.timing.computeMs;
    timing.batchRows = Math.max(timing.batchRows, this.timing.batchRows);
  }
}
