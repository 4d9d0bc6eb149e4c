// Other model servers beside Jubako, on the same machine in the same minutes.
import { availableParallelism } from 'node:os';
import { ACCELERATOR, ACCELERATOR_CONNECTIONS, acceleratorEnvironment } from './accelerator-case.mjs';
import { measureServer } from './closed-loop.mjs';
import { compareWithBest } from './compare.mjs';
import { startLoad } from './load.mjs';
import { MLP_TEXT, mlpEnvironment, mlpRows } from './mlp-model.mjs';
import { installPeer } from './peer-install.mjs';
import { PEERS, startPeer, versionOf } from './peers.mjs';
import { startJubako, stopAll, TWO_AND_ONE } from './servers.mjs';
import { inTurn, median, ratioOf, threeDigits } from './statistics.mjs';

const MANY = 32;
const SMALL_ROW = [1, 2, 3];
/** At least, also in a short run: BentoML begins by refusing while it learns how long its batches take. */
const WARM_UP_MS = 1_000;
/** The share of refusals from which a reader should know about them. */
const NAMED_SHARE = 0.005;

/** Per model: what Jubako serves and where, a row of input, the connections, and the wanted ratio to the best peer. */
const CELLS = [
  {
    model: 'echo',
    target: 'examples/echo',
    path: '/rows',
    envOf: () => ({}),
    rowOf: () => SMALL_ROW,
    connections: [MANY],
    atLeast: 10,
  },
  {
    model: 'mlp',
    target: 'scripts/bench/mlp-service.ts',
    path: '/predict',
    envOf: mlpEnvironment,
    rowOf: () => mlpRows(1)[0],
    connections: [MANY],
    atLeast: 5,
  },
  {
    model: 'accelerator',
    target: 'scripts/bench/accelerator-service.ts',
    path: '/predict',
    envOf: () => acceleratorEnvironment(ACCELERATOR),
    rowOf: () => SMALL_ROW,
    connections: ACCELERATOR_CONNECTIONS,
  },
];

export const peersCase = {
  name: 'peers',
  isOnDemand: true,
  title: 'Other model servers',
  about:
    `Requests per second of a closed loop, beside ${PEERS.map(versionOf).join(', ')}, each with 2 API processes (MLServer has no choice but 1), 1 process for the model, ` +
    'batches of at most 64 rows, and no access log; of what was tried each has the settings that made it fastest (scripts/bench/peers). JSON, one row a request. Echo: ' +
    `${JSON.stringify([SMALL_ROW])}. mlp: ${MLP_TEXT}, in onnxruntime with one thread on all sides. Accelerator: a wait of ${ACCELERATOR.fixedMs} ms a run and ` +
    `${ACCELERATOR.perRowMs} ms a row. The ratio is that to the best peer of each round.`,
  async run(effort) {
    const rows = [];
    const remarks = new Set();
    const remark = (text) => remarks.add(text);
    const peers = await installAll(remark);
    for (const cell of CELLS) rows.push(...(await runCell(cell, peers, effort, remark)));
    return { rows, remark: remarks.size === 0 ? undefined : [...remarks].join('\n\n') };
  },
};

async function installAll(remark) {
  const installed = [];
  for (const peer of PEERS) {
    try {
      installed.push({ peer, programs: await installPeer(peer.folder) });
    } catch (thrown) {
      remark(leftOut(peer.name, thrown));
    }
  }
  return installed;
}

async function runCell(cell, peers, { peerRounds, warmUpMs, measureMs }, remark) {
  const load = startLoad();
  try {
    const sides = await startSides(cell, peers, remark);
    const failed = new Set();
    const measure = async ({ name, server, path, body }, connections, ms) => {
      if (failed.has(name)) return undefined;
      try {
        server.resume();
        const plan = { path, bodies: [body], connections, measureMs: ms, allowsRefusals: name !== 'jubako' };
        return await measureServer(load, server, plan);
      } catch (thrown) {
        if (name === 'jubako') throw thrown;
        failed.add(name);
        remark(leftOut(`${name} (${cell.model})`, thrown));
        return undefined;
      } finally {
        if (name !== 'jubako') server.pause();
      }
    };
    for (const side of sides) await measure(side, MANY, Math.max(warmUpMs / 2, WARM_UP_MS));
    const rows = [];
    for (const connections of cell.connections) {
      const measures = sides.map((side) => [side.name, () => measure(side, connections, measureMs)]);
      const measured = await inTurn(peerRounds, Object.fromEntries(measures));
      for (const name of failed) for (const round of measured) delete round[name];
      const rounds = measured.map(({ jubako, ...others }) => ({ jubako, others }));
      if (Object.keys(rounds[0].others).length > 0) rows.push(rowOf(cell, connections, rounds, remark));
    }
    return rows;
  } finally {
    load.stop();
    await stopAll();
  }
}

/** All at the same time; a peer is paused while others are measured, since some look for work all the time. */
async function startSides(cell, peers, remark) {
  const env = cell.envOf();
  const row = cell.rowOf();
  const jubako = { name: 'jubako', server: await startJubako(cell.target, TWO_AND_ONE, env), path: cell.path };
  jubako.body = JSON.stringify([row]);
  await jubako.server.untilComplete(jubako.path, jubako.body);
  const sides = [jubako];
  for (const { peer, programs } of peers) {
    const body = peer.bodyOfRow(row);
    try {
      const server = await startPeer(peer, programs, cell.model, env, body);
      server.pause();
      sides.push({ name: peer.name, server, path: peer.path, body });
    } catch (thrown) {
      remark(leftOut(`${peer.name} (${cell.model})`, thrown));
    }
  }
  return sides;
}

function leftOut(what, thrown) {
  return `**${what} is left out: ${thrown.message.trim().split('\n').at(-1)}.**`;
}

function rowOf({ model, atLeast }, connections, rounds, remark) {
  const what = `${model}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`;
  for (const name of Object.keys(rounds[0].others)) {
    const share = median(rounds.map(({ others }) => others[name].refusedShare));
    if (share >= NAMED_SHARE)
      remark(`${name} refused ${threeDigits(100 * share)} % of the requests of "${what}", which do not count.`);
  }
  const goals = atLeast === undefined ? [] : [{ atLeast, why: whySlower(rounds) }];
  return compareWithBest(what, '/s', rounds, 'perSecond', ...goals);
}

function whySlower(rounds) {
  const jubako = rounds.map((round) => ({ a: round.jubako, b: round.jubako }));
  const cpuUs = ratioOf(jubako, 'allCpuUs').a + ratioOf(jubako, 'clientCpuUs').a;
  const cores = availableParallelism();
  return (
    `With the client's part a request takes ${threeDigits(cpuUs)} µs of CPU on Jubako's side: ${cores} full cores cannot give more than ` +
    `${threeDigits((cores * 1e6) / cpuUs)}/s.`
  );
}
