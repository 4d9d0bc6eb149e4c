import type { Readiness } from './protocol-server.js';

/** The runners behind models as all processes of this server see them. */
export interface ModelControl {
  /** Of one runner as it is now, up to 80 ms; an unloaded one is not ready. */
  readinessOf(runner: string): Promise<Readiness>;
  /** True: unloaded on request; calls to it are NOT_FOUND. */
  isUnloaded(runner: string): boolean;
  /**
   * Starts the workers of these runners, or stops them once what they work on is answered; resolves when that is done in
   * every process.
   * @throws {JubakoError} FORBIDDEN - the setting `modelControl` is off; NOT_READY - they could not be started.
   */
  load(runners: readonly string[]): Promise<void>;
  unload(runners: readonly string[]): Promise<void>;
}
