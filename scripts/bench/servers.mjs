// Starts the servers that are compared, waits for their first answer and ends them.
// V1 Whatever happens, `stopAll` leaves no process behind: each server is ended by the pid it was started with, and what it
//    had started and left is killed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { onCore } from './cores.mjs';
import { startTickOf, treeOf, variableOf } from './proc.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The unit in which a start is measured. */
const ASK_EVERY_MS = 5;
const START_WITHIN_MS = 30_000;
/** From the first answer until the other workers are up as well, also where the machine is busy. */
const OTHERS_WITHIN_MS = 500;
/** Time to leave by itself after SIGTERM. */
const STOP_WITHIN_MS = 5_000;

/** Flags of the two sides for the processes that most cases have. */
export const TWO_AND_ONE = ['--api-workers', '2', '--runner-workers', '1', '--no-grpc', '--no-access-log'];
export const PLAIN_WORKERS = ['--workers', '2'];

const started = new Set();

/** `jubako serve`, logs to /dev/null. @param flags - beside port and host. @param env - beside this process's.
 *  @param core - to run on. */
export function startJubako(target, flags, env, core) {
  const argsOf = (port) => ['dist/primary.js', 'serve', target, '--host', '127.0.0.1', '--port', `${port}`, ...flags];
  return start(argsOf, env, core);
}

/** The same with gRPC: the server has `grpcPort` as well. */
export async function startJubakoWithGrpc(target, flags, env, core) {
  const grpcPort = await freePort();
  const server = await startJubako(target, ['--grpc', '--grpc-port', `${grpcPort}`, ...flags], env, core);
  return Object.assign(server, { grpcPort });
}

/** @param script - of this folder. @param flags - beside the port. @param env - beside this process's. */
export function startPlain(script, flags, env) {
  return start((port) => [`scripts/bench/${script}`, '--port', `${port}`, ...flags], env);
}

/** @param argsOf - port → arguments of node. */
export function start(argsOf, env = {}, core = undefined) {
  const node = [...(core === undefined ? [] : onCore(core)), process.execPath];
  return startCommand((port) => ({
    command: [...node, ...argsOf(port)],
    env: { NODE_ENV: 'production', ...env },
    cwd: ROOT,
    output: ['ignore', 'inherit'],
  }));
}

/** @param commandOf - port → `{ command, env, cwd, output }`, or a promise of it: words, variables beside this process's, folder,
 *   what becomes of stdout and stderr. */
export async function startCommand(commandOf) {
  const port = await freePort();
  const { command, env, cwd, output } = await commandOf(port);
  const startedAtMs = performance.now();
  const child = spawn(command[0], command.slice(1), {
    cwd,
    stdio: ['ignore', ...output],
    env: { ...process.env, ...env },
  });
  child.on('error', () => undefined); // seen by `#hasEnded`: the child has no pid
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

  /** Processes that speak HTTP: of Jubako those with that role, of a plain cluster all but the primary; else the only one. */
  get httpPids() {
    const all = this.pids;
    const workers = all.slice(1);
    const http = workers.filter((pid) => hasRole(pid, 'http'));
    if (http.length > 0) return http;
    return workers.length > 0 ? workers : all;
  }

  /** Processes of Jubako that speak gRPC. */
  get grpcPids() {
    return this.pids.filter((pid) => hasRole(pid, 'grpc'));
  }

  /** Runner workers of Jubako. */
  get runnerPids() {
    return this.pids.filter((pid) => hasRole(pid, 'runner'));
  }

  /** Milliseconds from the spawn to the end of the first answer that is 200. @param headers - default: JSON. */
  untilAnswer(path, body, headers = {}) {
    return this.#until({ path, method: 'POST', body, headers });
  }

  /** The same, and then until all workers take their share of new connections. */
  async untilComplete(path, body, headers = {}, othersWithinMs = OTHERS_WITHIN_MS) {
    await this.untilAnswer(path, body, headers);
    await new Promise((resolve) => setTimeout(resolve, othersWithinMs));
  }

  async #until(question) {
    while (performance.now() - this.#startedAtMs < START_WITHIN_MS) {
      if (this.#hasEnded) throw new Error(`${this.#name} ended with code ${this.#child.exitCode}`);
      if (await answers(this.port, question)) return performance.now() - this.#startedAtMs;
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
    throw new Error(`${this.#name} gave no answer within ${START_WITHIN_MS} ms`);
  }

  /** Until a runner server has loaded its model. */
  untilReady() {
    return this.#until({ path: '/readyz', method: 'GET', headers: {} });
  }

  /** Stops its processes where they are, until `resume`. */
  pause() {
    for (const pid of this.pids) kill(pid, 'SIGSTOP');
  }

  resume() {
    for (const pid of this.pids) kill(pid, 'SIGCONT');
  }

  async stop() {
    started.delete(this);
    if (this.#hasEnded) return;
    this.resume();
    const all = this.pids.map((pid) => ({ pid, startTick: startTickOf(pid) }));
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
    clearTimeout(killer);
    for (const { pid, startTick } of all) {
      if (startTick !== undefined && startTickOf(pid) === startTick) kill(pid, 'SIGKILL');
    }
  }

  get #hasEnded() {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get #name() {
    return this.#child.spawnargs.slice(0, 4).join(' ');
  }
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if (thrown.code !== 'ESRCH') throw thrown; // it has ended since it was listed
  }
}

function hasRole(pid, role) {
  return variableOf(pid, 'JUBAKO_WORKER').includes(`"role":"${role}"`);
}

function answers(port, { path, method, body = '', headers }) {
  return new Promise((resolve) => {
    const all = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers };
    const sent = request({ host: '127.0.0.1', port, path, method, headers: all, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
      response.on('error', () => resolve(false));
    });
    sent.on('error', () => resolve(false)); // nobody listens yet
    sent.end(body);
  });
}

/** Free a moment ago; nobody else is asked to take one between here and the server's bind. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
