import { Cancellation, type CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { AnyRunners, CallOptions, MethodDefinition, Priority, RunnerDefinition } from './define.js';
import type { CallContext, RunnerCall } from './invoke.js';

// `runners.digits.predict(…)` of handlers and of models: the calls that belong to one request.
// R1 The methods stand on prototypes made once; a request costs one object, and one more each time it names a runner.
// R2 What user code gives is checked here: a wrong input or option is its own fault (USER_CODE), not the client's.
// R3 A stream that was left open ends with the request, at the runner too (`endStreams`).

/** The runner tier as callers see it: what fails is a JubakoError, and `timing` of the call is filled. */
export interface RunnerTransport {
  call(call: RunnerCall): Promise<unknown>;
  /** Fails while it is iterated; `return()` and the cancellation of the call end it at the runner. */
  stream(call: RunnerCall): AsyncIterable<unknown>;
}

export type RunnersClass = new (call: CallContext) => AnyRunners;

// Symbols: the instances below carry the users' runner and method names as properties.
const CALL = Symbol('call');
const STREAMS = Symbol('streams');
const OF = Symbol('of');

class Runners {
  readonly [CALL]: CallContext;
  /** Open ones; null: the request has ended. */
  [STREAMS]: Set<BoundStream> | undefined | null = undefined;
  constructor(call: CallContext) {
    this[CALL] = call;
  }
}

class Bound {
  readonly [OF]: Runners;
  constructor(runners: Runners) {
    this[OF] = runners;
  }
}

/** A class whose instances are the `runners` of one request, with the given ones as properties. */
export function createRunnersClass(runners: readonly RunnerDefinition[], transport: RunnerTransport): RunnersClass {
  class RunnersOfCall extends Runners {}
  for (const runner of runners) {
    class BoundRunner extends Bound {}
    for (const [name, method] of Object.entries(runner.methods)) {
      const call = createMethod(runner.name, name, method, transport);
      Object.defineProperty(BoundRunner.prototype, name, {
        // A function of its own each time, so that `const { predict } = runners.digits` can be called.
        get(this: Bound): (input: unknown, options?: CallOptions) => unknown {
          const { [OF]: of } = this;
          return (input, options) => call(of, input, options);
        },
      });
    }
    Object.defineProperty(RunnersOfCall.prototype, runner.name, {
      get(this: Runners): BoundRunner {
        return new BoundRunner(this);
      },
    });
  }
  return RunnersOfCall as unknown as RunnersClass;
}

/** The request has ended: no stream of it stays open (R3), and none can be opened. */
export function endStreams(runners: AnyRunners): void {
  const ended = runners as unknown as Runners;
  const open = ended[STREAMS];
  ended[STREAMS] = null;
  if (open === undefined || open === null) return;
  const reason = new JubakoError(
    'CLIENT_GONE',
    'Nobody reads the stream any more: the request that opened it has ended',
  );
  for (const stream of open) stream.onCancel(reason);
}

function createMethod(
  runner: string,
  method: string,
  { input: descriptor, output }: MethodDefinition,
  transport: RunnerTransport,
): (of: Runners, input: unknown, options: CallOptions | undefined) => unknown {
  const label = `runners.${runner}.${method}`;
  const toCall = ({ [CALL]: call }: Runners, input: unknown, options: CallOptions | undefined): RunnerCall => ({
    runner,
    method,
    input: checkInput(descriptor, input, label),
    priority: options === undefined ? 'normal' : priorityOf(options, label),
    requestId: call.requestId,
    cancellation: call.cancellation,
    deadlineAtMs: call.deadlineAtMs,
    timing: call.timing,
  });
  if (output.spec.kind === 'stream') {
    return (of, input, options) => {
      let call: RunnerCall | JubakoError;
      try {
        call = toCall(of, input, options);
      } catch (thrown) {
        call = JubakoError.from(thrown);
      }
      return new BoundStream(of, label, call, transport);
    };
  }
  return (of, input, options) => {
    try {
      return transport.call(toCall(of, input, options));
    } catch (thrown) {
      return Promise.reject(JubakoError.from(thrown));
    }
  };
}

function checkInput(descriptor: MethodDefinition['input'], input: unknown, label: string): unknown {
  try {
    return descriptor.check(input);
  } catch (thrown) {
    const { message } = JubakoError.from(thrown);
    throw new JubakoError('USER_CODE', `Cannot call ${label} with this input: ${message}`, { cause: thrown });
  }
}

/** JavaScript services have no types, and an option that is not known would be ignored for ever. */
function priorityOf(options: unknown, label: string): Priority {
  if (typeof options !== 'object' || options === null)
    throw new JubakoError('USER_CODE', `Cannot call ${label}: its options are ${String(options)}, wanted an object`);
  const { priority = 'normal', ...others } = options as { readonly priority?: unknown };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new JubakoError('USER_CODE', `Cannot call ${label}: it has no option "${unknown}", wanted "priority"`);
  if (priority === 'high' || priority === 'normal' || priority === 'low') return priority;
  const given = typeof priority === 'string' ? `"${priority}"` : String(priority);
  throw new JubakoError(
    'USER_CODE',
    `Cannot call ${label}: its priority is ${given}, wanted "high", "normal" or "low"`,
  );
}

/**
 * The values of one call, read once, as those of an async generator. The call begins with the first `next`. It has a
 * cancellation of its own, so that it can end before its request does, also while a value is awaited.
 */
class BoundStream implements AsyncIterableIterator<unknown>, CancelTarget {
  readonly #runners: Runners;
  readonly #label: string;
  readonly #call: RunnerCall | undefined;
  readonly #transport: RunnerTransport;
  readonly #cancellation = new Cancellation();
  #source: AsyncIterator<unknown> | undefined = undefined;
  #state: 'unread' | 'open' | 'over' = 'unread';
  /** What every `next` from now on fails with: a stream that was cut must not look like one that came to its end. */
  #failure: JubakoError | undefined;

  /** @param call - or why there is none. */
  constructor(runners: Runners, label: string, call: RunnerCall | JubakoError, transport: RunnerTransport) {
    this.#runners = runners;
    this.#label = label;
    this.#transport = transport;
    if (call instanceof JubakoError) this.#failure = call;
    else this.#call = call;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#state === 'over') return END;
      this.#source ??= this.#begin();
      const result = await this.#source.next();
      if (result.done !== true) return result;
      this.#end();
      return END;
    } catch (thrown) {
      if (this.#state === 'over' && this.#failure === undefined) return END; // `return` came while this waited
      this.#failure ??= JubakoError.from(thrown);
      this.#end();
      throw this.#failure;
    }
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    const wasOpen = this.#state === 'open';
    this.#end();
    if (wasOpen) {
      this.#cancellation.cancel(new JubakoError('CLIENT_GONE', `Nobody reads ${this.#label} any more`));
      await this.#source?.return?.();
    }
    return END;
  }

  /** The request has ended, or is given up. */
  onCancel(reason: JubakoError): void {
    this.#failure ??= reason;
    this.#end();
    this.#cancellation.cancel(reason);
  }

  #begin(): AsyncIterator<unknown> {
    const { [CALL]: request, [STREAMS]: open } = this.#runners;
    if (request.cancellation.reason !== undefined) throw request.cancellation.reason;
    if (open === null)
      throw new JubakoError('USER_CODE', `Cannot read ${this.#label}: the request that called it has ended`);
    request.cancellation.add(this);
    (this.#runners[STREAMS] ??= new Set()).add(this);
    this.#state = 'open';
    const call = { ...(this.#call as RunnerCall), cancellation: this.#cancellation };
    return this.#transport.stream(call)[Symbol.asyncIterator]();
  }

  #end(): void {
    if (this.#state === 'open') {
      this.#runners[CALL].cancellation.remove(this);
      this.#runners[STREAMS]?.delete(this);
    }
    this.#state = 'over';
  }
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
