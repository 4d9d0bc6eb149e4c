import type { Cancellation, CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import { createRunnersClass, endStreams, type RunnerTransport } from './bound-runners.js';
import type { AnyRunners, ApiDefinition, HandlerContext, MethodDefinition, ServiceDefinition } from './define.js';
import type { ApiCall, CallContext, Invoker } from './invoke.js';
import { allRunners } from './manifest-of.js';
import { misfit } from './misfit.js';

// V1 A call settles by whichever comes first: its answer, its failure, its deadline, its caller's leaving. A handler or a
//    model that ignores its signal delays nobody.
// V2 With the call end the streams that its handler opened and did not read to the end.

export type { RunnerTransport } from './bound-runners.js';

export interface InvokerOptions {
  readonly service: ServiceDefinition;
  /** Limit for a call that brings no deadline of its own, in ms; 0 = none. */
  readonly timeoutMs: number;
  readonly transport: RunnerTransport;
}

export function createInvoker(options: InvokerOptions): Invoker {
  const { service, transport } = options;
  const methods = new Map<string, MethodDefinition>();
  for (const runner of allRunners(service)) {
    for (const [name, method] of Object.entries(runner.methods)) methods.set(`${runner.name}.${name}`, method);
  }
  const RunnersOfCall = createRunnersClass(service.runners, transport);

  const runApi = async (api: ApiDefinition, call: ApiCall, deadlineAtMs: number | undefined): Promise<unknown> => {
    const { requestId, cancellation, timing } = call;
    const input = call.isJson ? api.input.fromJson(call.input) : api.input.check(call.input);
    const runners = new RunnersOfCall({ requestId, cancellation, deadlineAtMs, timing });
    let output: unknown;
    try {
      output = await api.handler(input, new ContextOfHandler(call, runners));
    } catch (thrown) {
      throw JubakoError.from(thrown, 'USER_CODE');
    } finally {
      endStreams(runners); // V2
    }
    try {
      return api.output.check(output);
    } catch (thrown) {
      throw misfit(`API "${call.api}"`, thrown);
    }
  };

  return {
    callApi(call) {
      const api = Object.hasOwn(service.apis, call.api) ? service.apis[call.api] : undefined;
      if (api === undefined) {
        const known = Object.keys(service.apis).join(', ');
        return Promise.reject(new JubakoError('NOT_FOUND', `Cannot find the API "${call.api}": the APIs are ${known}`));
      }
      return withLimits(call, options.timeoutMs, (deadlineAtMs) => runApi(api, call, deadlineAtMs));
    },
    callRunner(call) {
      const method = methods.get(`${call.runner}.${call.method}`);
      if (method === undefined) {
        const known = [...methods.keys()].join(', ');
        return Promise.reject(
          new JubakoError(
            'NOT_FOUND',
            `Cannot find the method "${call.runner}.${call.method}": the methods are ${known}`,
          ),
        );
      }
      if (method.output.spec.kind === 'stream') {
        return Promise.reject(
          new JubakoError(
            'INVALID_INPUT',
            `Cannot call "${call.runner}.${call.method}" from outside: it gives a stream, which this protocol does not carry`,
          ),
        );
      }
      return withLimits(call, options.timeoutMs, async (deadlineAtMs) => {
        const input = method.input.check(call.input);
        return transport.call({ ...call, deadlineAtMs, input });
      });
    },
  };
}

/** The signal is made when the handler asks for it: most pass it on by their runner calls only. */
class ContextOfHandler implements HandlerContext {
  readonly runners: AnyRunners;
  readonly requestId: string;
  readonly #cancellation: Cancellation;

  constructor({ cancellation, requestId }: ApiCall, runners: AnyRunners) {
    this.runners = runners;
    this.requestId = requestId;
    this.#cancellation = cancellation;
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }
}

/** Runs `work` until it ends, or the call is cancelled, or the nearer of the two deadlines passes (V1). */
function withLimits(
  call: CallContext,
  timeoutMs: number,
  work: (deadlineAtMs: number | undefined) => Promise<unknown>,
): Promise<unknown> {
  const nowMs = performance.now();
  const deadlineAtMs = Math.min(call.deadlineAtMs ?? Infinity, timeoutMs > 0 ? nowMs + timeoutMs : Infinity);
  const leftMs = deadlineAtMs - nowMs;
  if (leftMs <= 0) {
    return Promise.reject(new JubakoError('DEADLINE_EXCEEDED', 'Cannot start the request: its deadline has passed'));
  }
  if (call.cancellation.reason !== undefined) return Promise.reject(call.cancellation.reason);
  return new Promise((resolve, reject) => {
    const limited = new LimitedCall(call.cancellation, leftMs, reject);
    work(deadlineAtMs === Infinity ? undefined : deadlineAtMs).then(
      (output) => {
        limited.end();
        resolve(output);
      },
      (thrown: unknown) => {
        limited.end();
        reject(JubakoError.from(thrown));
      },
    );
  });
}

/** The watch over one call: its timer, and its place among those that the cancellation tells. */
class LimitedCall implements CancelTarget {
  readonly #cancellation: Cancellation;
  readonly #leftMs: number;
  readonly #reject: (error: JubakoError) => void;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(cancellation: Cancellation, leftMs: number, reject: (error: JubakoError) => void) {
    this.#cancellation = cancellation;
    this.#leftMs = leftMs;
    this.#reject = reject;
    cancellation.add(this);
    this.#timer = leftMs === Infinity ? undefined : setTimeout(expire, Math.ceil(leftMs), this);
  }

  expire(): void {
    const limit = `${Math.round(this.#leftMs)} ms`;
    this.#cancellation.cancel(
      new JubakoError('DEADLINE_EXCEEDED', `Cannot answer within ${limit}: the deadline has passed`),
    );
  }

  onCancel(reason: JubakoError): void {
    this.end();
    this.#reject(reason);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#cancellation.remove(this);
  }
}

function expire(call: LimitedCall): void {
  call.expire();
}
