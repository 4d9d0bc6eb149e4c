// The least that a link between two processes could be: length-prefixed frames with ids over a unix socket, writes gathered
// per loop turn. No hello, no methods, no deadlines, no cancellation, no limits, no checks.
import { createServer, connect } from 'node:net';

/** u32 length of the body, u32 id. */
const HEAD_BYTES = 8;
/** Up to here frames are copied into one buffer, which is cheaper than one write with many parts. */
const JOIN_BYTES = 32 * 1024;

/** Answers each frame with itself. */
export function listenBare(path) {
  const server = createServer((socket) => {
    const frames = new Frames(socket, (id, body) => frames.send(id, body));
  });
  return new Promise((resolve) => server.listen(path, resolve));
}

/** @returns `call(bytes)` → the answer. */
export async function connectBare(path) {
  const socket = connect(path);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const waiting = new Map();
  const frames = new Frames(socket, (id, body) => {
    const resolve = waiting.get(id);
    waiting.delete(id);
    resolve(body);
  });
  let nextId = 0;
  return (bytes) =>
    new Promise((resolve) => {
      nextId = (nextId + 1) >>> 0;
      waiting.set(nextId, resolve);
      frames.send(nextId, bytes);
    });
}

class Frames {
  #socket;
  #onFrame;
  #part = undefined;
  #queue = [];
  #queuedBytes = 0;

  constructor(socket, onFrame) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.on('data', (chunk) => this.#read(chunk));
  }

  send(id, body) {
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    this.#queue.push({ id, body });
    this.#queuedBytes += HEAD_BYTES + body.byteLength;
    if (this.#queuedBytes >= JOIN_BYTES) this.#write();
  }

  #flush() {
    if (this.#queue.length > 0) this.#write();
  }

  #write() {
    const bytes = Buffer.allocUnsafe(this.#queuedBytes);
    let at = 0;
    for (const { id, body } of this.#queue) {
      bytes.writeUInt32LE(body.byteLength, at);
      bytes.writeUInt32LE(id, at + 4);
      bytes.set(body, at + HEAD_BYTES);
      at += HEAD_BYTES + body.byteLength;
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#socket.write(bytes);
  }

  #read(chunk) {
    const bytes = this.#part === undefined ? chunk : Buffer.concat([this.#part, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      this.#onFrame(bytes.readUInt32LE(at + 4), bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    this.#part = at === bytes.length ? undefined : bytes.subarray(at);
  }
}
