// The two ends of the link case, each in a process of its own: one that answers each call with its input, and one that calls.
// K1 Of the real link both ends are those of the servers, up to where a scheduler would take the call; the caller encodes its
//    input and decodes the answer.
import { connectBare, listenBare } from './bare-link.mjs';
import { answerQuestions, isSideProcess, startSideProcess } from './side-process.mjs';

/** @param core - to run on. @returns `ask(question)`, a question being one of the keys of `ANSWERS` with its arguments. */
export function startLinkSide(core) {
  const { ask, stop } = startSideProcess(import.meta.url, core);
  return { ask: (name, args = {}) => ask({ name, args }), stop };
}

const LISTEN = { bare: listenBare, jubako: listenJubako };
const CONNECT = { bare: connectBareLanes, jubako: connectJubako };

let laneOf;
const ANSWERS = {
  listen: async ({ kind, path }) => {
    await LISTEN[kind](path);
  },
  connect: async ({ kind, path }) => {
    laneOf = await CONNECT[kind](path);
  },
  cpuUs: async () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  run: callOnAndOn,
};

if (isSideProcess(import.meta.url)) answerQuestions(({ name, args }) => ANSWERS[name](args));

/** A closed loop. @returns how many calls were answered. */
async function callOnAndOn({ bytes, inFlight, measureMs }) {
  const input = Float32Array.from({ length: bytes / 4 }, (_, i) => i);
  const endAtMs = performance.now() + measureMs;
  let calls = 0;
  const lanes = Array.from({ length: inFlight }, async () => {
    const call = laneOf(input);
    for (; performance.now() < endAtMs; calls += 1) await call();
  });
  await Promise.all(lanes);
  return calls;
}

async function listenJubako(path) {
  const { listenEcho } = await import('./jubako-link.mjs');
  await listenEcho(path);
}

/** @returns `forLane(values)` → a function that sends them. */
async function connectJubako(path) {
  const { connectLinks, requestOf } = await import('./jubako-link.mjs');
  const { tensorOf } = await import('../../dist/index.js');
  const links = await connectLinks({ echo: [`unix://${path}`] });
  return (values) => {
    const request = requestOf('echo', 'echo', tensorOf('float32', [1, values.length], values));
    return () => links.call(request);
  };
}

async function connectBareLanes(path) {
  const call = await connectBare(path);
  return (values) => {
    const bytes = new Uint8Array(values.buffer);
    return () => call(bytes);
  };
}
