// Starts the servers that are compared, waits for their first answer and ends them.
// V1 Whatever happens, `stopAll` leaves no process behind: each server is ended by the pid it was started with.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { treeOf, variableOf } from './proc.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The unit in which a start is measured. */
const ASK_EVERY_MS = 5;
const START_WITHIN_MS = 20_000;
/** From the first answer until the other workers are up as well, also where the machine is busy. */
const OTHERS_WITHIN_MS = 1_000;
/** Time to leave by itself after SIGTERM. */
const STOP_WITHIN_MS = 5_000;

const started = new Set();

/** `jubako serve`, logs to /dev/null. @param flags - beside port and host. @param env - beside this process's. */
export function startJubako(target, flags, env) {
  const argsOf = (port) => ['dist/primary.js', 'serve', target, '--host', '127.0.0.1', '--port', `${port}`, ...flags];
  return start(argsOf, env);
}

/** @param script - of this folder. @param flags - beside the port. @param env - beside this process's. */
export function startPlain(script, flags, env) {
  return start((port) => [`scripts/bench/${script}`, '--port', `${port}`, ...flags], env);
}

/** @param argsOf - port → arguments of node. */
export async function start(argsOf, env = {}) {
  const port = await freePort();
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, argsOf(port), {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production', ...env },
  });
  const server = new Server(child, port, startedAtMs);
  started.add(server);
  return server;
}

export async function stopAll() {
  await Promise.all([...started].map((server) => server.stop()));
}

class Server {
  port;
  #child;
  #startedAtMs;

  constructor(child, port, startedAtMs) {
    this.#child = child;
    this.port = port;
    this.#startedAtMs = startedAtMs;
  }

  /** Every process of the server. */
  get pids() {
    return treeOf(this.#child.pid);
  }

  /** Processes that speak HTTP: of Jubako those with that role, of a plain cluster all but the primary. */
  get httpPids() {
    const workers = this.pids.slice(1);
    const http = workers.filter((pid) => variableOf(pid, 'JUBAKO_WORKER').includes('"role":"http"'));
    return http.length > 0 ? http : workers;
  }

  /** Milliseconds from the spawn to the end of the first answer that is 200. */
  untilAnswer(path, body) {
    return this.#until({ path, method: 'POST', body });
  }

  /** The same, and then until all workers take their share of new connections. */
  async untilComplete(path, body) {
    await this.untilAnswer(path, body);
    await new Promise((resolve) => setTimeout(resolve, OTHERS_WITHIN_MS));
  }

  async #until(question) {
    while (performance.now() - this.#startedAtMs < START_WITHIN_MS) {
      if (this.#child.exitCode !== null) throw new Error(`${this.#name} ended with code ${this.#child.exitCode}`);
      if (await answers(this.port, question)) return performance.now() - this.#startedAtMs;
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
    throw new Error(`${this.#name} gave no answer within ${START_WITHIN_MS} ms`);
  }

  /** Until a runner server has loaded its model. */
  untilReady() {
    return this.#until({ path: '/readyz', method: 'GET' });
  }

  async stop() {
    started.delete(this);
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    clearTimeout(killer);
  }

  get #name() {
    return this.#child.spawnargs.slice(1, 4).join(' ');
  }
}

function answers(port, { path, method, body = '' }) {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
      response.on('error', () => resolve(false));
    });
    sent.on('error', () => resolve(false)); // nobody listens yet
    sent.end(body);
  });
}

/** Free a moment ago; nobody else is asked to take one between here and the server's bind. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
