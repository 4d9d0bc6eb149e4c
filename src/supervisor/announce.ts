import type { CommandName } from '../config/load-config.js';
import type { Manifest } from '../ipc/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import { curlLine } from './curl-line.js';
import { planLines } from './plan-lines.js';
import type { Plan } from './plan.js';
import type { ServerAddresses } from './server-ports.js';

// What a server tells about itself when it starts.

export function announceListening(logger: Logger, addresses: ServerAddresses): void {
  logger.info({ event: 'server.listening', addresses }, `listening on ${Object.values(addresses).join(', ')}`);
}

/** @param warnings - what of the target is left out. */
export function announcePlan(logger: Logger, plan: Plan, warnings: readonly string[]): void {
  for (const warning of warnings) logger.warn({ event: 'target.warning' }, warning);
  for (const { pool, text } of planLines(plan)) logger.info({ event: 'server.plan', pool }, text);
}

export interface ReadyServer {
  readonly command: CommandName;
  readonly manifest: Manifest;
  readonly plan: Plan;
  readonly addresses: ServerAddresses;
  readonly startMs: number;
}

export function announceReady(logger: Logger, { command, manifest, plan, addresses, startMs }: ReadyServer): void {
  const workers = Object.fromEntries(plan.pools.map((pool) => [pool.name, pool.workers.length]));
  const grpc = addresses.grpc === undefined ? undefined : `gRPC ${addresses.grpc}`;
  const where = [addresses.http, grpc, addresses.runner].filter((address) => address !== undefined).join(', ');
  logger.info(
    { event: 'server.ready', command, service: manifest.name, addresses, workers, startMs },
    `${manifest.name} is ready on ${where}`,
  );
  const curl = addresses.http === undefined ? undefined : curlLine(manifest, addresses.http);
  if (curl !== undefined) logger.info({ event: 'server.example', curl }, `try it: ${curl}`);
}
