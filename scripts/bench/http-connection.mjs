// One HTTP/1.1 keep-alive connection of the load clients, one request at a time. Requests are bytes made beforehand, answers
// are counted by their content-length or their chunks, so that a client takes little of the machine.
import { connect } from 'node:net';
import { ChunkedBody } from './chunked-body.mjs';

/** Longer than any answer takes; only stops a hang. */
const ANSWER_WITHIN_MS = 20_000;
const HEAD_END = Buffer.from('\r\n\r\n');
/** With what ends the line before it: another header ends in these words. */
const LENGTH = '\r\ncontent-length:';
const CHUNKED = 'transfer-encoding: chunked';
const STATUS_AT = 'http/1.1 '.length;

/** @param {{ port: number, path: string, headers?: Readonly<Record<string, string>> }} target - default: JSON.
 *  @param {string | Uint8Array} body */
export function requestOf({ port, path, headers = {} }, body) {
  const head = Object.entries({ 'Content-Type': 'application/json', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  const lines = [`POST ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...head, length];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}

export class Connection {
  #socket;
  #part = undefined;
  /** Of an answer in chunks whose head has been read: `{ head, body }`. */
  #chunked = undefined;
  #isClosed = false;
  #onAnswer;
  #onFailure;

  /** @param onAnswer - of each answer, with its status and its first bytes. @param onFailure - at most once. */
  constructor(port, onAnswer, onFailure) {
    this.#onAnswer = onAnswer;
    this.#onFailure = onFailure;
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.setTimeout(ANSWER_WITHIN_MS);
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('timeout', () => this.#socket.destroy(new Error(`No answer within ${ANSWER_WITHIN_MS} ms`)));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error(`Port ${port} closed a connection that was in use`)));
  }

  send(request) {
    this.#socket.write(request);
  }

  close() {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #fail(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onFailure(error);
  }

  #read(chunk) {
    if (this.#chunked !== undefined) this.#readChunks(chunk, 0);
    else this.#readAnswer(chunk);
  }

  #readAnswer(chunk) {
    const bytes = this.#part === undefined ? chunk : Buffer.concat([this.#part, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1) {
      this.#part = bytes;
      return;
    }
    const head = bytes.latin1Slice(0, headEnd).toLowerCase();
    const lengthAt = head.indexOf(LENGTH);
    if (lengthAt === -1 && head.includes(CHUNKED)) {
      this.#part = undefined;
      this.#chunked = { head: bytes, body: new ChunkedBody() };
      this.#readChunks(bytes, headEnd + HEAD_END.length);
      return;
    }
    if (lengthAt === -1) {
      this.#socket.destroy(new Error(`Wanted an answer with a length or in chunks, got: ${bytes.latin1Slice(0, 300)}`));
      return;
    }
    const total = headEnd + HEAD_END.length + Number.parseInt(head.slice(lengthAt + LENGTH.length), 10);
    if (bytes.length < total) {
      this.#part = bytes;
      return;
    }
    this.#part = undefined;
    this.#onAnswer(Number.parseInt(head.slice(STATUS_AT), 10), bytes);
  }

  #readChunks(bytes, from) {
    const { head, body } = this.#chunked;
    if (!body.read(bytes, from)) return;
    this.#chunked = undefined;
    this.#onAnswer(Number.parseInt(head.latin1Slice(STATUS_AT, STATUS_AT + 3), 10), head);
  }
}
