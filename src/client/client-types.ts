import type { ClientInput } from '../descriptor/descriptor.js';

// The typed client as its users see it: what `createClient` takes and gives.

/**
 * What is read of the type of a service, which `ServiceDefinition` is: where types of Node are not at hand, as in pages, the
 * types of a whole service would ask for them.
 */
export interface TypedService<In = unknown, Out = unknown> {
  readonly '~types'?: { readonly input: In; readonly output: Out };
}

export interface ClientOptions {
  /** Sent as bearer token. */
  readonly apiKey?: string | undefined;
  /** Sent with every request; those of a call win. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For calls that don't say their own. Default: no limit of the client's; the server has its own. */
  readonly timeoutMs?: number | undefined;
  /**
   * How often a call is tried again that the server refused with 503 and Retry-After: it waits as long as the server asked,
   * where `timeoutMs` allows that. Default 0: a server refuses because it has too much to do, and a client that comes back by
   * itself, beside callers and proxies that do so too, gives it more.
   */
  readonly retries?: number | undefined;
  /** Default: that of the runtime. Another one has certificates, proxies or unix sockets. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface ClientCallOptions {
  /** Aborts the call: it fails with the signal's reason, and the server stops working on it. */
  readonly signal?: AbortSignal | undefined;
  /**
   * For the whole call; of a stream, for each value, while it is waited for. Beyond, it fails with DEADLINE_EXCEEDED.
   * Infinity: no limit.
   */
  readonly timeoutMs?: number | undefined;
  /** For logs: sent as `x-request-id`. Default: the server makes one. */
  readonly requestId?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Names that a client can't have as methods: a client with a `then` would be taken for a promise. `$call` reaches such APIs. */
export type ReservedName = 'then' | 'toJSON' | keyof typeof Object.prototype;

export type Client<S extends TypedService> =
  S extends TypedService<infer In, infer Out>
    ? {
        readonly [K in Exclude<keyof In & keyof Out & string, ReservedName>]: ApiMethod<In[K], Out[K]>;
      } & {
        /** Calls an API by its name: one whose name a method can't have, or that is not known before. */
        $call<K extends keyof In & keyof Out & string>(
          api: K,
          ...rest: Parameters<ApiMethod<In[K], Out[K]>>
        ): ReturnType<ApiMethod<In[K], Out[K]>>;
      }
    : never;

export type ApiMethod<In, Out> = (input: ClientInput<In>, options?: ClientCallOptions) => Answer<Out>;

/** A stream is there at once: its request is sent when its first value is asked for, and given up when the caller stops reading. */
export type Answer<Out> = [Out] extends [AsyncIterable<infer Item>] ? AsyncIterable<Item> : Promise<Out>;
