// An open-loop HTTP/1.1 client: requests leave by a clock, whether the ones before them are answered or not.
// O1 A latency counts from the time that the clock gave the request, not from when it was sent: what a slow server or this
//    client makes it wait is in it.
// O2 A connection carries one request at a time; when none is free, another one is opened.
import { Connection, requestOf } from './http-connection.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';
import { percentile } from './statistics.mjs';

const FIRST_CONNECTIONS = 256;
/** A server that needs more has stopped to answer. */
const MOST_CONNECTIONS = 8_000;
/** From the first request to the window: the queue of the server has filled. */
const RAMP_MS = 500;
/** After the window, for the answers to what was sent in it. */
const LAST_ANSWERS_MS = 5_000;

/** @typedef {{ port: number, path: string, headers?: Readonly<Record<string, string>>, body: string | Uint8Array,
 *   perSecond: number, measureMs: number }} OpenPlan - `perSecond`: to be offered. */

/** The client in a process of its own: `measure(plan)` → what `Arrivals.measure` says; `stop()`. */
export function startOpenLoad() {
  const { ask, stop } = startSideProcess(import.meta.url);
  return { measure: ask, stop };
}

if (isSideProcess(import.meta.url)) answerQuestions((plan) => new Arrivals(plan).measure());

class Arrivals {
  #plan;
  #request;
  #idle = [];
  #connections = new Set();
  #inFlight = 0;
  #fail;
  #failed;
  #fromAtMs = 0;
  #untilAtMs = 0;
  #sent = 0;
  #lagsMs = [];
  #accepted = { count: 0, latenciesMs: [] };
  #refused = { latenciesMs: [], sinceSentMs: [] };
  #others = new Map();

  /** @param {OpenPlan} plan */
  constructor(plan) {
    this.#plan = plan;
    this.#request = requestOf(plan, plan.body);
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined); // looked at in `measure`
    for (let i = 0; i < FIRST_CONNECTIONS; i += 1) this.#idle.push(this.#open());
  }

  /** Rates of the window; latencies of the requests whose time was in it. */
  async measure() {
    const { measureMs } = this.#plan;
    try {
      const own = process.cpuUsage();
      await Promise.race([this.#send(), this.#failed]);
      const { user, system } = process.cpuUsage(own);
      await Promise.race([this.#lastAnswers(), this.#failed]);
      if (this.#others.size > 0) {
        const counts = [...this.#others].map(([status, count]) => `${count} times ${status}`).join(', ');
        throw new Error(`Wanted answers 200 or 503, got: ${counts}`);
      }
      if (this.#accepted.latenciesMs.length === 0) throw new Error('No request was accepted');
      const wholeMs = RAMP_MS + measureMs;
      return {
        offeredPerSecond: (this.#sent * 1000) / measureMs,
        goodPerSecond: (this.#accepted.count * 1000) / measureMs,
        acceptedP99Ms: percentile(this.#accepted.latenciesMs, 0.99),
        /** 0 where nothing was refused. */
        refusedP99Ms: percentile(this.#refused.latenciesMs, 0.99) ?? 0,
        refusedSinceSentP99Ms: percentile(this.#refused.sinceSentMs, 0.99) ?? 0,
        unanswered: this.#inFlight,
        connections: this.#connections.size,
        lagP99Ms: percentile(this.#lagsMs, 0.99),
        clientCores: (user + system) / 1000 / wholeMs,
      };
    } finally {
      for (const connection of this.#connections) connection.close();
    }
  }

  /** Until the end of the window. A timer wakes once a millisecond and sends what has become due. */
  #send() {
    return new Promise((resolve) => {
      const gapMs = 1000 / this.#plan.perSecond;
      let dueAtMs = performance.now() + 50; // the first connections are open
      this.#fromAtMs = dueAtMs + RAMP_MS;
      this.#untilAtMs = this.#fromAtMs + this.#plan.measureMs;
      const step = () => {
        const nowMs = performance.now();
        for (; dueAtMs <= nowMs && dueAtMs < this.#untilAtMs; dueAtMs += gapMs) this.#sendOne(dueAtMs);
        if (dueAtMs >= this.#untilAtMs) resolve();
        else setTimeout(step, 1);
      };
      step();
    });
  }

  #sendOne(dueAtMs) {
    const connection = this.#idle.shift() ?? this.#open();
    if (connection === undefined) return;
    const nowMs = performance.now();
    if (nowMs >= this.#fromAtMs && nowMs < this.#untilAtMs) this.#sent += 1;
    if (dueAtMs >= this.#fromAtMs) this.#lagsMs.push(nowMs - dueAtMs);
    connection.dueAtMs = dueAtMs;
    connection.sentAtMs = nowMs;
    this.#inFlight += 1;
    connection.send(this.#request);
  }

  #open() {
    if (this.#connections.size === MOST_CONNECTIONS) {
      this.#fail(new Error(`${MOST_CONNECTIONS} requests wait for their answers`));
      return undefined;
    }
    const connection = new Connection(
      this.#plan.port,
      (status) => this.#onAnswer(connection, status),
      (error) => this.#fail(error),
    );
    this.#connections.add(connection);
    return connection;
  }

  #onAnswer(connection, status) {
    const nowMs = performance.now();
    this.#inFlight -= 1;
    this.#idle.push(connection);
    if (status === 200 && nowMs >= this.#fromAtMs && nowMs < this.#untilAtMs) this.#accepted.count += 1;
    if (connection.dueAtMs < this.#fromAtMs) return;
    const latencyMs = nowMs - connection.dueAtMs;
    if (status === 200) {
      this.#accepted.latenciesMs.push(latencyMs);
    } else if (status === 503) {
      this.#refused.latenciesMs.push(latencyMs);
      this.#refused.sinceSentMs.push(nowMs - connection.sentAtMs);
    } else {
      this.#others.set(status, (this.#others.get(status) ?? 0) + 1);
    }
  }

  async #lastAnswers() {
    const giveUpAtMs = performance.now() + LAST_ANSWERS_MS;
    while (this.#inFlight > 0 && performance.now() < giveUpAtMs) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
