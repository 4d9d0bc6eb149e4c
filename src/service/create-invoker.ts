import { JubakoError } from '../errors.js';
import type { ApiDefinition, AnyRunners, MethodDefinition, ServiceDefinition } from './define.js';
import type { ApiCall, CallContext, Invoker, RunnerCall } from './invoke.js';

// V1 A call settles by whichever comes first: its answer, its failure, its deadline, its caller's leaving. A handler or a
//    model that ignores its signal delays nobody.
// V2 What the handler gives a runner is checked here: a wrong tensor is the handler's fault (USER_CODE), not the client's.

/** The runner tier as the invoker sees it: resolves with the output value, rejects with a JubakoError, fills `timing`. */
export type RunnerTransport = (call: RunnerCall) => Promise<unknown>;

export interface InvokerOptions {
  readonly service: ServiceDefinition;
  /** Limit for a call that brings no deadline of its own, in ms; 0 = none. */
  readonly timeoutMs: number;
  readonly transport: RunnerTransport;
}

export function createInvoker(options: InvokerOptions): Invoker {
  const { service, transport } = options;
  const methods = new Map<string, MethodDefinition>();
  for (const runner of service.runners) {
    for (const [name, method] of Object.entries(runner.methods)) methods.set(`${runner.name}.${name}`, method);
  }
  const RunnersOfCall = createRunnersClass(service, transport);

  const runApi = async (api: ApiDefinition, call: ApiCall, limits: Limits): Promise<unknown> => {
    const input = call.isJson ? api.input.fromJson(call.input) : api.input.check(call.input);
    const runners = new RunnersOfCall(call, limits) as unknown as AnyRunners;
    let output: unknown;
    try {
      output = await api.handler(input, { runners, signal: limits.signal, requestId: call.requestId });
    } catch (thrown) {
      throw JubakoError.from(thrown, 'USER_CODE');
    }
    return checkOutput(() => api.output.check(output), `API "${call.api}"`);
  };

  return {
    callApi(call) {
      const api = Object.hasOwn(service.apis, call.api) ? service.apis[call.api] : undefined;
      if (api === undefined) {
        const known = Object.keys(service.apis).join(', ');
        return Promise.reject(new JubakoError('NOT_FOUND', `Cannot find the API "${call.api}": the APIs are ${known}`));
      }
      return withLimits(call, options.timeoutMs, (limits) => runApi(api, call, limits));
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
      return withLimits(call, options.timeoutMs, async (limits) => {
        const input = method.input.check(call.input);
        return transport({ ...call, ...limits, input });
      });
    },
  };
}

interface Limits {
  readonly signal: AbortSignal;
  readonly deadlineAtMs: number | undefined;
}

/** Runs `work` under the caller's cancellation and the nearer of the two deadlines (V1). */
function withLimits(
  call: CallContext,
  timeoutMs: number,
  work: (limits: Limits) => Promise<unknown>,
): Promise<unknown> {
  const startedAtMs = performance.now();
  const limitAtMs = timeoutMs > 0 ? startedAtMs + timeoutMs : Infinity;
  const deadlineAtMs = Math.min(call.deadlineAtMs ?? Infinity, limitAtMs);
  const leftMs = deadlineAtMs - startedAtMs;
  if (leftMs <= 0)
    return Promise.reject(new JubakoError('DEADLINE_EXCEEDED', 'Cannot start the request: its deadline has passed'));
  if (call.signal.aborted) return Promise.reject(callerGone());

  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    const end = (error: JubakoError): void => {
      reject(error);
      controller.abort(error);
    };
    const onGone = (): void => {
      end(callerGone());
    };
    const timer =
      deadlineAtMs === Infinity
        ? undefined
        : setTimeout(() => {
            end(
              new JubakoError(
                'DEADLINE_EXCEEDED',
                `Cannot answer within ${Math.round(leftMs)} ms: the deadline has passed`,
              ),
            );
          }, Math.ceil(leftMs));
    call.signal.addEventListener('abort', onGone, { once: true });
    const finish = (): void => {
      clearTimeout(timer);
      call.signal.removeEventListener('abort', onGone);
    };
    work({ signal: controller.signal, deadlineAtMs: deadlineAtMs === Infinity ? undefined : deadlineAtMs }).then(
      (output) => {
        finish();
        resolve(output);
      },
      (thrown: unknown) => {
        finish();
        reject(JubakoError.from(thrown));
      },
    );
  });
}

function callerGone(): JubakoError {
  return new JubakoError('CLIENT_GONE', 'The caller has gone before the answer');
}

function checkOutput(check: () => unknown, where: string): unknown {
  try {
    return check();
  } catch (thrown) {
    throw new JubakoError(
      'USER_CODE',
      `${where} gave an output that does not fit its descriptor: ${JubakoError.from(thrown).message}`,
      { cause: thrown },
    );
  }
}

// Symbols: the instances below carry the users' runner and method names as properties.
const CALL = Symbol('call');
const LIMITS = Symbol('limits');

type RunnersClass = new (call: ApiCall, limits: Limits) => object;

/**
 * A class whose instances are the `runners` of one call. The methods stand on prototypes made once, so that a call costs
 * one object and one more per runner that it uses.
 */
function createRunnersClass(service: ServiceDefinition, transport: RunnerTransport): RunnersClass {
  class Bound {
    readonly [CALL]: ApiCall;
    readonly [LIMITS]: Limits;
    constructor(call: ApiCall, limits: Limits) {
      this[CALL] = call;
      this[LIMITS] = limits;
    }
  }
  class RunnersOfCall extends Bound {}
  for (const runner of service.runners) {
    class BoundRunner extends Bound {}
    for (const [name, method] of Object.entries(runner.methods)) {
      const label = `the input of runners.${runner.name}.${name}`;
      Object.defineProperty(BoundRunner.prototype, name, {
        async value(this: Bound, input: unknown): Promise<unknown> {
          const { [CALL]: call, [LIMITS]: limits } = this;
          const checked = checkOutput(() => method.input.check(input), label);
          return transport({
            runner: runner.name,
            method: name,
            input: checked,
            requestId: call.requestId,
            signal: limits.signal,
            deadlineAtMs: limits.deadlineAtMs,
            timing: call.timing,
          });
        },
      });
    }
    Object.defineProperty(RunnersOfCall.prototype, runner.name, {
      get(this: Bound): BoundRunner {
        return new BoundRunner(this[CALL], this[LIMITS]);
      },
    });
  }
  return RunnersOfCall;
}
