import { loadConfig, type CommandName, type SettingOptions } from '../config/load-config.js';
import { startServer, type ServerHandle } from './start.js';

/** What the typed start functions take: the target, and any setting of that command under its camelCase name. */
export type ServerOptions = SettingOptions & {
  /** Module, folder or `module.ts:export` that holds the service. */
  readonly target: string;
  /** A YAML file of settings; the options win over it. */
  readonly config?: string;
};

/** @throws {JubakoError} CONFIG_INVALID - nothing was started. */
export async function startFromOptions(
  command: CommandName,
  { target, config, ...options }: ServerOptions,
): Promise<ServerHandle> {
  const file = config === undefined ? {} : { file: config };
  const loaded = await loadConfig({ command, target, options, env: process.env, ...file });
  return startServer({ command, target, loaded });
}
