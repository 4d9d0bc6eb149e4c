// Ways to hand a small batch (8 calls, 256 bytes) to another thread and to get its result, one after another: CPU of both
// threads together per round trip, medians. Written down in DECISIONS.md. Usage: node scripts/measure/thread-transports.mjs
//   objects       messages as they are: objects, buffers transferred
//   lists         the same facts as flat lists, which have no keys to write
//   bare ping     a number each way: what waking the two threads costs, the least that any of these can cost
//   mailbox       shared memory holds what is to be told; the thread waits up to 0.1 ms for it with Atomics.wait before it sleeps in
//                 its loop, where a ping wakes it; a ping tells the main thread
//   waitAsync     the same, the main thread is told by Atomics.waitAsync
// Each way is measured while the main thread does nothing else, and while it works 50 µs between sending and receiving.
import { isMainThread, MessageChannel, Worker, workerData } from 'node:worker_threads';

const ROUNDS = 7;
const ROUND_MS = 300;
const WAIT_MS = 0.1;
const PING = 1;
/** Indices of the shared memory: the number of the last batch, that of the last result. */
const BATCH = 0;
const RESULT = 1;

if (isMainThread) await compare();
else serve(workerData);

async function compare() {
  const { port1: port, port2 } = new MessageChannel();
  const mail = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL(import.meta.url), { workerData: { port: port2, mail }, transferList: [port2] });
  let onMessage;
  port.on('message', (message) => onMessage(message));
  const told = () => new Promise((resolve) => (onMessage = resolve));
  const send = (message, transfer) => {
    const answer = told();
    port.postMessage(message, transfer);
    return answer;
  };
  const drop = () => {
    Atomics.add(mail, BATCH, 1);
    if (Atomics.notify(mail, BATCH) === 0) port.postMessage(PING);
  };
  const ids = Array.from({ length: 8 }, (_, i) => `0a1b2c3d4e5f6071829${i}`);
  const ways = {
    objects() {
      const data = new Float32Array(64);
      const payload = { kind: 'tensors', tensors: [{ name: '', dtype: 'float32', shape: [8, 8], data }] };
      return send({ type: 'run', jobId: 1, method: 'predict', rows: 8, payload, requestIds: ids }, [data.buffer]);
    },
    lists() {
      const data = new Float32Array(64);
      return send([1, 1, 'predict', 8, ids, '', 'float32', 8, 8, data], [data.buffer]);
    },
    'bare ping': () => send(PING),
    mailbox() {
      const answer = told();
      drop();
      return answer;
    },
    async waitAsync() {
      const waiting = Atomics.waitAsync(mail, RESULT, Atomics.load(mail, RESULT));
      drop();
      await waiting.value;
    },
  };
  for (const isBusy of [false, true]) {
    const rounds = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
    if (isBusy) rounds.nothing = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [way, times] of Object.entries(rounds)) {
        await send({ way });
        times.push(await measure(ways[way] ?? (() => Promise.resolve()), isBusy));
      }
    }
    console.log(isBusy ? '\nmain thread busy, its own 50 µs included' : 'main thread idle');
    for (const [way, times] of Object.entries(rounds)) {
      times.sort((a, b) => a - b);
      console.log(`  ${way.padEnd(12)} ${times[ROUNDS >> 1].toFixed(1)} us (least ${times[0].toFixed(1)})`);
    }
  }
  await worker.terminate();
  port.close();
}

async function measure(go, isBusy) {
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  let count = 0;
  while (performance.now() - startMs < ROUND_MS) {
    const answer = go();
    if (isBusy) work();
    await answer;
    await new Promise((resolve) => setImmediate(resolve));
    count += 1;
  }
  const { user, system } = process.cpuUsage(startCpu);
  return (user + system) / count;
}

function work() {
  let sum = 0;
  for (let i = 0; i < 60_000; i += 1) sum += (i * i) % 7;
  return sum;
}

function serve({ port, mail }) {
  let way = '';
  let lastBatch = 0;
  let isAwake = false;
  const lookIntoMail = () => {
    isAwake = false;
    if (Atomics.load(mail, BATCH) === lastBatch && Atomics.wait(mail, BATCH, lastBatch, WAIT_MS) === 'timed-out')
      return;
    lastBatch = Atomics.load(mail, BATCH);
    Atomics.store(mail, RESULT, lastBatch);
    if (way === 'mailbox') port.postMessage(PING);
    else Atomics.notify(mail, RESULT);
    isAwake = true;
    setImmediate(lookIntoMail); // a turn of the loop for timers and promises of the model
  };
  port.on('message', (message) => {
    if (message === PING && way !== 'bare ping') {
      if (!isAwake) lookIntoMail();
    } else if (message === PING) {
      port.postMessage(PING);
    } else if (Array.isArray(message)) {
      const data = new Float32Array(message[9]);
      port.postMessage([1, 1, 0.1, '', 'float32', 8, 8, data], [data.buffer]);
    } else if (message.type === 'run') {
      const data = new Float32Array(message.payload.tensors[0].data);
      const result = { kind: 'tensors', tensors: [{ name: '', dtype: 'float32', shape: [8, 8], data }] };
      port.postMessage({ type: 'done', jobId: 1, result, computeMs: 0.1 }, [data.buffer]);
    } else {
      ({ way } = message);
      port.postMessage(PING);
    }
  });
}
