// A real server for the fuzzers, and what it says of itself: its log, its counters, its processes, their memory.
// S1 Every request that was answered stands in the log once, with the status that its client saw; the counters are the sum of
//    the log. S2 No worker dies. S3 Memory does not grow with the requests.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COUNTERS = 'jubako_requests_total';
/** Limit for what has to come about by itself, such as the last counts. */
const SETTLED_WITHIN_MS = 30_000;
const POLL_MS = 20;
const BAD_EVENTS = new Set(['worker.died', 'worker.failed', 'worker.stuck', 'worker.killed']);
/** Least severe level of log lines that count as an error of the server. */
const ERROR_LEVEL = 50;

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill();
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => process.exit(1));

export class FuzzServer {
  /** Name of a worker → its pid. */
  workers = new Map();
  addresses = {};
  /** Request id → the lines of its end: one, unless a client has used an id again. */
  finished = new Map();
  /** `protocol route outcome` → how many lines say so. */
  logged = new Map();
  problems = [];
  /** Request id → statuses that clients saw. */
  answered = new Map();
  /** Requests whose clients went before any answer: they are CLIENT_GONE, or a request that broke off. */
  mayBeUnheard = 0;
  #child;
  #folder = mkdtempSync(join(tmpdir(), 'jubako-fuzz-'));
  #logFile;
  #exited;

  /** @param logFile - gets all that the server writes. */
  static async start(args, { logFile, mayFail = () => false } = {}) {
    const server = new FuzzServer();
    await server.#start(args, logFile, mayFail);
    return server;
  }

