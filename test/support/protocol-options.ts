import { OPEN_ACCESS } from '#dist/service/access.js';
import type { Invoker } from '#dist/service/invoke.js';
import type { ProtocolServerOptions } from '#dist/service/protocol-server.js';

/** What a protocol server is given beside what a test is about: everybody may call, no model can be unloaded. */
export function otherOptions(): Pick<ProtocolServerOptions, 'counters' | 'models' | 'access' | 'mounts'> {
  const refuse = (): Promise<never> => Promise.reject(new Error('no test asked for this'));
  return {
    counters: () => Promise.resolve({}),
    models: {
      readinessOf: () => Promise.resolve({ ready: true }),
      isUnloaded: () => false,
      load: refuse,
      unload: refuse,
    },
    access: OPEN_ACCESS,
    mounts: {},
  };
}

/** An invoker that can do what it is given, and fails a test that asks for more. */
export function partialInvoker(given: Partial<Invoker>): Invoker {
  const refuse = (): never => {
    throw new Error('no test asked for this');
  };
  return { callApi: refuse, streamApi: refuse, callRunner: refuse, streamRunner: refuse, open: refuse, ...given };
}
