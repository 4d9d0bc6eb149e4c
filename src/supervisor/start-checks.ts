import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isLoopback } from '../config/addresses.js';
import type { CommandName } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import { checkPinning } from './pin-worker.js';
import type { Plan } from './plan.js';

// What is refused before anything is opened or forked.

/** @throws {JubakoError} CONFIG_INVALID - it is no folder. */
export function openWorkingDir(setting: string | null): string {
  const folder = resolve(setting ?? '.');
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return folder;
  throw new JubakoError('CONFIG_INVALID', `Cannot work in workingDir "${folder}": it is no folder`);
}

/**
 * Whoever reaches a runner can run its model: off this machine only with a token, or by the user's own word.
 * @throws {JubakoError} CONFIG_INVALID
 */
export function checkRunnerExposure(command: CommandName, config: ServerConfig): void {
  if (command !== 'start-runner-server' || isLoopback(config.host)) return;
  const asksForCertificate = config.sslCertfile !== null && config.sslCertReqs === 'required';
  if (config.linkToken !== null || config.linkInsecure || asksForCertificate) return;
  throw new JubakoError(
    'CONFIG_INVALID',
    `Cannot open a runner on "${config.host}" without a token: others could call it; set JUBAKO_LINK_TOKEN or --link-token-file on both tiers, ` +
      'ask for client certificates (sslCertReqs required), bind 127.0.0.1, or allow it with --link-insecure',
  );
}

/** @throws {JubakoError} CONFIG_INVALID - a runner is to be pinned, and the program for it is missing. */
export async function checkAffinity({ pools }: Plan): Promise<void> {
  const pinned = pools.find(({ workers }) => workers.some(({ affinity }) => affinity !== null));
  if (pinned !== undefined) await checkPinning(pinned.runner ?? pinned.name);
}
