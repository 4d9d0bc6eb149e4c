import pino, { type Logger } from 'pino';
import type { ServerConfig } from '../config/settings.js';

export type { Logger };

/** Names of log events are `noun.past`; the message is for people. */
export interface LoggerOptions {
  readonly config: Pick<ServerConfig, 'logLevel' | 'logFormat'>;
  /** Who speaks, e.g. `primary`, `http-0`, `runner-digits-1`. */
  readonly worker: string;
}

/** JSON lines on standard output, or lines for people where a terminal reads them. */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const { config, worker } = options;
  const settings = {
    level: config.logLevel,
    base: { worker, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (isPretty(config.logFormat)) {
    const { default: pretty } = await import('pino-pretty');
    const stream = pretty({
      sync: true,
      ignore: 'pid,worker,event,name',
      messageFormat: '{worker} {msg}',
      translateTime: 'HH:MM:ss.l',
      singleLine: true,
    });
    return pino(settings, stream);
  }
  // Not sync: a line waits while the line before is being written, so one write carries many under load.
  return pino(settings, pino.destination({ fd: 1, sync: false }));
}

export function isPretty(format: ServerConfig['logFormat']): boolean {
  return format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
}
