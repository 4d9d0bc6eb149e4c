// Streams of gRPC by hand: what is sent is not looked at, what comes back is.
import { connect, constants } from 'node:http2';

/** Longer than any limit that a server of the fuzzers has. */
const ANSWERED_WITHIN_MS = 20_000;
const PREFIX_BYTES = 5;
/** Beyond it Node would reset the streams of this side by itself. */
const MAX_SESSION_MEGABYTES = 1000;

/** A message with its prefix. @param length - that it says to have. */
export function prefixed(message, { flag = 0, length = message.length } = {}) {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

export class GrpcConnection {
  /** Of the calls that were made on it. */
  numbers = [];
  #session;

  static async open(port) {
    const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: MAX_SESSION_MEGABYTES });
    session.on('error', () => undefined); // its streams end as well
    await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject));
    return new GrpcConnection(session);
  }

  constructor(session) {
    this.#session = session;
  }

  get isUsable() {
    return !this.#session.closed && !this.#session.destroyed;
  }

  /**
   * One call. Resolves when its stream is over: `{ httpStatus, headers, trailers, messages, resetCode, fault }`.
   * @param call - `pieces`: what is written, each by itself. `ends`: our half closes behind them. `resetAfter`: after so many
   * pieces the stream is reset. `leaves`: it is reset at the first message that comes.
   */
  call({ headers, pieces, ends = true, resetAfter, leaves = false }) {
    return new Promise((resolve) => {
      const stream = this.#session.request(headers, { endStream: false });
      const got = { headers: {}, trailers: {}, bytes: [], fault: undefined };
      const timer = setTimeout(() => {
        got.fault = `no end within ${ANSWERED_WITHIN_MS} ms`;
        stream.destroy();
      }, ANSWERED_WITHIN_MS);
      stream.on('response', (given) => (got.headers = given));
      stream.on('trailers', (given) => (got.trailers = given));
      stream.on('data', (chunk) => {
        got.bytes.push(chunk);
        if (leaves) stream.close(constants.NGHTTP2_CANCEL);
      });
      stream.on('error', () => undefined);
      stream.on('close', () => {
        clearTimeout(timer);
        resolve(finish(got, stream.rstCode));
      });
      for (const [at, piece] of pieces.entries()) {
        if (at === resetAfter) break;
        stream.write(piece);
      }
      if (resetAfter !== undefined) stream.close(constants.NGHTTP2_CANCEL);
      else if (ends) stream.end();
    });
  }

  close() {
    this.#session.destroy();
  }
}

function finish({ headers, trailers, bytes, fault }, resetCode) {
  const all = Buffer.concat(bytes);
  const messages = [];
  let at = 0;
  while (at + PREFIX_BYTES <= all.length) {
    const end = at + PREFIX_BYTES + all.readUInt32BE(at + 1);
    if (end > all.length) break;
    messages.push({ flag: all[at], bytes: all.subarray(at + PREFIX_BYTES, end) });
    at = end;
  }
  const cut = at === all.length ? fault : (fault ?? `${all.length - at} bytes behind the last message`);
  return { httpStatus: headers[':status'], headers, trailers, messages, resetCode, fault: cut };
}
