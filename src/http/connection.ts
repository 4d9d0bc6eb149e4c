import type { Socket } from 'node:net';
import type { Exchange } from './exchange.js';

/** Time for a client to read a last answer before its connection is cut. */
const LAST_WORDS_MS = 2_000;

/** A connection that speaks HTTP (with TLS: after the handshake), and the exchanges on it. */
export class Connection {
  readonly socket: Socket;
  /** The latest to begin, ended or not. */
  last: Exchange | undefined = undefined;

  readonly #openedAtMs = performance.now();
  /** Begun and not ended, oldest first. */
  readonly #open: Exchange[] = [];
  /** What `socket.bytesRead` was when it fell idle; more means that the next request has begun to arrive. */
  #idleAtBytes = 0;
  #lastWords: string | undefined = undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** True: its HTTP broke, and `sayLast` has taken over. */
  get isBroken(): boolean {
    return this.#lastWords !== undefined;
  }

  begin(exchange: Exchange): void {
    this.#open.push(exchange);
    this.last = exchange;
  }

  ended(exchange: Exchange): void {
    const at = this.#open.indexOf(exchange);
    if (at !== -1) this.#open.splice(at, 1);
    if (this.#open.length > 0) exchange.unwatchStall();
    else if (this.#lastWords !== undefined) this.#say(this.#lastWords);
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

  /** The socket has closed. */
  closed(): void {
    for (const exchange of [...this.#open]) exchange.closed(); // pipelined ones behind the first hear nothing from Node
  }

  /** Writes `answer` around Node's response objects once the open exchanges have ended, then closes. */
  sayLast(answer: string): void {
    this.#lastWords = answer;
    if (this.#open.length === 0) this.#say(answer);
  }

  #say(answer: string): void {
    const { socket } = this;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    socket.end(answer);
    const timer = setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
    socket.once('close', () => {
      clearTimeout(timer);
    });
  }
}
