// The public surface. Light on purpose: every worker and every compute thread imports it through the user's service.
import { JubakoError } from './errors.js';
import type { CommandName } from './config/load-config.js';
import type { ServerOptions } from './supervisor/start-from-options.js';
import type { ServerAddresses, ServerHandle } from './supervisor/start.js';

export { JubakoError, type ErrorCode } from './errors.js';
export * from './service/index.js';
export { onnxRunner, type OnnxRunnerOptions, type OnnxValue } from './onnx/onnx-runner.js';
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

/**
 * The handle exists at once; the supervisor is loaded behind it, since a service that is only served has no use for it.
 * A configuration that is refused makes `ready` reject and `closed` resolve with its exit code.
 */
function startLazily(command: CommandName, options: ServerOptions): ServerHandle {
  let server: ServerHandle | undefined;
  const started = import('./supervisor/start-from-options.js').then(async ({ startFromOptions }) => {
    server = await startFromOptions(command, options);
    return server;
  });
  const ready = started.then((handle) => handle.ready);
  ready.catch(() => undefined); // `closed` tells as well; nobody may be waiting for `ready`
  const whenStarted = (act: (handle: ServerHandle) => unknown): Promise<unknown> => started.then(act, () => undefined);
  return {
    ready,
    get addresses() {
      return server?.addresses ?? {};
    },
    closed: started.then(
      (handle) => handle.closed,
      (thrown: unknown) => JubakoError.from(thrown).kind.exit,
    ),
    close: async () => {
      await whenStarted((handle) => handle.close());
    },
    kill: () => {
      if (server === undefined)
        void whenStarted((handle) => {
          handle.kill();
        });
      else server.kill();
    },
  };
}
