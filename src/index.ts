// The public surface. Light on purpose: every worker and every compute thread imports it through the user's service.
import type { CommandName } from './config/load-config.js';
import type { ServerOptions } from './supervisor/start-from-options.js';
import type { ServerAddresses, ServerHandle } from './supervisor/start.js';

export { JubakoError, type ErrorCode } from './errors.js';
export * from './service/index.js';
export { Tensor, tensorOf, type Dtype, type DtypeData, type NumericDtype } from './tensor/index.js';
export type { ServerAddresses, ServerHandle, ServerOptions };

/** Everything on one machine: HTTP, gRPC where `grpc` is true, and every runner. */
export function serve(options: ServerOptions): ServerHandle {
  return startLazily('serve', options);
}

/** The HTTP tier alone; its runners are elsewhere, as `runnerMap` says. */
export function startHttpServer(options: ServerOptions): ServerHandle {
  return startLazily('start-http-server', options);
}

/** The gRPC tier alone; its runners are elsewhere, as `runnerMap` says. */
export function startGrpcServer(options: ServerOptions): ServerHandle {
  return startLazily('start-grpc-server', options);
}

/** One runner alone, on a port of its own: `runnerName` says which. */
export function startRunnerServer(options: ServerOptions): ServerHandle {
  return startLazily('start-runner-server', options);
}

/** The supervisor is loaded when a server is started: a service that is only served has no use for it. */
function startLazily(command: CommandName, options: ServerOptions): ServerHandle {
  let server: ServerHandle | undefined;
  const started = import('./supervisor/start-from-options.js').then(({ startFromOptions }) => {
    server = startFromOptions(command, options);
    return server;
  });
  const ready = started.then((handle) => handle.ready);
  ready.catch(() => undefined); // `closed` tells as well; nobody may be waiting for `ready`
  return {
    ready,
    get addresses() {
      return server?.addresses ?? {};
    },
    closed: started.then((handle) => handle.closed),
    close: async () => {
      await (await started).close();
    },
    kill: () => {
      server?.kill();
    },
  };
}
