import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { ServerConfig } from '../config/settings.js';
import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import { LinkServer } from '../link/link-server.js';
import { refuseUnknownCertificate } from '../net/tls-files.js';
import type { LoadContext } from '../service/define.js';
import type { RunnerManifest } from '../service/manifest.js';
import type { Logger } from '../telemetry/logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import { LaneGroup } from './lane-group.js';
import { toLinkMethod } from './link-method.js';
import { Scheduler } from './scheduler.js';
import type { NestedCalls } from '../compute/thread-messages.js';

// The main thread of a runner worker: HTTP for probes and scrapes, the link by upgrade, calls into the scheduler.
// U1 What anyone sends here can end their connection only; a thread of the model can end this process only, by ending or by
//    never ending a run, and the primary replaces it.

export interface RunnerServerOptions {
  readonly entry: EntryPoint;
  readonly runner: RunnerManifest;
  readonly place: Omit<LoadContext, 'thread'>;
  /** For a runner that calls others. */
  readonly calls: NestedCalls;
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
  /** Where the runners are that this one calls. */
  setRunnerMap(map: RunnerMap): void;
  /** Answers what was begun, tells callers to go elsewhere, then ends the compute threads. Never rejects. */
  drain(graceMs: number): Promise<void>;
}

/** Exit code of a runner worker whose compute thread ended, or does not end a run: EX_SOFTWARE of sysexits.h. */
const EXIT_THREAD_ENDED = 70;

export async function startRunnerServer(options: RunnerServerOptions): Promise<RunnerServer> {
  const { entry, runner, place, calls, logger, config, metrics } = options;
  const group = new LaneGroup({ entry, runner, place, calls, logger });
  let state: 'loading' | 'ready' | 'draining' = 'loading';
  const onLost = (reason: string): void => {
    if (state === 'loading') return; // `ready` rejects
    if (state === 'draining') return links.close(); // what was begun will not be answered: callers learn it now
    logger.fatal({ event: 'runner.lost', runner: runner.name, reason }, `runner "${runner.name}": ${reason}`);
    logger.flush(() => process.exit(EXIT_THREAD_ENDED));
  };
  const scheduler = new Scheduler({ runner, lanes: group.lanes, metrics, logger, onStuck: onLost });
  void group.ended.then(onLost);
  const links = new LinkServer({
    token: config.linkToken,
    logger,
    load: () => scheduler.load,
    onCall: (call) => {
      scheduler.submit(call);
    },
  });
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

  const ready = group.ready.then(() => {
    state = 'ready';
    links.setReady({
      runner: runner.name,
      worker: options.worker,
      workersHere: options.socketPath === null ? (config.runnerWorkers ?? runner.workers) : 1,
      methods: runner.methods.map(toLinkMethod),
    });
  });
  ready.catch(() => undefined); // whoever waits for it sees the failure; nobody may be waiting yet

  return {
    ready,
    accept(socket) {
      server.emit('connection', socket);
    },
    setRunnerMap(map) {
      group.setRunnerMap(map);
    },
    async drain(graceMs) {
      state = 'draining';
      server.close();
      const timer = setTimeout(() => {
        links.close();
      }, graceMs);
      await links.drain();
      clearTimeout(timer);
      server.closeAllConnections();
      scheduler.close();
      await group.close();
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
