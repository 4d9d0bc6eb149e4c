// Fuzzes a real server over gRPC: each RPC with sound messages and changed ones, then what no client should do to HTTP/2.
//   node scripts/fuzz/grpc.mjs [--calls N] [--seed S] [--log FILE] [--long]     default: 2000, a new seed
//   node scripts/fuzz/grpc.mjs --seed S --only N,M                              those that failed, alone, on one connection
// Needs a build. What must hold stands in grpc-oracle.mjs and server.mjs.
import { parseArgs } from 'node:util';
import { makeCall } from './grpc-calls.mjs';
import { floods } from './grpc-floods.mjs';
import { Rpcs } from './grpc-messages.mjs';
import { checkAnswer } from './grpc-oracle.mjs';
import { GrpcConnection } from './grpc-wire.mjs';
import { Random } from './random.mjs';
import { FuzzServer } from './server.mjs';

const MIB = 2 ** 20;
/** Calls at a time, on as many connections. */
const LANES = 8;
const PARTS = 5;
/** Memory of a worker may grow by this much between a fifth of the calls and all of them. */
const MAX_GROWTH_BYTES = 160 * MIB;
/** What a worker may have at any moment. */
const MAX_MEMORY_BYTES = 800 * MIB;
const SHOWN_PROBLEMS = 20;
const SHOWN_BYTES = 300;

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '2000' },
    seed: { type: 'string', default: `${Date.now() % 1e9}` },
    only: { type: 'string' },
    log: { type: 'string' },
    long: { type: 'boolean', default: false },
  },
});
const SEED = Number(values.seed);
const CALLS = Number(values.calls);

const startedAtMs = performance.now();
const problems = [];
/** Status → answers; `HTTP 415` where it was none of gRPC. */
const statuses = {};
let sent = 0;
let peaks;

const server = await FuzzServer.start(
  [
    ...['scripts/fuzz/service.mjs', '--api-workers', '1', '--grpc', '--grpc-port', '0', '--reflection'],
    ...['--timeout', '10', '--log-level', 'debug'],
  ],
  { logFile: values.log },
);
const workers = new Map(server.workers);
const { targets } = await learn();
try {
  if (values.only === undefined) await all();
  else {
    const connection = await GrpcConnection.open(server.grpcPort);
    for (const number of values.only.split(',').map(Number)) await one(number, connection);
    connection.close();
  }
  await server.checkIdle({ isQuick: !values.long });
  await server.checkCounters();
  await server.checkLog();
  server.checkWorkers(workers);
  peaks = server.peakBytes();
  for (const [name, bytes] of Object.entries(peaks)) {
    if (bytes > MAX_MEMORY_BYTES) problems.push(`${name} had ${Math.round(bytes / MIB)} MiB`);
  }
} finally {
  await server.stop();
}
problems.push(...server.problems);
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
const most = Math.round(Math.max(...Object.values(peaks)) / MIB);
process.stdout.write(
  `grpc: seed ${SEED}, ${sent} calls of ${targets.length} targets: ${JSON.stringify(statuses)}; at most ${most} MiB; ${seconds} s\n`,
);
for (const problem of problems.slice(0, SHOWN_PROBLEMS)) process.stderr.write(`grpc: seed ${SEED}: ${problem}\n`);
if (problems.length > SHOWN_PROBLEMS) process.stderr.write(`grpc: ${problems.length} problems\n`);
if (problems.length > 0) process.exitCode = 1;

async function learn() {
  const document = JSON.parse((await server.fetch('/docs.json')).body);
  const models = new Map();
  for (const name of document.paths['/v2/models/{name}'].parameters[0].schema.enum) {
    models.set(name, JSON.parse((await server.fetch(`/v2/models/${name}`)).body));
  }
  return new Rpcs(document, models);
}

async function all() {
  let next = 0;
  let early;
  for (let part = 1; part <= PARTS; part += 1) {
    const until = Math.floor((CALLS * part) / PARTS);
    const lane = async () => {
      let connection = await GrpcConnection.open(server.grpcPort);
      while (next < until) {
        const number = next++;
        if (!connection.isUsable) {
          problems.push(`before call ${number}: the connection was closed after ${connection.numbers.slice(-3)}`);
          connection = await GrpcConnection.open(server.grpcPort);
        }
        await one(number, connection);
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    if (part === 1) early = server.residentBytes();
  }
  checkGrowth(early, server.residentBytes());
  await floods({ server, problems, isLong: values.long });
}

async function one(number, connection) {
  const random = new Random(SEED, number);
  const call = makeCall(random, targets[number % targets.length], `g${SEED}-${number}`);
  connection.numbers.push(number);
  sent += 1;
  const answer = await connection.call(call);
  const { id, status, httpStatus, faults } = checkAnswer(call, answer);
  const name = status === undefined ? (httpStatus === undefined ? 'left' : `HTTP ${httpStatus}`) : String(status);
  statuses[name] = (statuses[name] ?? 0) + 1;
  if (status === undefined) server.mayBeUnheard += 1;
  else server.saw(id, status);
  for (const fault of faults) {
    const bytes = Buffer.concat(call.pieces).toString('hex').slice(0, SHOWN_BYTES);
    problems.push(`calls ${connection.numbers.slice(-3)}: ${call.text}: ${fault}\n    sent ${bytes}`);
  }
}

function checkGrowth(before, after) {
  for (const [name, bytes] of Object.entries(after)) {
    const grown = bytes - before[name];
    if (grown > MAX_GROWTH_BYTES) problems.push(`${name} has grown by ${Math.round(grown / MIB)} MiB`);
  }
}
