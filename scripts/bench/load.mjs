// A closed-loop HTTP/1.1 client: each connection sends its next request when it has the answer to the last.
import { Connection, requestOf } from './http-connection.mjs';
import { measureWindow } from './load-window.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

/** @typedef {{ port: number, path: string, headers?: Readonly<Record<string, string>>, bodies: readonly (string | Uint8Array)[],
 *   connections: number, measureMs: number, pids: Readonly<Record<string, readonly number[]>>, allowsRefusals?: boolean }} LoadPlan
 *   `pids`: processes by a name of the caller's. `allowsRefusals`: answers that are not 200 are counted apart; else they
 *   are a failure. */

/** The client in a process of its own: `measure(plan)` → what `measureWindow` says; `stop()`. @param core - to run on. */
export function startLoad(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { measure: ask, stop };
}

if (isSideProcess(import.meta.url)) answerQuestions(measure);

/** @param {LoadPlan} plan */
function measure(plan) {
  const requests = plan.bodies.map((body) => requestOf(plan, body));
  return measureWindow(plan, (window) =>
    Array.from({ length: plan.connections }, (_, i) => new Client(plan, requests, i, window)),
  );
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
