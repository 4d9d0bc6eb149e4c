import type { Cancellation } from '../cancellation.js';
import { readInput } from '../descriptor/api-input.js';
import { isStreamDescriptor } from '../descriptor/stream-descriptor.js';
import { JubakoError } from '../errors.js';
import { createRunnersClass, endStreams, type RunnersClass, type RunnerTransport } from './bound-runners.js';
import type { AnyRunners, ApiDefinition, HandlerContext, MethodDefinition, ServiceDefinition } from './define.js';
import type { ApiCall, CallContext, Invoker, OpenCall, RunnerCall } from './invoke.js';
import { LimitedCall, nearerDeadline, refuseLate, withLimits } from './limited-call.js';
import { LimitedStream, type StreamLimits } from './limited-stream.js';
import { allRunners } from './manifest-of.js';
import { misfit } from './misfit.js';

// V1 A call settles within its limits (limited-call L1, limited-stream S1).
// V2 With the call end the streams that its handler opened and did not read to the end.

export type { RunnerTransport } from './bound-runners.js';

export interface InvokerOptions {
  readonly service: ServiceDefinition;
  /** Limit for a call that brings no deadline of its own, in ms; 0 = none. */
  readonly timeoutMs: number;
  readonly streamLimits: StreamLimits;
  readonly transport: RunnerTransport;
}

export function createInvoker(options: InvokerOptions): Invoker {
  return new ServiceInvoker(options);
}

class ServiceInvoker implements Invoker {
  readonly #service: ServiceDefinition;
  readonly #transport: RunnerTransport;
  readonly #timeoutMs: number;
  readonly #streamLimits: StreamLimits;
  readonly #methods = new Map<string, MethodDefinition>();
  readonly #RunnersOfCall: RunnersClass;

  constructor({ service, transport, timeoutMs, streamLimits }: InvokerOptions) {
    this.#service = service;
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
    this.#streamLimits = streamLimits;
    for (const runner of allRunners(service)) {
      for (const [name, method] of Object.entries(runner.methods)) this.#methods.set(`${runner.name}.${name}`, method);
    }
    this.#RunnersOfCall = createRunnersClass(service.runners, transport);
  }

  callApi(call: ApiCall): Promise<unknown> {
    const found = attempt(() => this.#apiOf(call, false));
    if (found instanceof JubakoError) return Promise.reject(found);
    return withLimits(call, this.#timeoutMs, (deadlineAtMs) => this.#runApi(found, call, deadlineAtMs));
  }

  streamApi(call: ApiCall): AsyncIterableIterator<unknown> {
    let runners: AnyRunners | undefined;
    return new LimitedStream(call, this.#streamLimits, {
      begin: async (deadlineAtMs) => {
        const api = this.#apiOf(call, true);
        const reading = readInput(api.input, call.input);
        const input: unknown = reading instanceof Promise ? await (reading as Promise<unknown>) : reading;
        runners = this.#runnersOf(call, deadlineAtMs);
        const output = await callHandler(api, input, new ContextOfHandler(call, runners));
        return iteratorOf(api, output, call);
      },
      check: (value) => this.#checkItem(call, value),
      onOver: () => {
        if (runners !== undefined) endStreams(runners); // V2
      },
    });
  }

  callRunner(call: RunnerCall): Promise<unknown> {
    const method = attempt(() => this.#methodOf(call, false));
    if (method instanceof JubakoError) return Promise.reject(method);
    return withLimits(call, this.#timeoutMs, async (deadlineAtMs) => {
      const input = method.input.check(call.input);
      return this.#transport.call({ ...call, deadlineAtMs, input });
    });
  }

  streamRunner(call: RunnerCall): AsyncIterableIterator<unknown> {
    return new LimitedStream(call, this.#streamLimits, {
      begin: async (deadlineAtMs) => {
        const input = this.#methodOf(call, true).input.check(call.input);
        const values = this.#transport.stream({ ...call, deadlineAtMs, input });
        return Promise.resolve(values[Symbol.asyncIterator]());
      },
      check: (value) => value, // the runner has checked it
      onOver: () => undefined,
    });
  }

