// A closed-loop HTTP/1.1 client: each connection sends its next request when it has the answer to the last. Requests are
// bytes made beforehand, answers are counted by their content-length, so that the client takes little of the machine.
// L1 CPU of the servers is read here, at the two ends of the window, so that it covers what the window covers.
import { connect } from 'node:net';
import { cpuMsOf } from './proc.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';
import { percentile } from './statistics.mjs';

/** From the first request to the window: all connections are open, and as deep in their loop as they will be. */
const RAMP_MS = 150;
/** Longer than any answer takes; only stops a hang. */
const ANSWER_WITHIN_MS = 20_000;
const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = 'content-length:';

/** @typedef {{ port: number, path: string, bodies: readonly string[], connections: number, measureMs: number,
 *   pids: Readonly<Record<string, readonly number[]>> }} LoadPlan - `pids`: processes by a name of the caller's. */

/** The client in a process of its own: `measure(plan)` → requests per second, latencies, CPU by name; `stop()`. */
export function startLoad() {
  const { ask, stop } = startSideProcess(import.meta.url);
  return { measure: ask, stop };
}

if (isSideProcess(import.meta.url)) answerQuestions(measure);

/** @param {LoadPlan} plan */
async function measure({ port, path, bodies, connections, measureMs, pids }) {
  const requests = bodies.map((body) => requestOf(port, path, body));
  const window = { isOpen: false, latenciesMs: [] };
  const clients = Array.from({ length: connections }, (_, i) => new Client(port, requests, i, window));
  try {
    const failed = Promise.race(clients.map((client) => client.failed));
    failed.catch(() => undefined); // looked at in the two races below
    await Promise.race([pause(RAMP_MS), failed]);
    const before = readCpu(pids);
    const ownBefore = process.cpuUsage();
    const startedAtMs = performance.now();
    window.isOpen = true;
    await Promise.race([pause(measureMs), failed]);
    window.isOpen = false;
    const elapsedMs = performance.now() - startedAtMs;
    const own = process.cpuUsage(ownBefore);
    const after = readCpu(pids);
    const count = window.latenciesMs.length;
    if (count === 0) throw new Error(`No answer from port ${port} within ${measureMs} ms`);
    return {
      perSecond: (count * 1000) / elapsedMs,
      p50Ms: percentile(window.latenciesMs, 0.5),
      p99Ms: percentile(window.latenciesMs, 0.99),
      clientCpuUs: (own.user + own.system) / count,
      /** Per request, by the names of `pids`. */
      cpuUs: Object.fromEntries(Object.keys(pids).map((name) => [name, ((after[name] - before[name]) * 1000) / count])),
    };
  } finally {
    for (const client of clients) client.close();
  }
}

function readCpu(pids) {
  return Object.fromEntries(Object.entries(pids).map(([name, group]) => [name, cpuMsOf(group)]));
}

function requestOf(port, path, body) {
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

class Client {
  #requests;
  #next;
  #window;
  #socket;
  #sentAtMs = 0;
  #part = undefined;
  #isClosed = false;
  #fail;

  constructor(port, requests, first, window) {
    this.#requests = requests;
    this.#next = first;
    this.#window = window;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined); // only the first of all clients matters
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.setTimeout(ANSWER_WITHIN_MS);
    this.#socket.on('connect', () => this.#send());
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('timeout', () => this.#socket.destroy(new Error(`No answer within ${ANSWER_WITHIN_MS} ms`)));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => {
      if (!this.#isClosed) this.#fail(new Error(`Port ${port} closed a connection that was in use`));
    });
  }

  close() {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #send() {
    const request = this.#requests[this.#next % this.#requests.length];
    this.#next += 1;
    this.#sentAtMs = performance.now();
    this.#socket.write(request);
  }

  #read(chunk) {
    const bytes = this.#part === undefined ? chunk : Buffer.concat([this.#part, chunk]);
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1) {
      this.#part = bytes;
      return;
    }
    const head = bytes.latin1Slice(0, headEnd).toLowerCase();
    const lengthAt = head.indexOf(LENGTH);
    if (lengthAt === -1 || !head.startsWith('http/1.1 200')) {
      this.#socket.destroy(new Error(`Wanted a 200 with a content-length, got: ${bytes.latin1Slice(0, 300)}`));
      return;
    }
    const total = headEnd + HEAD_END.length + Number.parseInt(head.slice(lengthAt + LENGTH.length), 10);
    if (bytes.length < total) {
      this.#part = bytes;
      return;
    }
    this.#part = undefined;
    if (this.#window.isOpen) this.#window.latenciesMs.push(performance.now() - this.#sentAtMs);
    this.#send();
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
