import type { IncomingMessage, ServerResponse } from 'node:http';
import { Cancellation, type CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { HandlerContext } from '../service/define.js';
import { newTiming, type Invoker, type OpenCall } from '../service/invoke.js';
import { exchangeOf, type Exchange } from './exchange.js';

// P1 A request that a plugin serves has its answer begun within the setting `timeout`, whatever the plugin does, counted from
//    the moment that it has arrived. What a plugin streams after that may take as long as it likes.
// P2 What `contextOf` gave ends when the answer is written or the client has gone: open streams, and the timer of the call.

export interface PluginCallsOptions {
  readonly invoker: Invoker;
  /** 0: no limit. */
  readonly timeoutMs: number;
}

/** The requests that plugins see, by the object that both Node and Fastify hand out for each. */
export class PluginCalls {
  readonly #options: PluginCallsOptions;
  readonly #calls = new WeakMap<IncomingMessage, PluginCall>();

  constructor(options: PluginCallsOptions) {
    this.#options = options;
  }

  /** @param isServed - a plugin answers; false: it only has hooks that see the request. */
  begin(request: IncomingMessage, response: ServerResponse, isServed: boolean): void {
    const exchange = exchangeOf(response);
    const call = new PluginCall(exchange, response, this.#options.invoker);
    this.#calls.set(request, call);
    if (isServed) call.serve(this.#options.timeoutMs);
  }

  contextOf(request: IncomingMessage): HandlerContext {
    const call = this.#calls.get(request);
    if (call === undefined)
      throw new JubakoError('USER_CODE', 'Cannot find the context: no plugin has seen this request');
    return call.context();
  }
}

class PluginCall implements CancelTarget {
  readonly #exchange: Exchange;
  readonly #invoker: Invoker;
  readonly #cancellation = new Cancellation();
  #open: OpenCall | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(exchange: Exchange, response: ServerResponse, invoker: Invoker) {
    this.#exchange = exchange;
    this.#invoker = invoker;
    response.on('close', () => {
      this.#end(response.writableFinished);
    });
  }

  context(): HandlerContext {
    const exchange = this.#exchange;
    if (this.#open !== undefined) return this.#open.context;
    if (exchange.isEnded) throw new JubakoError('USER_CODE', 'Cannot open a context: the request has ended');
    exchange.timing ??= newTiming();
    this.#open = this.#invoker.open({
      requestId: exchange.requestId,
      cancellation: this.#cancellation,
      deadlineAtMs: undefined,
      timing: exchange.timing,
    });
    return this.#open.context;
  }

  /** P1 */
  serve(timeoutMs: number): void {
    const exchange = this.#exchange;
    exchange.cancellation = this.#cancellation;
    this.#cancellation.add(this);
    if (timeoutMs === 0) return;
    const startTimer = (): void => {
      if (exchange.isUnanswered) this.#timer = setTimeout(expire, timeoutMs, this, timeoutMs);
    };
    if (exchange.hasBodyAhead) exchange.request.once('end', startTimer);
    else startTimer();
  }

  /** The client has gone, the server stops, or time is up. */
  onCancel(reason: JubakoError): void {
    clearTimeout(this.#timer);
    if (this.#exchange.isUnanswered) this.#exchange.fail(reason);
  }

  expire(timeoutMs: number): void {
    if (!this.#exchange.isUnanswered) return;
    const message = `Cannot answer within ${timeoutMs} ms: the deadline has passed`;
    this.#cancellation.cancel(new JubakoError('DEADLINE_EXCEEDED', message));
  }

  /** P2 */
  #end(isAnswered: boolean): void {
    clearTimeout(this.#timer);
    this.#cancellation.remove(this);
    if (!isAnswered) this.#cancellation.cancel(new JubakoError('CLIENT_GONE', 'The client closed the connection'));
    this.#open?.end();
  }
}

function expire(call: PluginCall, timeoutMs: number): void {
  call.expire(timeoutMs);
}
