import type { Socket } from 'node:net';
import type { Exchange } from './exchange.js';

/** Time for a client to read a last answer before its connection is cut. */
const LAST_WORDS_MS = 2_000;
/**
 * When a client that has ended its half is asked whether it is still there, after the end and then after each other; the last
 * again and again. The first finds out, the second hears of it, unless the way is long.
 */
const PROBES_AFTER_MS: readonly number[] = [0, 10, 100, 1_000];

/**
 * A connection that speaks HTTP (with TLS: after the handshake), and the exchanges on it.
 * N1 A client that ends its half waits for its answers, or has gone: both look the same until something is sent to it. So
 *    something is, as long as its answer isn't; where an answer goes on and on already, it has gone. Once a stream has begun
 *    behind the end, its head was sent: if nobody is left to take it, a write of no bytes fails.
 */
export class Connection {
  readonly socket: Socket;
  /** The latest to begin, ended or not. */
  last: Exchange | undefined = undefined;

  readonly #openedAtMs = performance.now();
  /** Begun and not ended, oldest first. */
  readonly #open: Exchange[] = [];
  /** What `socket.bytesRead` was when it fell idle; more means that the next request has begun to arrive. */
  #idleAtBytes = 0;
  #isBroken = false;
  #hasClientEnded = false;
  #probing: NodeJS.Timeout | undefined = undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** True: its HTTP broke, and `sayLast` has taken over. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  begin(exchange: Exchange): void {
    this.#open.push(exchange);
    this.last = exchange;
  }

  ended(exchange: Exchange): void {
    const at = this.#open.indexOf(exchange);
    if (at !== -1) this.#open.splice(at, 1);
    if (this.#open.length > 0) {
      exchange.unwatchStall();
      if (this.#hasClientEnded) this.#probe();
    } else if (this.#isBroken) this.#end();
    else this.#idleAtBytes = this.socket.bytesRead;
  }

  /** No request is open, and no part of one has arrived. */
  isIdleSince(openedBeforeMs: number): boolean {
    const isBetweenRequests = this.#open.length === 0 && this.last?.hasBodyAhead !== true;
    return isBetweenRequests && this.socket.bytesRead === this.#idleAtBytes && this.#openedAtMs <= openedBeforeMs;
  }

  /** The server is about to destroy the socket. */
  cut(): void {
    for (const exchange of [...this.#open]) exchange.cut();
  }

  /** The client has ended its half (N1). */
  clientEnded(): void {
    this.#hasClientEnded = true;
    this.last?.clientEnded();
    if (this.#open[0]?.isStreaming === true) this.socket.destroySoon();
    else this.#probe();
  }

  /** The head of an answer of unknown length was sent. */
  streamBegun(): void {
    if (this.#hasClientEnded) this.#probe();
  }

  /** The socket has closed. */
  closed(): void {
    clearTimeout(this.#probing);
    for (const exchange of [...this.#open]) exchange.closed(); // pipelined ones behind the first hear nothing from Node
  }

  /** Writes `answer` around Node's response objects, behind those of the open exchanges, and closes. */
  sayLast(answer: string): void {
    this.#isBroken = true;
    const before = this.#open.at(-1);
    if (before !== undefined) {
      before.followWith(answer);
      return;
    }
    if (this.socket.writable) this.socket.write(answer);
    this.#end();
  }

  #probe(count = 0): void {
    clearTimeout(this.#probing);
    const [first] = this.#open;
    if (first === undefined || first.isTunnel) return;
    if (!first.isUnanswered && !first.isStreaming) return;
    this.#probing = setTimeout(
      () => {
        first.probe();
        this.#probe(count + 1);
      },
      PROBES_AFTER_MS[count] ?? PROBES_AFTER_MS.at(-1),
    ).unref();
  }

  #end(): void {
    const { socket } = this;
    socket.end(); // Node does so itself where the client has ended its half
    const timer = setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
    socket.once('close', () => {
      clearTimeout(timer);
    });
  }
}
