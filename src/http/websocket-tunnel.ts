import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { FrameBoundary, GOING_AWAY } from './close-frame.js';

// A WebSocket between a client and a mounted application: bytes both ways, with the back-pressure of the two connections, so
// that extensions and subprotocols are theirs to agree on.
// W1 When one side is closed, so is the other; when one will send no more, the other has a moment for its last words.
// W2 When the server drains, the client is told so between two frames of the application (1001, going away) and then has a
//    moment to say goodbye.

const GOODBYE_MS = 1_000;

/** What was switched to another protocol, and what came after that. */
export interface Upgraded {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export class WebSocketTunnel {
  readonly #client: Duplex;
  readonly #application: Duplex;
  readonly #boundary = new FrameBoundary();
  #isGoing = false;
  #saidGoodbye = false;
  #timer: NodeJS.Timeout | undefined = undefined;

  /** @param answer - of the application: 101. */
  constructor(client: Upgraded, application: Upgraded, answer: IncomingMessage, headers: readonly string[]) {
    this.#client = client.socket;
    this.#application = application.socket;
    client.socket.write(headText(answer, headers), 'latin1');
    if (application.head.length > 0) this.#toClient(application.head);
    if (client.head.length > 0) application.socket.write(client.head);
    client.socket.pipe(application.socket);
    application.socket.on('data', (chunk: Buffer) => {
      this.#toClient(chunk);
    });
    application.socket.on('end', () => client.socket.end());
    client.socket.on('drain', () => application.socket.resume());
    for (const [one, other] of [
      [client.socket, application.socket],
      [application.socket, client.socket],
    ] as const) {
      one.on('error', () => one.destroy());
      one.on('end', () => {
        this.#endSoon();
      });
      one.on('close', () => {
        clearTimeout(this.#timer);
        other.destroy(); // W1
      });
    }
  }

  /** W2 */
  goAway(): void {
    if (this.#isGoing) return;
    this.#isGoing = true;
    this.#endSoon();
    if (this.#boundary.isAtBoundary) this.#sayGoodbye();
  }

  #endSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#client.destroy();
    }, GOODBYE_MS);
  }

  #toClient(chunk: Buffer): void {
    if (this.#saidGoodbye) return;
    const taken = this.#boundary.see(chunk, this.#isGoing);
    if (!this.#client.write(taken === chunk.length ? chunk : chunk.subarray(0, taken))) this.#application.pause();
    if (this.#isGoing && this.#boundary.isAtBoundary) this.#sayGoodbye();
  }

  #sayGoodbye(): void {
    this.#saidGoodbye = true;
    this.#client.write(GOING_AWAY);
  }
}

function headText({ statusMessage = '' }: IncomingMessage, headers: readonly string[]): string {
  const lines = [`HTTP/1.1 101 ${statusMessage}`];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i] ?? ''}: ${headers[i + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
