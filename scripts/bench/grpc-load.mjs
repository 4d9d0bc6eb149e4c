// A closed-loop gRPC client of grpc-js: each lane sends its next call when it has the answer to the last, or the end of its
// stream. Requests are bytes made beforehand and answers stay bytes, so that a client takes little of the machine.
import { Client as GrpcClient, credentials } from '@grpc/grpc-js';
import { measureWindow } from './load-window.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

/** @typedef {{ port: number, path: string, request: Uint8Array, connections: number, lanes: number, measureMs: number,
 *   values?: number, pids: Readonly<Record<string, readonly number[]>> }} GrpcLoadPlan
 *   `path`: `/package.Service/Method`. `lanes`: of each connection. `values`: how many an answer has that is a stream. */

const START_WITHIN_MS = 30_000;
/** Longer than any answer takes; only stops a hang. */
const ANSWER_WITHIN_MS = 20_000;
const OPTIONS = { 'grpc.use_local_subchannel_pool': 1, 'grpc.initial_reconnect_backoff_ms': 100 };

/** The client in a process of its own: `measure(plan)` → what `measureWindow` says; `stop()`. @param core - to run on. */
export function startGrpcLoad(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { measure: ask, stop };
}

/** The answer to one unary call, as a message. */
export async function askOnce(port, { path, requestSerialize, responseDeserialize }, message) {
  const channel = connectTo(port);
  try {
    await untilConnected(channel);
    return await new Promise((resolve, reject) => {
      const onAnswer = (error, answer) => (error === null ? resolve(answer) : reject(error));
      channel.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, onAnswer);
    });
  } finally {
    channel.close();
  }
}

if (isSideProcess(import.meta.url)) answerQuestions(measure);

/** @param {GrpcLoadPlan} plan */
async function measure(plan) {
  const channels = Array.from({ length: plan.connections }, () => connectTo(plan.port));
  try {
    for (const channel of channels) await untilConnected(channel);
    return await measureWindow(plan, (window) => [
      new Limit(plan.measureMs + ANSWER_WITHIN_MS),
      ...channels.flatMap((channel) => Array.from({ length: plan.lanes }, () => new Lane(plan, channel, window))),
    ]);
  } finally {
    for (const channel of channels) channel.close();
  }
}

function connectTo(port) {
  return new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure(), OPTIONS);
}

function untilConnected(channel) {
  return new Promise((resolve, reject) => {
    channel.waitForReady(Date.now() + START_WITHIN_MS, (error) => (error ? reject(error) : resolve()));
  });
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

class Lane {
  #plan;
  #request;
  #channel;
  #window;
  #sentAtMs = 0;
  #isClosed = false;
  #call;
  #fail;

  constructor(plan, channel, window) {
    this.#plan = plan;
    this.#request = Buffer.from(plan.request);
    this.#channel = channel;
    this.#window = window;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined); // only the first of all lanes matters
    this.#send();
  }

  close() {
    this.#isClosed = true;
    this.#call.cancel();
  }

  #send() {
    const { path, values } = this.#plan;
    this.#sentAtMs = performance.now();
    if (values === undefined) {
      this.#call = this.#channel.makeUnaryRequest(path, asIs, asIs, this.#request, (error) => this.#onAnswer(error));
      return;
    }
    this.#call = this.#channel.makeServerStreamRequest(path, asIs, asIs, this.#request);
    let left = values;
    this.#call.on('data', () => {
      left -= 1;
    });
    this.#call.on('error', (error) => this.#onAnswer(error));
    this.#call.on('end', () =>
      this.#onAnswer(left === 0 ? null : new Error(`${left} of ${values} values are missing`)),
    );
  }

  #onAnswer(error) {
    if (this.#isClosed) return;
    if (error !== null) {
      this.#isClosed = true;
      this.#fail(error);
      return;
    }
    if (this.#window.isOpen) this.#window.latenciesMs.push(performance.now() - this.#sentAtMs);
    this.#send();
  }
}

function asIs(bytes) {
  return bytes;
}
