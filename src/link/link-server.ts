import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '../telemetry/logger.js';
import type { LinkLoad } from './frame-meta.js';
import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_MAX_IN_FLIGHT,
  DEFAULT_MAX_IN_FLIGHT_BYTES,
  LINK_VERSION,
  type LinkMethod,
  type ServerHello,
} from './hello.js';
import type { IncomingCall } from './incoming-call.js';
import { ServerConnection } from './server-connection.js';
import { TELL_MS } from './told-load.js';
import { acceptUpgrade, checkUpgrade, refuseUpgrade, type UpgradeRefusal } from './upgrade.js';

export type { IncomingCall, ServedCall } from './incoming-call.js';
export type { LinkLoad } from './frame-meta.js';

/** Seconds of silence after which the kernel asks whether the other machine is still there. */
const KEEP_ALIVE_MS = 10_000;

export interface LinkServerOptions {
  /** Every caller must give it; null: none is asked for. */
  readonly token: string | null;
  readonly logger: Logger;
  /** Asked at each reply and every `TELL_MS`; may give the same object every time. */
  readonly load: () => LinkLoad;
  readonly onCall: (call: IncomingCall) => void;
}

/** What callers learn when the runner is ready. */
export interface LinkServerHello {
  readonly runner: string;
  readonly worker: string;
  /** Workers behind this address, this one included. Default 1. */
  readonly workersHere?: number;
  readonly methods: readonly LinkMethod[];
  /** Default 64 MiB. */
  readonly maxFrameBytes?: number;
  /** Calls on one connection at a time. Default 1024. */
  readonly maxInFlight?: number;
  /** Bodies of these calls together. Default 256 MiB. */
  readonly maxInFlightBytes?: number;
}

/** The runner's end of the link. It never listens: a node:http server hands in what asks for an upgrade. */
export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #connections = new Set<ServerConnection>();
  #hello: ServerHello | undefined;
  #state: 'open' | 'draining' | 'closed' = 'open';
  readonly #emptied: (() => void)[] = [];
  /** Runs while there are connections. */
  #teller: NodeJS.Timeout | undefined;

  constructor(options: LinkServerOptions) {
    this.#options = options;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** For the event `upgrade` of node:http. What is not the link, or may not enter, gets an HTTP answer. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (err) => {
      this.#options.logger.debug({ event: 'link.failed', err }, 'link failed'); // `close` follows and does the work
    });
    const refusal = this.#state === 'open' ? checkUpgrade(request, this.#options.token) : CLOSING;
    if (refusal !== undefined) {
      this.#options.logger.warn({ event: 'link.refused', status: refusal.status }, refusal.text);
      refuseUpgrade(socket, refusal);
      return;
    }
    if (isSocket(socket)) socket.setTimeout(0).setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
    acceptUpgrade(socket);
    const connection = new ServerConnection(socket, {
      logger: this.#options.logger,
      load: this.#options.load,
      onCall: this.#options.onCall,
      onClosed: (closed) => {
        this.#onClosed(closed);
      },
    });
    this.#connections.add(connection);
    this.#teller ??= this.#startTelling();
    connection.start(head);
    if (this.#hello !== undefined) connection.open(this.#hello);
  }

  /** The model is warm: callers that wait for the hello get it now. */
  setReady(hello: LinkServerHello): void {
    this.#hello = {
      version: LINK_VERSION,
      runner: hello.runner,
      worker: hello.worker,
      workersHere: hello.workersHere ?? 1,
      methods: hello.methods,
      maxFrameBytes: hello.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES,
      maxInFlight: hello.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      maxInFlightBytes: hello.maxInFlightBytes ?? DEFAULT_MAX_IN_FLIGHT_BYTES,
      ready: true,
    };
    for (const connection of this.#connections) connection.open(this.#hello);
  }

  /**
   * Says goodbye to every caller, answers the calls that were begun, refuses others with DRAINING (not begun, so callers
   * move them), and resolves when all connections are closed. Never rejects; `close` ends it early.
   */
  async drain(): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining';
    for (const connection of [...this.#connections]) {
      if (this.#hello === undefined) connection.destroy();
      else connection.leave();
    }
    if (this.#connections.size > 0) await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }

  /** Cuts every connection; open calls are cancelled here and lost there. */
  close(): void {
    this.#state = 'closed';
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #startTelling(): NodeJS.Timeout {
    const teller = setInterval(() => {
      const load = this.#options.load();
      for (const connection of this.#connections) connection.tell(load);
    }, TELL_MS);
    return teller.unref();
  }

  #onClosed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#teller);
    this.#teller = undefined;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}

const CLOSING: UpgradeRefusal = { status: 503, text: 'Cannot enter the runner link: this runner is draining' };

function isSocket(stream: Duplex): stream is Socket {
  return 'setNoDelay' in stream;
}
