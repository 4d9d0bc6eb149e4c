// The way to a sleeping device and back with nothing done on it: client → TCP → a process → unix socket → another process →
// MessagePort → a thread that sleeps as the simulated accelerator does, and all the way back. Every process of the chain has
// slept meanwhile and wakes on cold caches: this much time lies between two runs whatever a server does.
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
  const sides = ['runner', 'api', 'client'].map((role) => {
    const { ask, stop } = startSideProcess(import.meta.url);
    return { ask: (args) => ask({ role, args }), stop };
  });
  const [runner, api, client] = sides;
  try {
    const rows = Math.min(connections, device.maxRows);
    const runMs = device.fixedMs + device.perRowMs * rows;
    await runner.ask({ path, runMs, rows });
    const port = await api.ask({ path });
    const { perSecond, p50Ms } = await client.ask({ port, connections, measureMs });
    return { idleMs: (1000 * rows) / perSecond - runMs, p50Ms: p50Ms - runMs };
  } finally {
    for (const side of sides) side.stop();
  }
}

const ROLES = {
  async runner({ path, runMs, rows }) {
    const { port1, port2 } = new MessageChannel();
    new Worker(new URL(import.meta.url), { workerData: { bareHops: { port: port2, runMs } }, transferList: [port2] });
    await listen(path, (socket) => {
      const waiting = [];
      let isIdle = true;
      const runIfFull = () => {
        if (!isIdle || waiting.length < rows) return;
        isIdle = false;
        port1.postMessage(Buffer.concat(waiting.splice(0, rows)));
      };
      onMessages(socket, (message) => {
        waiting.push(message);
        runIfFull();
      });
      port1.on('message', (messages) => {
        isIdle = true;
        runIfFull(); // the device first
        socket.write(messages);
      });
    });
  },
  async api({ path }) {
    const runner = connect(path);
    const sockets = [];
    onMessages(runner, (message) => sockets[message.readUInt32LE(0)].write(message));
    const server = await listen(0, (socket) => {
      const id = sockets.push(socket.setNoDelay(true)) - 1;
      onMessages(socket, (message) => {
        message.writeUInt32LE(id);
        runner.write(message);
      });
    });
    return server.address().port;
  },
  async client({ port, connections, measureMs }) {
    const latenciesMs = [];
    let isOpen = false;
    const sockets = Array.from({ length: connections }, () => {
      const socket = connect(port, '127.0.0.1').setNoDelay(true);
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
