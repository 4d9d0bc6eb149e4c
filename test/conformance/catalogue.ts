import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import type { ErrorCode, GrpcStatusName } from '#dist/errors.js';
import type { ConformanceServer } from './conformance-server.js';
import type { AskOptions, DoorName, Protocol, Target, Told } from './door.js';
import { observe, type Section } from './observations.js';

/** A row of the catalogue as clients rely on it. */
export interface Row {
  readonly http: number;
  readonly grpc: GrpcStatusName;
  readonly retryAfterSeconds?: number;
  readonly internal?: true;
}

/** Written down a second time, on purpose: a row that changes breaks clients, and must not change by accident. */
export const CATALOGUE: Readonly<Record<ErrorCode, Row>> = {
  INVALID_INPUT: { http: 400, grpc: 'INVALID_ARGUMENT' },
  UNAUTHENTICATED: { http: 401, grpc: 'UNAUTHENTICATED' },
  FORBIDDEN: { http: 403, grpc: 'PERMISSION_DENIED' },
  NOT_FOUND: { http: 404, grpc: 'NOT_FOUND' },
  METHOD_NOT_ALLOWED: { http: 405, grpc: 'UNIMPLEMENTED' },
  TOO_LARGE: { http: 413, grpc: 'RESOURCE_EXHAUSTED' },
  UNSUPPORTED_MEDIA: { http: 415, grpc: 'INVALID_ARGUMENT' },
  RATE_LIMITED: { http: 429, grpc: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 1 },
  QUEUE_FULL: { http: 503, grpc: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 1 },
  NOT_READY: { http: 503, grpc: 'UNAVAILABLE', retryAfterSeconds: 1 },
  DRAINING: { http: 503, grpc: 'UNAVAILABLE', retryAfterSeconds: 1 },
  RUNNER_LOST: { http: 503, grpc: 'UNAVAILABLE', retryAfterSeconds: 1 },
  DEADLINE_EXCEEDED: { http: 504, grpc: 'DEADLINE_EXCEEDED' },
  CLIENT_GONE: { http: 499, grpc: 'CANCELLED' },
  USER_CODE: { http: 500, grpc: 'INTERNAL', internal: true },
  INTERNAL: { http: 500, grpc: 'INTERNAL', internal: true },
  LINK_PROTOCOL: { http: 500, grpc: 'INTERNAL', internal: true },
  BIND_FAILED: { http: 500, grpc: 'INTERNAL', internal: true },
  CONFIG_INVALID: { http: 500, grpc: 'INTERNAL', internal: true },
  SERVICE_INVALID: { http: 500, grpc: 'INTERNAL', internal: true },
};

export const CODES = Object.keys(CATALOGUE) as readonly ErrorCode[];

/** What one door answered, and the id that was sent with the request. */
export interface Heard {
  readonly door: DoorName;
  readonly protocol: Protocol;
  readonly requestId: string;
  readonly told: Told;
}

/** Unique in this process. */
export function nextRequestId(what: string): string {
  count += 1;
  return `${what}-${count}`;
}
let count = 0;

/**
 * Asks the same at each door that leads to the target, at the same time.
 * @param among - the doors that have words for it; default: all.
 */
export function askEverywhere(
  server: ConformanceServer,
  target: Target,
  value: unknown,
  { among, ...options }: AskOptions & { readonly among?: readonly DoorName[] } = {},
): Promise<readonly Heard[]> {
  const doors = server.doors.filter((door) => door.leadsTo(target, value) && (among?.includes(door.name) ?? true));
  return Promise.all(
    doors.map(async ({ name, protocol, ...rest }) => {
      const requestId = nextRequestId(target.api);
      const door = { name, protocol, ...rest };
      return { door: name, protocol, requestId, told: await door.ask(target, value, { ...options, requestId }) };
    }),
  );
}

export function hear(door: DoorName, protocol: Protocol, requestId: string, told: Told): Heard {
  return { door, protocol, requestId, told };
}

/** Paths, stacks, sockets and addresses are nobody's business outside. */
export const INSIDE =
  /\bat .+:\d+:\d+|node_modules|\/(?:dist|src|test|tmp|home|work|proc|run)\/|\.sock\b|\b(?:tcp|unix):\/\/|\bECONN/;

/** The case of a row, for the table. */
export interface CaseName {
  readonly section: Section;
  readonly title: string;
}

/** Status, code, message, request id and Retry-After are those of the row; the log has the same end under the same id. */
export async function isRow(
  server: ConformanceServer,
  code: ErrorCode,
  heard: Heard,
  { section, title }: CaseName,
  message = /./,
): Promise<void> {
  const row = CATALOGUE[code];
  const { door, protocol, requestId, told } = heard;
  const where = `${door}: ${told.seen}`;
  const wanted = protocol === 'http' ? row.http : status[row.grpc];
  assert.equal(told.status, wanted, where);
  assert.equal(told.code, code, where);
  assert.equal(told.requestId, requestId, where);
  if (row.internal === true) assert.match(told.message, /the log has the cause under this request id$/, where);
  else assert.match(told.message, message, where);
  assert.doesNotMatch(told.seen, INSIDE, where);
  // Who knows better when to try again says so.
  const retryAfter = row.retryAfterSeconds === undefined ? undefined : /^[1-9]\d*$/;
  if (protocol === 'grpc') assert.ok(told.message.startsWith(`${code}: `), where);
  else if (retryAfter === undefined) assert.equal(told.retryAfter, undefined, where);
  else assert.match(told.retryAfter ?? '', retryAfter, where);
  await isLogged(server, code, heard, wanted);
  observe({ section, row: code, title, door, status: told.status });
}

export async function isLogged(
  { primary }: ConformanceServer,
  outcome: string,
  { door, protocol, requestId }: Pick<Heard, 'door' | 'protocol' | 'requestId'>,
  wantedStatus: number,
): Promise<void> {
  const line = await primary.nextLog({ event: 'request.finished', requestId });
  assert.deepEqual([line['protocol'], line['status'], line['outcome']], [protocol, wantedStatus, outcome], door);
}
