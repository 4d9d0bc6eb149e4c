// Fuzzes a real server over HTTP: each operation from its own OpenAPI document, then what no client should do to a socket.
//   node scripts/fuzz/http.mjs [--requests N] [--seed S] [--log FILE] [--long]   default: 2000, a new seed
//   node scripts/fuzz/http.mjs --seed S --only N,M                           those that failed, alone, on one connection
// Needs a build. What must hold stands in http-oracle.mjs and server.mjs.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addModel, identityModel, matMulModel } from '../../dist-test/support/onnx-models.js';
import { Connection, WireError } from './http-wire.mjs';
import { Oracle } from './http-oracle.mjs';
import { rawCases } from './http-raw.mjs';
import { RequestMaker, targetsOf } from './http-requests.mjs';
import { memoryCases } from './http-memory.mjs';
import { Random } from './random.mjs';
import { FuzzServer } from './server.mjs';

const MIB = 2 ** 20;
const MAX_BODY_BYTES = 512 * 1024;
const LANES = 8;
/** Memory of a worker may grow by this much between a fifth of the requests and all of them. */
const MAX_GROWTH_BYTES = 160 * MIB;
/** What a worker may have at any moment: with `--long` the bombs are bytes that were really sent, 220 MB of them at once. */
const MAX_MEMORY_BYTES = { short: 800 * MIB, long: 2048 * MIB };
const SHOWN_PROBLEMS = 20;
/** Bytes of a request that failed, in what is printed. */
const SHOWN_BYTES = 1500;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '2000' },
    seed: { type: 'string', default: `${Date.now() % 1e9}` },
    only: { type: 'string' },
    log: { type: 'string' },
    long: { type: 'boolean', default: false },
  },
});
const SERVICE = 'scripts/fuzz/service.mjs';
/** Of the requests, as many go to a repository of models besides. */
const REPOSITORY_SHARE = 0.2;
const SEED = Number(values.seed);
const REQUESTS = Number(values.requests);

class HttpFuzz {
  problems = [];
  /** Status → answers. */
  statuses = {};
  sent = 0;
  #server;
  #maker;
  #oracle;
  #targets;
  #next = 0;

  constructor(server, document, models) {
    this.#server = server;
    this.#maker = new RequestMaker(document, models, MAX_BODY_BYTES);
    this.#oracle = new Oracle(document);
    this.#targets = targetsOf(document);
  }

  get targets() {
    return this.#targets.length;
  }

