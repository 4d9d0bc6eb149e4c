// Ends runner workers in every way they can end, at random moments under load, and counts what the clients see.
// X1 A call that may be repeated is answered, and with its own id. X2 A call that may not be repeated runs at most once, and
// is answered or told RUNNER_LOST. X3 Nothing hangs. X4 One bad input fails alone. X5 At the end all workers are back.
// Needs a build. Usage: node scripts/soak/chaos.mjs [--seconds N] [--seed S] [--faults kill,segv,…] [--log FILE]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seededRandom } from '../seeded-random.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ALL_FAULTS = ['kill', 'segv', 'stop', 'exit', 'abort', 'throw', 'memory', 'loop'];
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: `${Date.now() % 1e9}` },
    faults: { type: 'string', default: ALL_FAULTS.join() },
    workers: { type: 'string', default: '3' },
    /** A file that gets the log of the server. */
    log: { type: 'string' },
  },
});
const SEED = Number(values.seed);
const FAULTS = values.faults.split(',');
const SIGNALS = { kill: 'SIGKILL', segv: 'SIGSEGV', stop: 'SIGSTOP' };
const CLIENTS = 16;
const REQUEST_TIMEOUT_S = 30;
/** Over the server's own limit: who is not answered by then hangs. */
const HANG_MS = (REQUEST_TIMEOUT_S + 5) * 1000;
const random = seededRandom(SEED);
const pick = (list) => list[Math.floor(random() * list.length)];

const folder = mkdtempSync(join(tmpdir(), 'jubako-chaos-'));
const ledger = join(folder, 'ledger');
const pids = new Map();
const counts = { answered: 0, lost: 0, poisoned: 0, faults: {} };
const problems = [];
let slowestMs = 0;
let nextId = 1;
let isOver = false;
let port = 0;

const args = ['serve', 'test/fixtures/chaos/service.ts', '--host', '127.0.0.1', '--port', '0', '--api-workers', '2'];
const server = spawn(
  process.execPath,
  [
    join(ROOT, 'dist/primary.js'),
    ...args,
    '--runner-workers',
    values.workers,
    '--timeout',
    `${REQUEST_TIMEOUT_S}`,
    '--no-access-log',
    '--runtime-dir',
    folder,
  ],
  { cwd: ROOT, env: { ...process.env, CHAOS_LEDGER: ledger }, stdio: ['ignore', 'pipe', 'inherit'] },
);
const ready = new Promise((resolve, reject) => {
  server.once('exit', (code) => reject(new Error(`the server ended with code ${code}`)));
  createInterface(server.stdout).on('line', (line) => {
    if (values.log !== undefined) appendFileSync(values.log, `${line}\n`);
    const log = line.startsWith('{') ? JSON.parse(line) : {};
    if (log.event === 'worker.ready') pids.set(log.name, log.workerPid);
    if (log.event === 'worker.died') {
      pids.delete(log.name);
      if (log.role !== 'runner') problems.push(`${log.name} died: ${log.cause}`);
    }
    if (log.event === 'server.ready') {
      port = Number(new URL(log.addresses.http).port);
      resolve();
    }
  });
});

try {
  await ready;
  const endsAtMs = performance.now() + Number(values.seconds) * 1000;
  const clients = Array.from({ length: CLIENTS }, () => client());
  while (performance.now() < endsAtMs) {
    await delay(random() * 300);
    await untilAllAreBack();
    await inflict(pick(FAULTS));
  }
  isOver = true;
  await Promise.all(clients);
  await untilAllAreBack();
  checkLedger();
} finally {
  if (server.exitCode === null) {
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    const [code] = await exited;
    if (code !== 0) problems.push(`the server ended with code ${code}`);
  }
  rmSync(folder, { recursive: true, force: true });
}
const { answered, lost, poisoned, faults } = counts;
const said = Object.entries(faults).map(([fault, count]) => `${count} ${fault}`);
process.stdout.write(
  `chaos: seed ${SEED}, ${answered} answered, ${lost} told RUNNER_LOST as they may, ${poisoned} poisoned, slowest ${Math.round(slowestMs)} ms; ${said.join(', ')}\n`,
);
for (const problem of problems.slice(0, 20)) process.stderr.write(`chaos: ${problem}\n`);
if (problems.length > 0) process.exitCode = 1;

async function client() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!isOver) {
    const isOnce = nextId % 4 === 0;
    const id = nextId++;
    const answer = await call(agent, isOnce ? '/once' : '/steady', { id });
    if (answer.status === 200 && answer.body === id) counts.answered += 1;
    else if (isOnce && answer.body?.error?.code === 'RUNNER_LOST') counts.lost += 1;
    else problems.push(`${isOnce ? 'once' : 'steady'} ${id}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  agent.destroy();
}

/** One at a time, with all workers there: a poisoned call takes two along, and where none is left, calls may be refused. */
async function inflict(fault) {
  counts.faults[fault] = (counts.faults[fault] ?? 0) + 1;
  if (fault in SIGNALS) {
    const [name, pid] = pick(runners());
    pids.delete(name);
    process.kill(pid, SIGNALS[fault]);
    return;
  }
  const { status, body } = await call(undefined, '/steady', { id: nextId++, poison: fault });
  counts.poisoned += 1;
  if (status === 200) problems.push(`poison ${fault} was answered: ${JSON.stringify(body)}`);
}

function call(agent, path, value) {
  const body = JSON.stringify(value);
  const startedAtMs = performance.now();
  return new Promise((resolve) => {
    const end = (answer) => {
      slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
      resolve(answer);
    };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(
      { host: '127.0.0.1', port, path, method: 'POST', headers, agent, timeout: HANG_MS },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => end({ status: response.statusCode, body: JSON.parse(text) }));
        response.on('error', (error) => end({ status: 0, body: error.message }));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${HANG_MS} ms`)));
    sent.on('error', (error) => end({ status: 0, body: error.message }));
    sent.end(body);
  });
}

function runners() {
  return [...pids].filter(([name]) => name.startsWith('runner-'));
}

async function untilAllAreBack() {
  const deadlineAtMs = performance.now() + 60_000;
  while (runners().length < Number(values.workers)) {
    if (performance.now() > deadlineAtMs)
      return void problems.push('a runner worker did not come back within a minute');
    await delay(20);
  }
}

function checkLedger() {
  const seen = new Set();
  for (const id of readFileSync(ledger, 'utf8').split('\n')) {
    if (id === '') continue;
    if (seen.has(id)) problems.push(`once ${id} ran twice`);
    seen.add(id);
  }
}
