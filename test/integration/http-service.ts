import type { TestContext } from 'node:test';
import { createInvoker } from '#dist/service/create-invoker.js';
import type { ServiceDefinition } from '#dist/service/define.js';
import type { StreamLimits } from '#dist/service/limited-stream.js';
import { manifestOf, startHttp, type StartOptions, type StartedServer } from './http-harness.js';

export interface ServiceOptions extends StartOptions {
  /** Default: none. */
  readonly limits?: Partial<StreamLimits>;
}

/** Starts an HTTP server with the real invoker in front of a service whose handlers call no runners. */
export function startService(
  t: TestContext,
  service: ServiceDefinition,
  { limits, ...options }: ServiceOptions = {},
): Promise<StartedServer> {
  const none = (): never => {
    throw new Error('no test asked for a runner');
  };
  const invoker = createInvoker({
    service,
    timeoutMs: 0,
    streamLimits: { firstMs: 0, idleMs: 0, wholeMs: 0, ...limits },
    transport: { call: none, stream: none },
  });
  const others = { service, manifest: manifestOf(service), invoker, ...options.others };
  return startHttp(t, { ...options, others });
}

/** Values of a test's own making, given one by one when they are asked for; tells how it ended. */
export class Source {
  /** How many values were asked for and given. */
  given = 0;
  /** Resolves when the generator has come to its end, whatever the reason. */
  readonly ended: Promise<void>;
  #onEnded = (): void => undefined;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
  }

  async *values<T>(next: (number: number) => T | Promise<T> | undefined): AsyncGenerator<Awaited<T>> {
    try {
      for (;;) {
        const value = await next(this.given + 1);
        if (value === undefined) return;
        this.given += 1;
        yield value;
      }
    } finally {
      this.#onEnded();
    }
  }
}