  open(call: CallContext, isStream = false): OpenCall {
    const nowMs = performance.now();
    const limitMs = isStream ? this.#streamLimits.wholeMs : this.#timeoutMs;
    const deadlineAtMs = nearerDeadline(call, limitMs, nowMs);
    refuseLate(call, deadlineAtMs - nowMs);
    const runners = this.#runnersOf(call, deadlineAtMs === Infinity ? undefined : deadlineAtMs);
    const end = (): void => {
      limited.end();
      endStreams(runners); // V2
    };
    const limited = new LimitedCall(call.cancellation, deadlineAtMs - nowMs, end);
    return { context: new ContextOfHandler(call, runners), end };
  }

  async #runApi(api: ApiDefinition, call: ApiCall, deadlineAtMs: number | undefined): Promise<unknown> {
    const reading = readInput(api.input, call.input);
    const input: unknown = reading instanceof Promise ? await (reading as Promise<unknown>) : reading;
    const runners = this.#runnersOf(call, deadlineAtMs);
    let output: unknown;
    try {
      output = await callHandler(api, input, new ContextOfHandler(call, runners));
    } finally {
      endStreams(runners); // V2
    }
    try {
      return api.output.check(output);
    } catch (thrown) {
      throw misfit(`API "${call.api}"`, thrown);
    }
  }

  #runnersOf({ requestId, cancellation, timing }: CallContext, deadlineAtMs: number | undefined): AnyRunners {
    return new this.#RunnersOfCall({ requestId, cancellation, deadlineAtMs, timing });
  }

  #apiOf({ api: name }: ApiCall, streams: boolean): ApiDefinition {
    const { apis } = this.#service;
    const api = Object.hasOwn(apis, name) ? apis[name] : undefined;
    if (api === undefined) {
      const known = Object.keys(apis).join(', ');
      throw new JubakoError('NOT_FOUND', `Cannot find the API "${name}": the APIs are ${known}`);
    }
    if (isStreamDescriptor(api.output) !== streams) throw wrongKind(`the API "${name}"`, streams);
    return api;
  }

  #methodOf({ runner, method: name }: RunnerCall, streams: boolean): MethodDefinition {
    const label = `${runner}.${name}`;
    const method = this.#methods.get(label);
    if (method === undefined) {
      const known = [...this.#methods.keys()].join(', ');
      throw new JubakoError('NOT_FOUND', `Cannot find the method "${label}": the methods are ${known}`);
    }
    if (isStreamDescriptor(method.output) !== streams) throw wrongKind(`the method "${label}"`, streams);
    return method;
  }

  #checkItem({ api: name }: ApiCall, value: unknown): unknown {
    const output = this.#service.apis[name]?.output;
    try {
      return output !== undefined && isStreamDescriptor(output) ? output.of.check(value) : value;
    } catch (thrown) {
      throw misfit(`A value of API "${name}"`, thrown);
    }
  }
}

async function callHandler(api: ApiDefinition, input: unknown, context: HandlerContext): Promise<unknown> {
  try {
    return await api.handler(input, context);
  } catch (thrown) {
    throw JubakoError.from(thrown, 'USER_CODE');
  }
}

function iteratorOf(api: ApiDefinition, output: unknown, { api: name }: ApiCall): AsyncIterator<unknown> {
  try {
    return (api.output.check(output) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  } catch (thrown) {
    throw misfit(`API "${name}"`, thrown);
  }
}

function wrongKind(what: string, wantedStream: boolean): JubakoError {
  const why = wantedStream
    ? 'it gives one value; call it for that'
    : 'it gives a stream of values; call it for a stream';
  return new JubakoError('INVALID_INPUT', `Cannot call ${what} this way: ${why}`);
}

function attempt<T>(find: () => T): T | JubakoError {
  try {
    return find();
  } catch (thrown) {
    return JubakoError.from(thrown);
  }
}

/** The signal is made when the handler asks for it: most pass it on by their runner calls only. */
class ContextOfHandler implements HandlerContext {
  readonly runners: AnyRunners;
  readonly requestId: string;
  readonly #cancellation: Cancellation;

  constructor({ cancellation, requestId }: CallContext, runners: AnyRunners) {
    this.runners = runners;
    this.requestId = requestId;
    this.#cancellation = cancellation;
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }
}