  async #start(args, logFile, mayFail) {
    this.#logFile = logFile === undefined ? undefined : createWriteStream(logFile, { flags: 'a' });
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, JUBAKO_RUNTIME_DIR: this.#folder };
    const common = ['--host', '127.0.0.1', '--port', '0', '--log-format', 'json'];
    this.#child = spawn(process.execPath, [join(ROOT, 'dist/primary.js'), 'serve', ...args, ...common], {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    this.#exited = once(this.#child, 'exit');
    let errors = '';
    this.#child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
      this.problems.push(`on standard error: ${text.trim()}`);
    });
    const ready = new Promise((resolve, reject) => {
      createInterface(this.#child.stdout).on('line', (line) => {
        this.#logFile?.write(`${line}\n`);
        this.#onLine(line, mayFail, resolve);
      });
      this.#child.once('exit', (code) => reject(new Error(`the server ended with code ${code}: ${errors}`)));
    });
    await ready;
  }

  #onLine(text, mayFail, onReady) {
    const line = text.startsWith('{') ? JSON.parse(text) : { msg: text };
    const { event } = line;
    if (event === 'request.finished') this.#onFinished(line);
    else if (event === 'worker.ready') this.workers.set(line.name, line.workerPid);
    else if (event === 'server.ready') {
      this.addresses = line.addresses;
      onReady();
    } else if (BAD_EVENTS.has(event) || (line.level >= ERROR_LEVEL && !mayFail(line))) {
      this.problems.push(`in the log: ${text.slice(0, 2000)}`);
    }
  }

  #onFinished(line) {
    const { requestId, protocol, route, outcome } = line;
    this.finished.set(requestId, [...(this.finished.get(requestId) ?? []), line]);
    const key = `${protocol} ${route} ${outcome}`;
    this.logged.set(key, (this.logged.get(key) ?? 0) + 1);
  }

  get port() {
    return Number(new URL(this.addresses.http).port);
  }

  get grpcPort() {
    return Number(new URL(`http://${this.addresses.grpc}`).port);
  }

  /** Resident memory of all workers now, in bytes, by name. */
  residentBytes() {
    return Object.fromEntries([...this.workers].map(([name, pid]) => [name, statusBytes(pid, 'VmRSS')]));
  }

  /** The most that each worker had since `forgetPeaks`. */
  peakBytes() {
    return Object.fromEntries([...this.workers].map(([name, pid]) => [name, statusBytes(pid, 'VmHWM')]));
  }

  forgetPeaks() {
    for (const pid of this.workers.values()) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  }

  async metrics() {
    return (await this.fetch('/metrics')).body;
  }

  /** Notes an answer, for `checkLog`. */
  saw(id, status) {
    this.answered.set(id, [...(this.answered.get(id) ?? []), status]);
  }

  /** With its own id, so that it is counted and known. */
  async fetch(path) {
    const [response] = await once(get({ host: '127.0.0.1', port: this.port, path, agent: false }), 'response');
    let body = '';
    response.setEncoding('utf8');
    for await (const chunk of response) body += chunk;
    this.saw(response.headers['x-request-id'], response.statusCode);
    return { status: response.statusCode, body };
  }

  /** Waits until `isReached` and says `what` did not come about otherwise. */
  async until(what, isReached) {
    const deadlineAtMs = performance.now() + SETTLED_WITHIN_MS;
    while (!(await isReached())) {
      if (performance.now() > deadlineAtMs) {
        this.problems.push(`after ${SETTLED_WITHIN_MS} ms: ${await what()}`);
        return false;
      }
      await delay(POLL_MS);
    }
    return true;
  }

  /** S1: the counters against the log. The scrapes that look are counted as well, each one late. */
  async checkCounters() {
    let differences = [];
    const look = async () => {
      const counted = countersOf(await this.metrics());
      differences = [];
      for (const key of new Set([...counted.keys(), ...this.logged.keys()])) {
        if (key.includes(' /metrics ')) continue;
        const [inCounters, inLog] = [counted.get(key) ?? 0, this.logged.get(key) ?? 0];
        if (inCounters !== inLog) differences.push(`${key}: ${inCounters} counted, ${inLog} logged`);
      }
      return differences.length === 0;
    };
    await this.until(() => `counters differ from the log: ${differences.join('; ')}`, look);
  }

  /** S1: what clients saw is what the log says, and the log says nothing else but of clients that had gone. */
  async checkLog() {
    let differences = [];
    const look = () => {
      differences = [];
      let unheard = 0;
      for (const id of new Set([...this.answered.keys(), ...this.finished.keys()])) {
        const seen = (this.answered.get(id) ?? []).toSorted().join();
        const lines = (this.finished.get(id) ?? []).filter(({ outcome }) => outcome !== 'CLIENT_GONE');
        const said = lines
          .map(({ status }) => status)
          .toSorted()
          .join();
        if (seen === '') unheard += lines.length;
        else if (seen !== said)
          differences.push(`${id} was answered [${seen}], the log says [${said}] ${lines[0]?.route}`);
      }
      if (unheard > this.mayBeUnheard) differences.push(`${unheard} answers were heard by nobody`);
      return differences.length === 0;
    };
    await this.until(() => `clients and log differ: ${differences.slice(0, 10).join('; ')}`, look);
  }

  /**
   * Nothing is worked on, and no connection is open but the one that asks.
   * @param isQuick - does not look at connections of gRPC: one whose HTTP/2 was broken is noticed to have gone after 20 s.
   */
  async checkIdle({ isQuick = false } = {}) {
    let left = [];
    const look = async () => {
      const text = await this.metrics();
      left = text.split('\n').filter((line) => {
        const [, name, labels, value] = /^(jubako_\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
        if (name === 'jubako_requests_in_progress' || name === 'jubako_runner_queue_rows') return value !== '0';
        if (name !== 'jubako_connections' || (isQuick && labels.includes('grpc'))) return false;
        return Number(value) > (labels.includes('grpc') ? 0 : 1);
      });
      return left.length === 0;
    };
    return this.until(() => `something is left: ${left.join('; ')}`, look);
  }

  /** S2 */
  checkWorkers(wanted) {
    for (const [name, pid] of wanted) {
      if (this.workers.get(name) !== pid) this.problems.push(`${name} is not process ${pid} any more`);
      else if (!isAlive(pid)) this.problems.push(`${name} (${pid}) is gone`);
    }
  }

  async stop() {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM');
    const [code, signal] = await this.#exited;
    running.delete(this.#child);
    if (code !== 0) this.problems.push(`the server ended with code ${code} and signal ${signal}`);
    rmSync(this.#folder, { recursive: true, force: true });
    this.#logFile?.end();
  }
}

/** `protocol route outcome` → requests */
function countersOf(text) {
  const counted = new Map();
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${COUNTERS}{`)) continue;
    const [, protocol, route, outcome, value] =
      /protocol="(.*?)",route="(.*?)",outcome="(.*?)".*\} (\d+)$/.exec(line) ?? [];
    counted.set(`${protocol} ${route} ${outcome}`, Number(value));
  }
  return counted;
}

function statusBytes(pid, field) {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${field}:`));
  return Number(/\d+/.exec(line)[0]) * 1024;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
