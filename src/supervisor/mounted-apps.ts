import type { MountManifest } from '../ipc/manifest.js';
import type { MountsBoot } from '../ipc/worker-boot.js';
import { freeLoopbackPorts } from '../net/free-ports.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { startMountProcess } from './mount-process.js';
import { MountedApp } from './mounted-app.js';
import { OrphanWatch } from './orphan-watch.js';

export interface MountedAppsOptions {
  readonly mounts: readonly MountManifest[];
  readonly workingDir: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** An application has become ready for the first time. */
  readonly onStarted: () => void;
}

/** The foreign applications of a service: those that it starts, and those that it only knows of. */
export class MountedApps {
  readonly #options: MountedAppsOptions;
  readonly #orphans: OrphanWatch;
  readonly #apps: readonly MountedApp[];
  readonly #urls: Readonly<Record<string, string>>;

  private constructor(options: MountedAppsOptions, ports: readonly number[]) {
    this.#options = options;
    this.#orphans = new OrphanWatch(options.logger);
    const urls: Record<string, string> = {};
    this.#apps = options.mounts.flatMap(({ path, command, upstream }, index) => {
      const port = ports[index] ?? 0;
      urls[path] = upstream ?? `http://127.0.0.1:${port}`;
      if (command === null) return [];
      const { workingDir, logger, metrics, onStarted } = options;
      return new MountedApp({
        path,
        startProcess: (onLine, listeners) => {
          return startMountProcess({ path, command, port, workingDir, orphans: this.#orphans, onLine }, listeners);
        },
        logger,
        metrics,
        onStarted,
        onState: () => {
          this.#showStates();
        },
      });
    });
    this.#urls = urls;
  }

  /** Nothing is started yet. A port stays that of its application for the life of this server. */
  static async create(options: MountedAppsOptions): Promise<MountedApps> {
    return new MountedApps(options, await freeLoopbackPorts(options.mounts.length));
  }

  /** What API workers have to know. */
  get boot(): MountsBoot {
    const starting = this.#apps.filter(({ hasBeenReady }) => !hasBeenReady).map(({ path }) => path);
    return { urls: this.#urls, starting };
  }

  /** Resolves when all answer. @throws {JubakoError} SERVICE_INVALID - one cannot be started; its last lines say why. */
  async start(): Promise<void> {
    const started = this.#apps.map((app) => app.start());
    this.#showStates();
    await Promise.all(started);
  }

  serverIsUp(): void {
    for (const app of this.#apps) app.serverIsUp();
  }

  /** Resolves when all have ended; those that are left a second after `graceMs` are killed. */
  async drain(graceMs: number): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.drain(graceMs)));
    this.#orphans.close();
  }

  kill(): void {
    for (const app of this.#apps) app.kill();
  }

  #showStates(): void {
    if (this.#apps.length === 0) return;
    for (const state of ['starting', 'ready', 'draining', 'backoff', 'failed'] as const) {
      const count = this.#apps.filter((app) => app.state === state).length;
      this.#options.metrics.gauge('jubako_workers', { role: 'mount', state }).set(count);
    }
  }
}
