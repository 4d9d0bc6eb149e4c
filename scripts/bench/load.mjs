// A closed-loop HTTP/1.1 client: each connection sends its next request when it has the answer to the last.
// L1 CPU of the servers is read here, at the two ends of the window, so that it covers what the window covers.
import { Connection, requestOf } from './http-connection.mjs';
import { cpuMsOf } from './proc.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';
import { percentile } from './statistics.mjs';

/** From the first request to the window: all connections are open, and as deep in their loop as they will be. */
const RAMP_MS = 150;

/** @typedef {{ port: number, path: string, headers?: Readonly<Record<string, string>>, bodies: readonly (string | Uint8Array)[],
 *   connections: number, measureMs: number, pids: Readonly<Record<string, readonly number[]>>, allowsRefusals?: boolean }} LoadPlan
 *   `pids`: processes by a name of the caller's. `allowsRefusals`: answers that are not 200 are counted apart; else they
 *   are a failure. */

/** The client in a process of its own: `measure(plan)` → what the function below says; `stop()`. @param core - to run on. */
export function startLoad(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { measure: ask, stop };
}

if (isSideProcess(import.meta.url)) answerQuestions(measure);

/** @param {LoadPlan} plan @returns requests per second, latencies, CPU per request by name. */
async function measure(plan) {
  const { bodies, connections, measureMs, pids } = plan;
  const requests = bodies.map((body) => requestOf(plan, body));
  const window = { isOpen: false, latenciesMs: [], refused: 0 };
  const clients = Array.from({ length: connections }, (_, i) => new Client(plan, requests, i, window));
  try {
    const failed = Promise.race(clients.map((client) => client.failed));
    failed.catch(() => undefined); // looked at in the two races below
    await Promise.race([pause(RAMP_MS), failed]);
    const before = readCpu(pids);
    const ownBefore = process.cpuUsage();
    const startedAtMs = performance.now();
    window.isOpen = true;
    await Promise.race([pause(measureMs), failed]);
    const hasAnswers = () => window.latenciesMs.length + window.refused > 0;
    while (!hasAnswers()) await Promise.race([pause(1), failed]); // ends by the limit of a connection
    window.isOpen = false;
    const elapsedMs = performance.now() - startedAtMs;
    const own = process.cpuUsage(ownBefore);
    const after = readCpu(pids);
    const count = window.latenciesMs.length;
    if (count === 0) throw new Error(`Port ${plan.port} refused all of ${window.refused} requests`);
    return {
      perSecond: (count * 1000) / elapsedMs,
      p50Ms: percentile(window.latenciesMs, 0.5),
      p99Ms: percentile(window.latenciesMs, 0.99),
      refusedShare: window.refused / (window.refused + count),
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

class Client {
  #requests;
  #next;
  #window;
  #connection;
  #allowsRefusals;
  #sentAtMs = 0;
  #fail;

  constructor({ port, allowsRefusals }, requests, first, window) {
    this.#requests = requests;
    this.#next = first;
    this.#window = window;
    this.#allowsRefusals = allowsRefusals === true;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined); // only the first of all clients matters
    this.#connection = new Connection(port, (status, bytes) => this.#onAnswer(status, bytes), this.#fail);
    this.#send();
  }

  close() {
    this.#connection.close();
  }

  #send() {
    const request = this.#requests[this.#next % this.#requests.length];
    this.#next += 1;
    this.#sentAtMs = performance.now();
    this.#connection.send(request);
  }

  #onAnswer(status, bytes) {
    if (status !== 200 && !this.#allowsRefusals) {
      this.#fail(new Error(`Wanted a 200, got: ${bytes.latin1Slice(0, 500)}`));
      return;
    }
    if (this.#window.isOpen) {
      if (status === 200) this.#window.latenciesMs.push(performance.now() - this.#sentAtMs);
      else this.#window.refused += 1;
    }
    this.#send();
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
