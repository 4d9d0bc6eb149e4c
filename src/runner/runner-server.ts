import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import type { LinkLoad } from '../link/frame.js';
import { LinkServer } from '../link/link-server.js';
import { refuseUnknownCertificate } from '../net/tls-files.js';
import type { RunnerManifest } from '../service/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ComputeLane } from './compute-lane.js';
import { Scheduler } from './scheduler.js';

// The main thread of a runner worker: HTTP for probes and scrapes, the link by upgrade, calls into the scheduler.
// U1 What anyone sends here can end their connection only; the model's thread can end this process only, and the primary
//    replaces it.

export interface RunnerServerOptions {
  readonly entry: EntryPoint;
  readonly runner: RunnerManifest;
  /** The unix socket to listen on; null: connections are handed in by `accept`. */
  readonly socketPath: string | null;
  /** For a port that other machines reach; a unix socket needs none. */
  readonly tls: TlsOptions | undefined;
  readonly worker: string;
  readonly config: ServerConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly metricsText: () => Promise<string>;
}

export interface RunnerServer {
  /** Resolves when the model is loaded and warm; rejects with the load's failure. */
  readonly ready: Promise<void>;
  accept(socket: Socket): void;
  /** Answers what was begun, tells callers to go elsewhere, then ends the compute thread. Never rejects. */
  drain(graceMs: number): Promise<void>;
}

/** Exit code of a runner worker whose compute thread ended: EX_SOFTWARE of sysexits.h. */
const EXIT_THREAD_ENDED = 70;

export async function startRunnerServer(options: RunnerServerOptions): Promise<RunnerServer> {
  const { runner, logger, config, metrics } = options;
  const lane = new ComputeLane({ entry: options.entry, runner: runner.name });
  const scheduler = new Scheduler({ runner, lane, metrics, logger });
  const links = new LinkServer({
    token: config.linkToken,
    logger,
    load: (): LinkLoad => scheduler.load,
    onCall: (call) => {
      scheduler.submit(call);
    },
  });
  let state: 'loading' | 'ready' | 'draining' = 'loading';
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void answerProbe(request, response, state, options).catch((thrown: unknown) => {
      const error = JubakoError.from(thrown);
      sendText(response, error.kind.http, `${error.message}\n`);
    });
  };
  const server = options.tls === undefined ? createServer(onRequest) : createTlsServer(options.tls, onRequest);
  const { tls } = options;
  if (tls !== undefined) {
    server.prependListener('secureConnection', (socket: TLSSocket) => refuseUnknownCertificate(socket, tls));
  }
  server.on('upgrade', (request, socket, head) => {
    links.handleUpgrade(request, socket, head);
  });
  server.on('clientError', (error, socket) => {
    logger.warn({ event: 'link.garbage', err: error.message }, 'a connection sent no HTTP and was closed');
    socket.destroy();
  });
  if (options.socketPath !== null) await listen(server, options.socketPath);
  else server.emit('listening'); // arms the timeouts of node:http, which it sets up when it listens itself

  const ready = lane.ready.then(() => {
    state = 'ready';
    links.setReady({
      runner: runner.name,
      worker: options.worker,
      workersHere: options.socketPath === null ? (config.runnerWorkers ?? runner.workers) : 1,
      methods: runner.methods.map(({ name, idempotent }) => ({ name, idempotent })),
    });
  });
  let leaving = false;
  void lane.ended.then((reason) => {
    if (leaving || state === 'loading') return;
    logger.fatal({ event: 'runner.lost', runner: runner.name, reason }, `runner "${runner.name}": ${reason}`);
    logger.flush(() => process.exit(EXIT_THREAD_ENDED));
  });

  return {
    ready,
    accept(socket) {
      server.emit('connection', socket);
    },
    async drain(graceMs) {
      leaving = true;
      state = 'draining';
      server.close();
      const timer = setTimeout(() => {
        links.close();
      }, graceMs);
      await links.drain();
      clearTimeout(timer);
      server.closeAllConnections();
      await lane.close();
    },
  };
}

async function answerProbe(
  request: IncomingMessage,
  response: ServerResponse,
  state: 'loading' | 'ready' | 'draining',
  options: RunnerServerOptions,
): Promise<void> {
  switch (request.url) {
    case '/livez':
    case '/healthz':
      sendText(response, 200, '\n');
      return;
    case '/readyz':
      if (state === 'ready') sendText(response, 200, '\n');
      else sendText(response, 503, `runner "${options.runner.name}" is ${state}\n`);
      return;
    case '/metrics':
      sendText(response, 200, await options.metricsText());
      return;
    default:
      sendText(response, 404, 'This is a runner: /livez, /readyz, /metrics, and the runner link by upgrade\n');
  }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** Owned by this process alone: `exclusive` keeps node:cluster from sharing it through the primary. */
function listen(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true }); // what a worker that was killed has left behind
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new JubakoError('BIND_FAILED', `Cannot listen on the unix socket ${path}: ${cause.message}`, { cause }));
    });
    server.listen({ path, exclusive: true }, resolve);
  });
}
