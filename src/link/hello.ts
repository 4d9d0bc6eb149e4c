import { JubakoError } from '../errors.js';
import { MAX_FRAME_BYTES } from './frame.js';

// The first frame of each side, and the HTTP request that comes before it.
//   GET /jubako/link HTTP/1.1, Connection: Upgrade, Upgrade: jubako-link/2, Authorization: Bearer <token> (if one is set)
// The runner answers 101 at once and sends its hello when it is ready, so that a hello is all a caller waits for.
// H1 The version is in the upgrade and in both hellos. Who does not speak the other's refuses it, and says so to the other
//    side and in the own log: 426 at the upgrade, an error frame after a hello.
// Version 2: streams, priorities, waits in loads, a limit on bytes in flight.

export const LINK_VERSION = 2;
export const LINK_PATH = '/jubako/link';
export const LINK_PROTOCOL_NAME = `jubako-link/${LINK_VERSION}`;

/** Frames that each side reads before it knows the hello of the other. */
export const FIRST_FRAME_MAX_BYTES = 1024 * 1024;
/** What a runner worker takes where it says nothing else: 64 MiB bodies, 1024 calls and 256 MiB at a time on each connection. */
export const DEFAULT_MAX_FRAME_BYTES = 64 * 1024 * 1024;
export const DEFAULT_MAX_IN_FLIGHT = 1024;
export const DEFAULT_MAX_IN_FLIGHT_BYTES = 256 * 1024 * 1024;

/** A caller opens as many connections: a number that is believed must have a bound. */
const MAX_WORKERS_HERE = 1024;

export interface LinkMethod {
  readonly name: string;
  /** True: a call may be repeated on another worker when this one dies. */
  readonly idempotent: boolean;
  /** True: it answers with items, and a call gives it credit for them. */
  readonly streams: boolean;
}

/** What a runner worker says of itself; `methods` are called by their index. */
export interface ServerHello {
  readonly version: number;
  readonly runner: string;
  readonly worker: string;
  /** Workers that answer at this address, by turns: a caller connects until it has each of them. */
  readonly workersHere: number;
  readonly methods: readonly LinkMethod[];
  /** Of a frame in either direction. */
  readonly maxFrameBytes: number;
  /** Calls on one connection; one more is answered QUEUE_FULL. A stream is one call, until it ends. */
  readonly maxInFlight: number;
  /** Bodies of the calls on one connection together, likewise. One call alone is taken whatever its size. */
  readonly maxInFlightBytes: number;
  readonly ready: true;
}

export interface ClientHello {
  readonly version: number;
  /** Who calls, for logs: the name of the worker. */
  readonly peer: string;
}

/** @throws {JubakoError} LINK_PROTOCOL - names the field. */
export function parseServerHello(body: Buffer): ServerHello {
  const hello = parseObject(body);
  checkVersion(hello['version']);
  const { runner, worker, workersHere, methods, maxFrameBytes, maxInFlight, maxInFlightBytes, ready } = hello;
  if (typeof runner !== 'string') throw wrong('runner', runner, 'a string');
  if (typeof worker !== 'string') throw wrong('worker', worker, 'a string');
  if (!isCount(maxFrameBytes) || maxFrameBytes > MAX_FRAME_BYTES) {
    throw wrong('maxFrameBytes', maxFrameBytes, `a whole number up to ${MAX_FRAME_BYTES}`);
  }
  if (!isCount(workersHere) || workersHere > MAX_WORKERS_HERE) {
    throw wrong('workersHere', workersHere, `a whole number from 1 to ${MAX_WORKERS_HERE}`);
  }
  if (!isCount(maxInFlight)) throw wrong('maxInFlight', maxInFlight, 'a whole number >= 1');
  if (!isCount(maxInFlightBytes)) throw wrong('maxInFlightBytes', maxInFlightBytes, 'a whole number >= 1');
  if (ready !== true) throw wrong('ready', ready, 'true');
  if (!Array.isArray(methods)) throw wrong('methods', methods, 'a list');
  return {
    version: LINK_VERSION,
    runner,
    worker,
    workersHere,
    methods: methods.map(parseMethod),
    maxFrameBytes,
    maxInFlight,
    maxInFlightBytes,
    ready,
  };
}

/** @throws {JubakoError} LINK_PROTOCOL - names the field. */
export function parseClientHello(body: Buffer): ClientHello {
  const hello = parseObject(body);
  checkVersion(hello['version']);
  const { peer } = hello;
  if (typeof peer !== 'string') throw wrong('peer', peer, 'a string');
  return { version: LINK_VERSION, peer };
}

function parseMethod(value: unknown): LinkMethod {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const { name, idempotent, streams } = fields;
  if (typeof name !== 'string' || typeof idempotent !== 'boolean' || typeof streams !== 'boolean') {
    throw wrong('methods', value, '{ name, idempotent, streams } in each place');
  }
  return { name, idempotent, streams };
}

function parseObject(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new JubakoError('LINK_PROTOCOL', `Cannot read a hello: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null)
    throw new JubakoError('LINK_PROTOCOL', 'Cannot read a hello: it is not an object');
  return value as Record<string, unknown>;
}

function checkVersion(version: unknown): void {
  if (version !== LINK_VERSION) throw wrong('version', version, String(LINK_VERSION));
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}

function wrong(field: string, value: unknown, wanted: string): JubakoError {
  return new JubakoError(
    'LINK_PROTOCOL',
    `Cannot use a hello: "${field}" is ${JSON.stringify(value)}, wanted ${wanted}`,
  );
}
