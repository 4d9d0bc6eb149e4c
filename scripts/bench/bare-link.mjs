// The least that a link between two processes could be: frames with ids over a unix socket, answered in any order, writes
// gathered per loop turn. No hello, no methods, no deadlines, no cancellation, no limits, no load, no checks.
import { createServer, connect } from 'node:net';

/** u32 length of the body, u32 id, u8 kind, u8 flags, u16 and u32 unused: a body of floats can be viewed where it lies. */
const HEAD_BYTES = 16;
const REQUEST = 1;
const RESPONSE = 2;
/** Up to here frames are copied into one buffer, which is cheaper than one write with many parts. */
const JOIN_BYTES = 32 * 1024;

/** Answers each frame with itself. */
export function listenBare(path) {
  const server = createServer((socket) => {
    const frames = new Frames(socket, (kind, id, body) => {
      if (kind === REQUEST) frames.send(RESPONSE, id, body);
    });
  });
  return new Promise((resolve) => server.listen(path, resolve));
}

/** @returns `call(bytes)` → the answer. */
export async function connectBare(path) {
  const socket = connect(path);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const waiting = new Map();
  const frames = new Frames(socket, (kind, id, body) => {
    if (kind !== RESPONSE) return;
    const resolve = waiting.get(id);
    waiting.delete(id);
    resolve(body);
  });
  let nextId = 0;
  return (bytes) =>
    new Promise((resolve) => {
      nextId = (nextId + 1) >>> 0;
      waiting.set(nextId, resolve);
      frames.send(REQUEST, nextId, bytes);
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

  send(kind, id, body) {
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    this.#queue.push({ kind, id, body });
    this.#queuedBytes += frameBytes(body.byteLength);
    if (this.#queuedBytes >= JOIN_BYTES) this.#write();
  }

  #flush() {
    if (this.#queue.length > 0) this.#write();
  }

  #write() {
    const bytes = Buffer.allocUnsafe(this.#queuedBytes);
    let at = 0;
    for (const { kind, id, body } of this.#queue) {
      bytes.writeUInt32LE(body.byteLength, at);
      bytes.writeUInt32LE(id, at + 4);
      bytes.writeUInt32LE(kind, at + 8); // and no flags
      bytes.writeUInt32LE(0, at + 12);
      bytes.set(body, at + HEAD_BYTES);
      at += frameBytes(body.byteLength);
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#socket.write(bytes);
  }

  #read(chunk) {
    const bytes = this.#part === undefined ? chunk : Buffer.concat([this.#part, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const bodyBytes = bytes.readUInt32LE(at);
      const end = at + frameBytes(bodyBytes);
      if (end > bytes.length) break;
      const bodyAt = at + HEAD_BYTES;
      this.#onFrame(bytes[at + 8], bytes.readUInt32LE(at + 4), bytes.subarray(bodyAt, bodyAt + bodyBytes));
      at = end;
    }
    this.#part = at === bytes.length ? undefined : bytes.subarray(at);
  }
}

/** The next frame begins at a multiple of 8. */
function frameBytes(bodyBytes) {
  return HEAD_BYTES + bodyBytes + (-bodyBytes & 7);
}
