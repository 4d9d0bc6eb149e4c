// One HTTP/2 connection of the gRPC load client, any number of calls at a time. What a call sends is made once, but for the
// number of its stream, and of answers only the frames are looked at, so that a client takes little of the machine (RFC 9113).
// C1 A call has succeeded when its answer had a message: failures of gRPC have none. What the trailers say stays unread, since
//    that would take HPACK's tables.
import { connect } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEAD_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const INITIAL_WINDOW_SIZE = 4;

/** What a server may have sent and we have taken, before it is told so; and what it may send in all at first. */
const WINDOW_BYTES = 2 ** 30;
/** What we may send at first; the servers here leave it so for each stream, and give more for the connection. */
const SEND_WINDOW_BYTES = 65_535;
/** Before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** A call to be sent again and again. @param {{ path: string, request: Uint8Array }} plan - `path`: `/package.Service/Method`. */
export function callOf({ path, request }) {
  const headers = Buffer.concat([
    Buffer.from([0x83, 0x86]), // :method POST, :scheme http
    field(4, path),
    field(1, '127.0.0.1'),
    field(31, 'application/grpc'),
    field(58, 'jubako-bench'),
    field('te', 'trailers'),
    field('grpc-accept-encoding', 'identity,deflate,gzip'),
  ]);
  const message = Buffer.concat([Buffer.alloc(PREFIX_BYTES), request]);
  message.writeUInt32BE(request.length, 1);
  const head = frame(HEADERS, END_HEADERS, headers);
  return {
    bytes: Buffer.concat([head, frame(DATA, END_STREAM, message)]),
    dataAt: head.length,
    dataBytes: message.length,
  };
}

export class Http2Connection {
  #socket;
  #part = undefined;
  #nextId = 1;
  /** Stream → `{ onEnd, messages }`. */
  #calls = new Map();
  /** Calls that wait for the server's window. */
  #held = [];
  #sendWindow = SEND_WINDOW_BYTES;
  #taken = 0;
  #isClosed = false;
  #onFailure;

  /** @param onFailure - at most once. */
  constructor(port, onFailure) {
    this.#onFailure = onFailure;
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error(`Port ${port} closed a connection that was in use`)));
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
    settings.writeUInt32BE(WINDOW_BYTES, 2);
    this.#socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, settings), windowUpdate(WINDOW_BYTES)]));
  }

  /** @param call - of `callOf`. @param onEnd - of its answer, with the number of its messages. */
  send(call, onEnd) {
    if (call.dataBytes > this.#sendWindow) {
      this.#held.push([call, onEnd]);
      return;
    }
    this.#sendWindow -= call.dataBytes;
    const id = this.#nextId;
    this.#nextId += 2;
    this.#calls.set(id, { onEnd, messages: new Messages() });
    const bytes = Buffer.from(call.bytes);
    bytes.writeUInt32BE(id, HEAD_BYTES - 4);
    bytes.writeUInt32BE(id, call.dataAt + HEAD_BYTES - 4);
    this.#socket.write(bytes);
  }

  close() {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #fail(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#onFailure(error);
  }

  #read(chunk) {
    const bytes = this.#part === undefined ? chunk : Buffer.concat([this.#part, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#onFrame(bytes[at + 3], bytes[at + 4], bytes.readUInt32BE(at + 5), bytes, at + HEAD_BYTES, end);
      if (this.#isClosed) return;
      at = end;
    }
    this.#part = at === bytes.length ? undefined : bytes.subarray(at);
  }

  #onFrame(type, flags, id, bytes, from, end) {
    switch (type) {
      case DATA:
        this.#calls.get(id).messages.read(bytes, from, end); // no server here pads
        this.#take(end - from);
        if ((flags & END_STREAM) !== 0) this.#endCall(id);
        return;
      case HEADERS:
        if ((flags & END_STREAM) !== 0) this.#endCall(id);
        return;
      case SETTINGS:
        if ((flags & ACK) === 0) this.#socket.write(frame(SETTINGS, ACK, Buffer.alloc(0)));
        return;
      case PING:
        if ((flags & ACK) === 0) this.#socket.write(frame(PING, ACK, bytes.subarray(from, end)));
        return;
      case WINDOW_UPDATE:
        if (id === 0) this.#widen(bytes.readUInt32BE(from));
        return;
      case RST_STREAM:
      case GOAWAY:
        this.#fail(new Error(`Wanted an answer, got the frame ${type} of HTTP/2: ${bytes.latin1Slice(from, end)}`));
        return;
    }
  }

  #endCall(id) {
    const { onEnd, messages } = this.#calls.get(id);
    this.#calls.delete(id);
    if (messages.count === 0)
      this.#fail(new Error('Wanted an answer with a message, got a failure')); // C1
    else onEnd(messages.count);
  }

  #take(byteLength) {
    this.#taken += byteLength;
    if (this.#taken < WINDOW_BYTES / 2) return;
    this.#socket.write(windowUpdate(this.#taken));
    this.#taken = 0;
  }

  #widen(byteLength) {
    this.#sendWindow += byteLength;
    for (const [call, onEnd] of this.#held.splice(0)) this.send(call, onEnd);
  }
}

/** Counts the messages of one answer, wherever its frames are cut. */
class Messages {
  count = 0;
  /** Bytes of the current message that are still to come. */
  #left = 0;
  #prefix = 0;
  #prefixBytes = 0;

  read(bytes, from, end) {
    let at = from;
    while (at < end) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, end - at);
        this.#left -= skipped;
        at += skipped;
        if (this.#left === 0) this.count += 1;
        continue;
      }
      this.#prefix = this.#prefix * 256 + bytes[at]; // none is compressed: the first byte is 0
      this.#prefixBytes += 1;
      at += 1;
      if (this.#prefixBytes < PREFIX_BYTES) continue;
      this.#left = this.#prefix;
      this.#prefix = 0;
      this.#prefixBytes = 0;
      if (this.#left === 0) this.count += 1;
    }
  }
}

function frame(type, flags, content) {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(content.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  return Buffer.concat([head, content]);
}

function windowUpdate(byteLength) {
  const content = Buffer.alloc(4);
  content.writeUInt32BE(byteLength, 0);
  return frame(WINDOW_UPDATE, 0, content);
}

/** A header that enters no table (RFC 7541, section 6.2.2). @param name - its place in the static table, or a text. */
function field(name, value) {
  if (typeof name === 'string') return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
  const start = name < 15 ? [name] : [15, name - 15];
  return Buffer.concat([Buffer.from(start), text(value)]);
}

function text(value) {
  if (value.length > 126) throw new Error(`Cannot send the header "${value}": wanted at most 126 bytes`);
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