  async run(count, onPart) {
    const parts = 5;
    for (let part = 1; part <= parts; part += 1) {
      const until = Math.floor((count * part) / parts);
      await Promise.all(Array.from({ length: LANES }, () => this.#lane(until)));
      await onPart(part);
    }
  }

  async only(numbers) {
    const connection = await Connection.open(this.#server.port);
    for (const number of numbers) await this.one(number, connection);
    connection.destroy();
  }

  /** Requests one after another on one connection, as long as the server keeps it. */
  async #lane(until) {
    let connection;
    while (this.#next < until) {
      const number = this.#next++;
      if (connection === undefined || connection.isEnded) connection = await this.#open(connection, number);
      const isKept = await this.one(number, connection);
      if (!isKept) connection = undefined;
    }
    connection?.destroy();
  }

  async #open(previous, number) {
    if (previous !== undefined)
      this.#problem({ text: `before request ${number}`, number }, 'the connection closed unasked');
    return Connection.open(this.#server.port);
  }

  /** @returns whether the connection can be used on. */
  async one(number, connection) {
    const random = new Random(SEED, number);
    const target = this.#targets[number % this.#targets.length];
    const request = await this.#maker.make(random, target, `f${SEED}-${number}`);
    request.number = number;
    connection.numbers.push(number);
    request.numbers = connection.numbers;
    this.sent += 1;
    try {
      await send(random, connection, request);
      if (request.isGarbled) {
        await this.#readAll(connection, request);
        return false;
      }
      const answer = await connection.readAnswer(request.method);
      await this.#check(request, answer);
      if (!answer.isLast && !request.asksClose && !request.ends) return true;
      if (!answer.isLast) connection.end();
      await connection.ended(); // O5
    } catch (thrown) {
      if (!(thrown instanceof WireError)) throw thrown;
      this.#problem(request, thrown.message);
    }
    connection.destroy();
    return false;
  }

  /** Whatever comes until the server closes. */
  async #readAll(connection, request) {
    while (!(await connection.isOver())) {
      const answer = await connection.readAnswer(request.method);
      await this.#check(request, answer);
      request.answers = (request.answers ?? 0) + 1;
    }
    connection.destroy();
  }

  async #check(request, answer) {
    this.saw(answer);
    for (const fault of await this.#oracle.check(request, answer)) this.#problem(request, fault, answer);
  }

  /** Notes an answer, for the comparison with what the server says. */
  saw({ status, headers }) {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    this.#server.saw(headers.get('x-request-id'), status);
  }

  /** Of an answer to what was no request. */
  checkError(answer) {
    for (const fault of this.#oracle.checkError(answer)) this.problems.push(`${fault}: ${answer.body}`);
  }

  #problem(request, fault, answer) {
    const shown = request.head === undefined ? '' : Buffer.concat([request.head, request.rest]).toString('latin1');
    const told = answer === undefined ? '' : `\n    got ${answer.status} ${answer.body.toString('latin1', 0, 300)}`;
    this.problems.push(
      `requests ${request.numbers?.slice(-3)}: ${request.text}: ${fault}${told}\n    sent ${JSON.stringify(shown.slice(0, SHOWN_BYTES))}`,
    );
  }
}

async function send(random, connection, { head, rest, ends }) {
  if (random.chance(0.8)) await connection.write(Buffer.concat([head, rest]));
  else {
    const all = Buffer.concat([head, rest]);
    for (let at = 0; at < all.length;) {
      const size = random.pick([1, 20, 500, 20_000]);
      await connection.write(all.subarray(at, at + Math.max(size, Math.ceil(all.length / 20))));
      at += Math.max(size, Math.ceil(all.length / 20));
    }
  }
  if (ends) connection.end();
}

const startedAtMs = performance.now();
const problems = [];
const report = [];
await fuzzOperations();
if (values.only === undefined) {
  await fuzzRepository();
  await fuzzMemory();
}
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
process.stdout.write(`http: seed ${SEED}, ${report.join('; ')}; ${seconds} s\n`);
for (const problem of problems.slice(0, SHOWN_PROBLEMS)) process.stderr.write(`http: seed ${SEED}: ${problem}\n`);
if (problems.length > SHOWN_PROBLEMS) process.stderr.write(`http: ${problems.length} problems\n`);
if (problems.length > 0) process.exitCode = 1;

async function fuzzOperations() {
  await withServer(['--max-body-bytes', String(MAX_BODY_BYTES), '--timeout', '10'], SERVICE, async (server, fuzz) => {
    if (values.only !== undefined) return fuzz.only(values.only.split(',').map(Number));
    let early;
    await fuzz.run(REQUESTS, (part) => {
      if (part === 1) early = server.residentBytes();
    });
    checkGrowth(early, server.residentBytes());
    await rawCases({ server, fuzz, problems });
    report.push(`${fuzz.sent} requests to ${fuzz.targets} targets: ${JSON.stringify(fuzz.statuses)}`);
    report.push(`memory ${said(server.residentBytes())}`);
  });
}

/** Models of files, which come and go. */
async function fuzzRepository() {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-fuzz-models-'));
  for (const [name, bytes] of Object.entries(onnxModels())) {
    mkdirSync(join(folder, name, '1'), { recursive: true });
    writeFileSync(join(folder, name, '1', 'model.onnx'), bytes);
    // Otherwise finite numbers whose product is not would be told to be a failure of the model, which is right.
    writeFileSync(join(folder, name, 'config.yaml'), 'allowNonFinite: true\n');
  }
  try {
    await withServer(['--model-control', '--max-body-bytes', String(MAX_BODY_BYTES)], folder, async (server, fuzz) => {
      await fuzz.run(Math.ceil(REQUESTS * REPOSITORY_SHARE), () => undefined);
      report.push(`${fuzz.sent} to ${fuzz.targets} targets of a repository: ${JSON.stringify(fuzz.statuses)}`);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function onnxModels() {
  return {
    floats: identityModel('float32', ['batch', 3]),
    longs: identityModel('int64', [null, 2]),
    texts: identityModel('string', ['batch', 1]),
    flags: identityModel('bool', [2, 2]),
    sum: addModel(['batch', 2], ['batch', 2], ['batch', 2]),
    product: matMulModel(2, 3, [1, 2, 3, 4, 5, 6]),
  };
}

/** With the limits that a server has where nobody sets any. */
async function fuzzMemory() {
  await withServer([], SERVICE, async (server, fuzz) => {
    const limits = {
      isLong: values.long,
      maxBytes: MAX_MEMORY_BYTES[values.long ? 'long' : 'short'],
      idleStreams: values.long ? 1000 : 200,
    };
    const { peaks, perStreamBytes } = await memoryCases({ server, fuzz, problems, ...limits });
    if (values.long) process.stdout.write(`http: most memory of a worker: ${said(peaks)}\n`);
    const most = Math.round(Math.max(...Object.values(peaks)) / MIB);
    const each = Math.round(perStreamBytes / 1024);
    report.push(`${fuzz.sent} bombs, ${limits.idleStreams} idle streams of ${each} KiB: at most ${most} MiB`);
  });
}

async function withServer(args, target, work) {
  const unloads = args.includes('--model-control');
  const common = [target, '--api-workers', '1', '--log-level', 'debug'];
  const server = await FuzzServer.start([...common, ...args], { logFile: values.log });
  const workers = new Map(server.workers);
  const document = JSON.parse((await server.fetch('/docs.json')).body);
  const models = new Map();
  for (const name of document.paths['/v2/models/{name}'].parameters[0].schema.enum) {
    models.set(name, JSON.parse((await server.fetch(`/v2/models/${name}`)).body));
  }
  const fuzz = new HttpFuzz(server, document, models);
  try {
    await work(server, fuzz);
    await server.checkIdle();
    await server.checkCounters();
    await server.checkLog();
    server.checkWorkers([...workers].filter(([name]) => !unloads || name.startsWith('http-')));
  } finally {
    await server.stop();
  }
  problems.push(...fuzz.problems, ...server.problems);
}

function said(bytesByName) {
  return Object.entries(bytesByName)
    .map(([name, bytes]) => `${name} ${Math.round(bytes / MIB)} MiB`)
    .join(', ');
}

function checkGrowth(before, after) {
  for (const [name, bytes] of Object.entries(after)) {
    const grown = bytes - before[name];
    if (grown > MAX_GROWTH_BYTES) problems.push(`${name} has grown by ${Math.round(grown / MIB)} MiB`);
  }
}
