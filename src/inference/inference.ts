import { JubakoError } from '../errors.js';
import type { Priority } from '../service/define.js';
import { newTiming, type CallContext, type Invoker, type RunnerCall } from '../service/invoke.js';
import type { Timing } from '../telemetry/request-log.js';
import type { InferRequest, InferResponse } from './infer-request.js';
import type { CountedCall, RequestTimes, StatisticsBook } from './model-statistics.js';
import type { Model } from './models.js';
import { requestedOutputs, toOutputs } from './outputs.js';
import { priorityOf, refuseRequestParameters, timeoutMsOf } from './parameters.js';
import type { Port } from './ports.js';
import { readInputs, rowsOf } from './read-inputs.js';

// From a request to its answers: I1 everything here fails with a JubakoError only, and is counted once when it is over.

/** What is called, and how. */
interface Plan {
  readonly model: Model;
  readonly ports: readonly Port[];
  /** What each call gets; more than one only for a model with a JSON input. */
  readonly values: readonly unknown[];
  readonly priority: Priority;
  readonly call: CallContext;
  readonly startedAtMs: number;
  readonly readAtMs: number;
}

export class Inference {
  readonly #invoker: Invoker;
  readonly #statistics: StatisticsBook;

  constructor(invoker: Invoker, statistics: StatisticsBook) {
    this.#invoker = invoker;
    this.#statistics = statistics;
  }

  /** @param model - the one that the request names. */
  async infer(model: Model, request: InferRequest, call: CallContext): Promise<InferResponse> {
    const startedAtMs = performance.now();
    try {
      if (model.isStream) {
        throw new JubakoError(
          'INVALID_INPUT',
          `Cannot infer with the model "${request.modelName}": it gives a stream of answers; call it by the gRPC method ModelStreamInfer`,
        );
      }
      const plan = prepare(model, request, call, startedAtMs);
      const values = await this.#callAll(plan);
      const answeredAtMs = performance.now();
      const outputs = toOutputs(model, plan.ports, values.outputs);
      this.#statistics.succeeded(model, values.calls, timesOf(plan, answeredAtMs, performance.now()));
      return respond(model, request, outputs);
    } catch (thrown) {
      this.#statistics.failed(model, performance.now() - startedAtMs);
      throw JubakoError.from(thrown);
    }
  }

  /** The answers of a model that streams; the call begins with the first `next()`. */
  async *stream(
    model: Model,
    request: InferRequest,
    call: CallContext,
  ): AsyncGenerator<InferResponse, void, undefined> {
    const startedAtMs = performance.now();
    let isOver = false;
    try {
      const plan = prepare(model, request, call, startedAtMs);
      const [input] = plan.values;
      if (plan.values.length !== 1) throw wrongNumber(plan.values.length, 'each gives a stream of answers');
      for await (const value of this.#invoker.streamRunner(toRunnerCall(plan, input, call.timing))) {
        yield respond(model, request, toOutputs(model, plan.ports, [value]));
      }
      isOver = true;
      const endedAtMs = performance.now();
      const counted = [{ rows: 1, timing: call.timing }];
      this.#statistics.succeeded(model, counted, timesOf(plan, endedAtMs, endedAtMs));
    } catch (thrown) {
      throw JubakoError.from(thrown);
    } finally {
      if (!isOver) this.#statistics.failed(model, performance.now() - startedAtMs);
    }
  }

  async #callAll(
    plan: Plan,
  ): Promise<{ readonly outputs: readonly unknown[]; readonly calls: readonly CountedCall[] }> {
    const { model, values, call } = plan;
    const [first] = values;
    if (values.length === 1) {
      const output = await this.#invoker.callRunner(toRunnerCall(plan, first, call.timing));
      return { outputs: [output], calls: [{ rows: rowsOf(model, first), timing: call.timing }] };
    }
    if (model.outputs.kind !== 'json') throw wrongNumber(values.length, 'the output is not JSON');
    const calls = values.map(() => ({ rows: 1, timing: newTiming() }));
    try {
      const outputs = await Promise.all(
        values.map((value, i) => this.#invoker.callRunner(toRunnerCall(plan, value, (calls[i] as CountedCall).timing))),
      );
      return { outputs, calls };
    } catch (thrown) {
      call.cancellation.cancel(new JubakoError('CLIENT_GONE', 'Another document of the same request has failed'));
      throw thrown;
    } finally {
      addTimings(call, calls);
    }
  }
}

/** @throws {JubakoError} INVALID_INPUT */
function prepare(model: Model, request: InferRequest, call: CallContext, startedAtMs: number): Plan {
  const { parameters } = request;
  refuseRequestParameters(parameters);
  const ports = requestedOutputs(model, request.outputs);
  const priority = priorityOf(parameters);
  const timeoutMs = timeoutMsOf(parameters);
  const values = readInputs(model, request.inputs);
  return {
    model,
    ports,
    values,
    priority,
    call: timeoutMs === Infinity ? call : withDeadline(call, startedAtMs + timeoutMs),
    startedAtMs,
    readAtMs: performance.now(),
  };
}

function toRunnerCall({ model, priority, call }: Plan, input: unknown, timing: Timing): RunnerCall {
  const { requestId, cancellation, deadlineAtMs } = call;
  const { runner, method } = model;
  return { runner, method, input, priority, requestId, cancellation, deadlineAtMs, timing };
}

function withDeadline({ requestId, cancellation, deadlineAtMs, timing }: CallContext, atMs: number): CallContext {
  return { requestId, cancellation, deadlineAtMs: Math.min(deadlineAtMs ?? Infinity, atMs), timing };
}

function timesOf({ startedAtMs, readAtMs }: Plan, answeredAtMs: number, endedAtMs: number): RequestTimes {
  return { startedAtMs, readAtMs, answeredAtMs, endedAtMs };
}

function respond(model: Model, { modelName, id }: InferRequest, outputs: InferResponse['outputs']): InferResponse {
  return { modelName, modelVersion: model.version, id, outputs };
}

function wrongNumber(count: number, why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the input: it has ${count} documents; wanted 1, since ${why}`);
}

function addTimings({ timing }: CallContext, calls: readonly CountedCall[]): void {
  for (const { timing: one } of calls) {
    timing.queueMs += one.queueMs;
    timing.batchMs += one.batchMs;
    timing.computeMs += one.computeMs;
    timing.batchRows = Math.max(timing.batchRows, one.batchRows);
  }
}
