// A closed-loop gRPC client: each lane sends its next call when it has the answer to the last, or the end of its stream.
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { callOf, Http2Connection } from './http2-connection.mjs';
import { measureWindow } from './load-window.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

/** @typedef {{ port: number, path: string, request: Uint8Array, connections: number, lanes: number, measureMs: number,
 *   values?: number, pids: Readonly<Record<string, readonly number[]>> }} GrpcLoadPlan
 *   `path`: `/package.Service/Method`. `lanes`: calls in flight on each connection. `values`: messages of an answer; default 1. */

const START_WITHIN_MS = 30_000;
const FIRST_RETRY_MS = 100;
/** Longer than any answer takes; only stops a hang. */
const ANSWER_WITHIN_MS = 20_000;

/** The client in a process of its own: `measure(plan)` → what `measureWindow` says; `stop()`. @param core - to run on. */
export function startGrpcLoad(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { measure: ask, stop };
}

/** The answer to one unary call, as a message, by the client of grpc-js; waits for the server. */
export async function askOnce(port, { path, requestSerialize, responseDeserialize }, message) {
  const options = { 'grpc.initial_reconnect_backoff_ms': FIRST_RETRY_MS };
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  try {
    return await new Promise((resolve, reject) => {
      const onAnswer = (error, answer) => (error === null ? resolve(answer) : reject(error));
      const callOptions = { deadline: Date.now() + START_WITHIN_MS };
      const metadata = new Metadata({ waitForReady: true });
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, callOptions, onAnswer);
    });
  } finally {
    client.close();
  }
}

if (isSideProcess(import.meta.url)) answerQuestions(measure);

/** @param {GrpcLoadPlan} plan */
function measure(plan) {
  const call = callOf(plan);
  return measureWindow(plan, (window) => [
    new Limit(plan.measureMs + ANSWER_WITHIN_MS),
    ...Array.from({ length: plan.connections }, () => new Lanes(plan, call, window)),
  ]);
}

/** Calls have no deadline of their own, which servers would have to watch. */
class Limit {
  #timer;

  constructor(ms) {
    this.failed = new Promise((_resolve, reject) => {
      this.#timer = setTimeout(() => reject(new Error(`No answer within ${ANSWER_WITHIN_MS} ms`)), ms);
    });
  }

  close() {
    clearTimeout(this.#timer);
  }
}

/** All calls of one connection. */
class Lanes {
  #call;
  #values;
  #window;
  #connection;
  #fail;

  constructor({ port, lanes, values = 1 }, call, window) {
    this.#call = call;
    this.#values = values;
    this.#window = window;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined); // only the first of all connections matters
    this.#connection = new Http2Connection(port, this.#fail);
    for (let i = 0; i < lanes; i += 1) this.#send();
  }

  close() {
    this.#connection.close();
  }

  #send() {
    const sentAtMs = performance.now();
    this.#connection.send(this.#call, (count) => {
      if (count !== this.#values) {
        this.#fail(new Error(`Wanted an answer of ${this.#values} messages, got ${count}`));
        return;
      }
      if (this.#window.isOpen) this.#window.latenciesMs.push(performance.now() - sentAtMs);
      this.#send();
    });
  }
}
