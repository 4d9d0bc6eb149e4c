// The way to a sleeping device and back with nothing done on it: client → TCP → one of two processes → unix socket → another →
// MessagePort → a thread that sleeps as the simulated accelerator does, and all the way back. Every process of the chain has
// slept meanwhile and wakes on cold caches: this much time lies between two full runs whatever a server does.
// It also knows what a server has to guess: a run begins when all connections have asked.
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { isMainThread, MessageChannel, Worker, workerData } from 'node:worker_threads';
import { answerQuestions, isSideProcess, startSideProcess } from '../bench/side-process.mjs';
import { percentile } from '../bench/statistics.mjs';
import { temporaryFolder } from '../bench/temporary-folder.mjs';

/** A message, whose first four bytes say which connection it belongs to. */
const MESSAGE_BYTES = 64;
/** As in accelerator-service.ts: the kernel wakes a waiter some 0.1 ms late. */
const SPUN_MS = 0.15;
const RAMP_MS = 300;

if (!isMainThread && workerData?.bareHops !== undefined) sleepOnAndOn(workerData.bareHops);
else if (isSideProcess(import.meta.url)) answerQuestions(({ role, args }) => ROLES[role](args));

/**
 * The bare chain in a closed loop.
 * @param device - `{ fixedMs, perRowMs, maxRows }`; each run has all connections, or that many of them.
 * @returns `idleMs` of the device between two runs, mean; `p50Ms` of a request, less the time of one run.
 */
export async function measureBareHops(device, connections, measureMs) {
  const folder = temporaryFolder();
  const path = join(folder, 'hops.sock');
  const sides = ['runner', 'api', 'api', 'client'].map((role) => {
    const { ask, stop } = startSideProcess(import.meta.url);
    return { ask: (args) => ask({ role, args }), stop };
  });
  const [runner, ...others] = sides;
  const client = others.pop();
  try {
    const rows = Math.min(connections, device.maxRows);
    const runMs = device.fixedMs + device.perRowMs * rows;
    await runner.ask({ path, runMs, rows });
    const ports = await Promise.all(others.map((api) => api.ask({ path })));
    const { perSecond, p50Ms } = await client.ask({ ports, connections, measureMs });
    return { idleMs: (1000 * rows) / perSecond - runMs, p50Ms: p50Ms - runMs };
  } finally {
    for (const side of sides) side.stop();
  }
}

const ROLES = {
  async runner({ path, runMs, rows }) {
    const { port1, port2 } = new MessageChannel();
    new Worker(new URL(import.meta.url), { workerData: { bareHops: { port: port2, runMs } }, transferList: [port2] });
    const waiting = [];
    let running = [];
    const runIfFull = () => {
      if (running.length > 0 || waiting.length < rows) return;
      running = waiting.splice(0, rows);
      port1.postMessage(Buffer.concat(running.map(({ message }) => message)));
    };
    port1.on('message', (messages) => {
      const answered = running;
      running = [];
      runIfFull(); // the device first
      answered.forEach(({ writer }, i) => writer.send(messages.subarray(i * MESSAGE_BYTES, (i + 1) * MESSAGE_BYTES)));
    });
    await listen(path, (socket) => {
      const writer = new GatheringWriter(socket);
      onMessages(socket, (message) => {
        waiting.push({ writer, message });
        runIfFull();
      });
    });
  },
  async api({ path }) {
    const runner = connect(path);
    const writer = new GatheringWriter(runner);
    const sockets = [];
    onMessages(runner, (message) => sockets[message.readUInt32LE(0)].write(message));
    const server = await listen(0, (socket) => {
      const id = sockets.push(socket.setNoDelay(true)) - 1;
      onMessages(socket, (message) => {
        message.writeUInt32LE(id);
        writer.send(message);
      });
    });
    return server.address().port;
  },
  async client({ ports, connections, measureMs }) {
    const latenciesMs = [];
    let isOpen = false;
    const sockets = Array.from({ length: connections }, (_, i) => {
      const socket = connect(ports[i % ports.length], '127.0.0.1').setNoDelay(true);
      let sentAtMs = performance.now();
      onMessages(socket, (message) => {
        const nowMs = performance.now();
        if (isOpen) latenciesMs.push(nowMs - sentAtMs);
        sentAtMs = nowMs;
        socket.write(message);
      });
      return socket;
    });
    for (const socket of sockets) socket.write(Buffer.alloc(MESSAGE_BYTES));
    await pause(RAMP_MS);
    isOpen = true;
    const startedAtMs = performance.now();
    await pause(measureMs);
    isOpen = false;
    const elapsedMs = performance.now() - startedAtMs;
    for (const socket of sockets) socket.destroy();
    return { perSecond: (1000 * latenciesMs.length) / elapsedMs, p50Ms: percentile(latenciesMs, 0.5) };
  },
};

/** The thread. */
function sleepOnAndOn({ port, runMs }) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  port.on('message', (messages) => {
    const endAtMs = performance.now() + runMs;
    Atomics.wait(never, 0, 0, endAtMs - performance.now() - SPUN_MS);
    while (performance.now() < endAtMs);
    port.postMessage(messages);
  });
}

/** Writes what a loop turn brings at once. */
class GatheringWriter {
  #socket;
  #messages = [];

  constructor(socket) {
    this.#socket = socket;
  }

  send(message) {
    if (this.#messages.push(message) > 1) return;
    setImmediate(() => {
      this.#socket.write(Buffer.concat(this.#messages));
      this.#messages = [];
    });
  }
}

function listen(where, onSocket) {
  const server = createServer(onSocket);
  return new Promise((resolve) => server.listen(where, () => resolve(server)));
}

function onMessages(socket, onMessage) {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; bytes.length - at >= MESSAGE_BYTES; at += MESSAGE_BYTES) onMessage(bytes.subarray(at, at + MESSAGE_BYTES));
    rest = bytes.subarray(at);
  });
  socket.on('error', () => undefined); // its other end was stopped
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
