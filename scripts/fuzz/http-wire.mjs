// An HTTP/1.1 client that sends exactly the bytes it is given, and takes nothing for an answer that is not one.
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Longer than any limit that a server of the fuzzers has. */
const ANSWERED_WITHIN_MS = 20_000;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\x20-\x7e\x80-\xff]*$/;
const HEADER_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/;
const CHUNK_LINE = /^([0-9a-fA-F]+)$/;
const END_OF_LINE = Buffer.from('\r\n');

/** What came is no answer, or none came. */
export class WireError extends Error {}

export class Connection {
  /** The server has ended its half, or the whole. */
  isEnded = false;
  isReset = false;
  receivedBytes = 0;
  /** Of the requests that were sent on it. */
  numbers = [];
  #socket;
  #buffer = Buffer.alloc(0);
  /** What came after it, not joined yet: each chunk is copied once. */
  #chunks = [];
  #pendingBytes = 0;
  #wake = () => undefined;

  /** @param options - of node:net; `tls: true` for a server with a certificate that nobody trusts. */
  static async open(port, { tls = false, ...options } = {}) {
    const where = { host: '127.0.0.1', port, allowHalfOpen: true, ...options };
    const socket = tls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
    await new Promise((resolve, reject) => {
      socket.once(tls ? 'secureConnect' : 'connect', resolve);
      socket.once('error', reject);
    });
    return new Connection(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.receivedBytes += chunk.length;
      this.#chunks.push(chunk);
      this.#pendingBytes += chunk.length;
      this.#wake();
    });
    socket.on('end', () => {
      this.isEnded = true;
      this.#wake();
    });
    socket.on('error', () => {
      this.isReset = true;
    });
    socket.on('close', () => {
      this.isEnded = true;
      this.#wake();
    });
  }

  /** Resolves when the kernel has them, or nobody wants them. */
  write(bytes) {
    return new Promise((resolve) => {
      this.#socket.write(bytes, () => resolve());
    });
  }

  /** Ends our half. */
  end() {
    this.#socket.end();
  }

  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  destroy() {
    this.#socket.destroy();
  }

  /** Closes by a reset. */
  reset() {
    this.#socket.resetAndDestroy();
  }

  /** Waits until so many bytes have come in all. */
  async received(bytes) {
    while (this.receivedBytes < bytes) {
      if (this.isEnded) throw this.#endedEarly(`${bytes} bytes`);
      await this.#more(`${bytes} bytes`);
    }
  }

  /** The next answer. @param method - of its request. @throws {WireError} */
  async readAnswer(method) {
    const lines = await this.#readHead();
    const status = Number(STATUS_LINE.exec(lines[0])?.[1]);
    if (Number.isNaN(status)) throw new WireError(`a status line is ${JSON.stringify(lines[0])}`);
    const headers = new Headers(lines.slice(1));
    if (status >= 100 && status < 200 && status !== 101) {
      const final = await this.readAnswer(method);
      return { ...final, interim: [status, ...final.interim] };
    }
    const body = await this.#readBody(method, status, headers);
    const isLast = /(?:^|,)\s*close\s*(?:,|$)/i.test(headers.get('connection') ?? '') || body.isToTheEnd;
    return { status, headers, body: body.bytes, isLast, isCut: body.isCut, interim: [] };
  }

  /** True once the server has closed and all that it sent is read; false: there is more to read. */
  async isOver() {
    return !(await this.#readable());
  }

  /** Waits until the server has closed. @throws {WireError} - it sends more instead, or nothing happens. */
  async ended() {
    for (;;) {
      this.#join();
      if (this.#buffer.length > 0) throw new WireError(`after the end: ${preview(this.#buffer)}`);
      if (this.isEnded) return;
      await this.#more('the end of the connection');
    }
  }

  async #readHead() {
    const lines = [];
    for (;;) {
      const line = await this.#readLine();
      if (line === '' && lines.length > 0) return lines;
      lines.push(line);
    }
  }

  async #readBody(method, status, headers) {
    const nothing = { bytes: Buffer.alloc(0), isToTheEnd: false, isCut: false };
    if (method === 'HEAD' || status === 204 || status === 304) return nothing;
    const [length, coding] = [headers.get('content-length'), headers.get('transfer-encoding')];
    if (length !== undefined && coding !== undefined) throw new WireError('both Content-Length and Transfer-Encoding');
    if (coding !== undefined) {
      if (coding !== 'chunked') throw new WireError(`Transfer-Encoding: ${coding}`);
      return this.#readChunks();
    }
    if (length === undefined) return { bytes: await this.#readToEnd(), isToTheEnd: true, isCut: false };
    if (!/^\d+$/.test(length)) throw new WireError(`Content-Length: ${length}`);
    const bytes = await this.#take(Number(length));
    return { ...nothing, bytes };
  }

  /** An answer that breaks off is one that says so: `isCut`. */
  async #readChunks() {
    const chunks = [];
    const cut = () => ({ bytes: Buffer.concat(chunks), isToTheEnd: true, isCut: true });
    for (;;) {
      if ((await this.#readable()) === false) return cut();
      const line = await this.#readLine();
      const size = CHUNK_LINE.exec(line)?.[1];
      if (size === undefined) throw new WireError(`a chunk begins with ${JSON.stringify(line)}`);
      if (Number.parseInt(size, 16) === 0) break;
      chunks.push(await this.#take(Number.parseInt(size, 16)));
      if ((await this.#readLine()) !== '') throw new WireError('a chunk is longer than it says');
    }
    while ((await this.#readLine()) !== '');
    return { bytes: Buffer.concat(chunks), isToTheEnd: false, isCut: false };
  }

  async #readToEnd() {
    while (!this.isEnded) await this.#more('the end of an answer');
    this.#join();
    const bytes = this.#buffer;
    this.#buffer = Buffer.alloc(0);
    return bytes;
  }

  async #readLine() {
    for (;;) {
      this.#join();
      const at = this.#buffer.indexOf(END_OF_LINE);
      if (at !== -1) {
        const line = this.#buffer.toString('latin1', 0, at);
        this.#buffer = this.#buffer.subarray(at + END_OF_LINE.length);
        return line;
      }
      if (this.isEnded) throw this.#endedEarly('a line');
      await this.#more('a line');
    }
  }

  async #take(length) {
    while (this.#buffer.length + this.#pendingBytes < length) {
      if (this.isEnded) throw this.#endedEarly(`${length} bytes`);
      await this.#more(`${length} bytes`);
    }
    this.#join();
    const bytes = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return bytes;
  }

  /** False: the connection ended here. */
  async #readable() {
    while (this.#buffer.length + this.#pendingBytes === 0) {
      if (this.isEnded) return false;
      await this.#more('a chunk');
    }
    return true;
  }

  #join() {
    if (this.#chunks.length === 0) return;
    this.#buffer = Buffer.concat([this.#buffer, ...this.#chunks]);
    this.#chunks = [];
    this.#pendingBytes = 0;
  }

  #endedEarly(wanted) {
    this.#join();
    const how = this.isReset ? 'was reset' : 'ended';
    return new WireError(`the connection ${how} where ${wanted} should be, after ${preview(this.#buffer)}`);
  }

  async #more(what) {
    let timer;
    await new Promise((resolve, reject) => {
      this.#wake = resolve;
      timer = setTimeout(
        () => reject(new WireError(`${what} did not come within ${ANSWERED_WITHIN_MS} ms`)),
        ANSWERED_WITHIN_MS,
      );
      if (this.isEnded) resolve();
    }).finally(() => clearTimeout(timer));
  }
}

class Headers {
  #pairs;

  constructor(lines) {
    this.#pairs = lines.map((line) => {
      const [, name, value] = HEADER_LINE.exec(line) ?? [];
      if (name === undefined) throw new WireError(`a header is ${JSON.stringify(line)}`);
      return [name.toLowerCase(), value];
    });
    for (const name of ['content-length', 'content-type', 'transfer-encoding', 'x-request-id', 'connection']) {
      if (this.all(name).length > 1) throw new WireError(`the header ${name} is there ${this.all(name).length} times`);
    }
  }

  all(name) {
    return this.#pairs.filter(([each]) => each === name).map(([, value]) => value);
  }

  /** Of several, joined; undefined: none. */
  get(name) {
    const values = this.all(name);
    return values.length === 0 ? undefined : values.join(', ');
  }
}

function preview(bytes) {
  return bytes.length === 0 ? 'nothing' : JSON.stringify(bytes.toString('latin1', 0, 200));
}
