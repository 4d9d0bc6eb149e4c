import { loadConfig, type CommandName, type SettingOptions } from '../config/load-config.js';
import { JubakoError } from '../errors.js';
import { startServer, type ServerAddresses, type ServerHandle } from './start.js';

/** What the typed start functions take: the target, and any setting of that command under its camelCase name. */
export type ServerOptions = SettingOptions & {
  /** Module, folder or `module.ts:export` that holds the service. */
  readonly target: string;
  /** A YAML file of settings; the options win over it. */
  readonly config?: string;
};

/** The handle exists at once; a configuration that is refused makes `ready` reject and `closed` resolve with its exit code. */
export function startFromOptions(command: CommandName, { target, config, ...options }: ServerOptions): ServerHandle {
  let server: ServerHandle | undefined;
  let wasClosed = false;
  const started = loadConfig({
    command,
    target,
    options,
    env: process.env,
    ...(config !== undefined && { file: config }),
  }).then((loaded) => {
    if (wasClosed) throw new JubakoError('DRAINING', 'Cannot start the server: it was closed before');
    server = startServer({ command, target, loaded });
    return server;
  });
  const ready = started.then((handle) => handle.ready);
  ready.catch(() => undefined); // `closed` tells as well
  return {
    ready,
    get addresses(): ServerAddresses {
      return server?.addresses ?? {};
    },
    closed: started.then(
      (handle) => handle.closed,
      (thrown: unknown) => JubakoError.from(thrown).kind.exit,
    ),
    async close() {
      wasClosed = true;
      await server?.close();
    },
    kill() {
      wasClosed = true;
      server?.kill();
    },
  };
}
