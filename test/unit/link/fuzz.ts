import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { pino } from 'pino';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import { FRAME } from '#dist/link/frame.js';
import { readCreditMeta, readLoadMeta, readReplyMeta, readRequestMeta } from '#dist/link/frame-meta.js';
import { FrameReader } from '#dist/link/frame-reader.js';
import type { IncomingCall } from '#dist/link/incoming-call.js';
import { LinkConnection, type LinkConnectionOwner } from '#dist/link/link-connection.js';
import { OutgoingCall } from '#dist/link/outgoing-call.js';
import { ServerConnection } from '#dist/link/server-connection.js';
import { StreamReader } from '#dist/link/stream-reader.js';
import { decodeValue, encodeValue } from '#dist/tensor/index.js';
import {
  CALLER_FRAMES,
  clientHello,
  METHODS,
  mutatedStream,
  pushInPieces,
  Random,
  RUNNER_FRAMES,
  SERVER_HELLO,
  serverHello,
} from './fuzz-frames.js';
import { TIMING } from './frames.js';

// Mutated streams against the codec and both ends of a connection, without sockets. Whatever the bytes are:
// Z1 nothing but LINK_PROTOCOL is thrown by the codec, and nothing at all by an end of a connection;
// Z2 no more than one frame is held;
// Z3 every call that was open is settled when the connection has closed, once, and `onClosed` comes once.

/** What a session did, or how it failed; `seed` repeats it alone. */
export interface FuzzReport {
  frames: number;
  sessions: number;
  /** Sessions whose connection did not survive. */
  closed: number;
  calls: number;
}

export class FuzzFailure extends Error {}

/** `trace.stream` is set to what was sent. */
type Session = (random: Random, report: FuzzReport, trace: { stream?: Buffer }) => Promise<void> | void;

const SESSION_FRAMES = 8;
/** Sessions whose ends are awaited together. */
const TOGETHER = 64;
const silent = pino({ level: 'silent' });
const VALUE = encodeValue([1, 2, 3]);

/** Half of the frames go to the codec, a quarter to each end. @throws {FuzzFailure} names the session, its seed and what was sent. */
export async function fuzz(frames: number, seed: number): Promise<FuzzReport> {
  const report: FuzzReport = { frames: 0, sessions: 0, closed: 0, calls: 0 };
  const random = new Random(seed);
  for (const [until, session] of [
    [frames / 2, readStream],
    [frames * 0.75, serveStream],
    [frames, callStream],
  ] as const) {
    while (report.frames < until) {
      const seeds = Array.from({ length: TOGETHER }, () => random.u32());
      await Promise.all(seeds.map((sessionSeed) => runSession(session, sessionSeed, report)));
    }
  }
  return report;
}

/** One session again, by the seed of its failure. */
export async function fuzzAgain(kind: string, seed: number): Promise<FuzzReport> {
  const session = [readStream, serveStream, callStream].find(({ name }) => name === kind);
  assert.ok(session !== undefined, `there is no session "${kind}"`);
  const report: FuzzReport = { frames: 0, sessions: 0, closed: 0, calls: 0 };
  await runSession(session, seed, report);
  return report;
}

async function runSession(session: Session, seed: number, report: FuzzReport): Promise<void> {
  report.sessions += 1;
  const trace: { stream?: Buffer } = {};
  try {
    await session(new Random(seed), report, trace);
  } catch (cause) {
    const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const sent = trace.stream?.toString('hex') ?? 'nothing';
    throw new FuzzFailure(`${session.name}:${seed} failed: ${why}\nsent: ${sent}`, { cause });
  }
}

function readStream(random: Random, report: FuzzReport, trace: { stream?: Buffer }): void {
  const mutated = mutatedStream(random, random.pick([CALLER_FRAMES, RUNNER_FRAMES]), SESSION_FRAMES);
  trace.stream = mutated.stream;
  const reader = new FrameReader(SERVER_HELLO.maxFrameBytes, (frame) => {
    assert.equal(frame.body.byteLength, frame.bodyBytes);
    assert.equal(frame.body.byteOffset % 8, 0);
    const { kind } = frame;
    if (kind === FRAME.request) assert.ok(readRequestMeta(frame).requestIdBytes <= frame.metaBytes);
    else if (kind === FRAME.credit) assert.ok(readCreditMeta(frame) > 0);
    else if (kind === FRAME.load || kind === FRAME.pong) assert.ok(readLoadMeta(frame).waitMs >= -1);
    else if (kind === FRAME.response || kind === FRAME.error || kind === FRAME.end)
      assert.ok(readReplyMeta(frame).waitMs >= -1);
    if (kind === FRAME.request || kind === FRAME.response || kind === FRAME.item) decodeValue(frame.body);
  });
  report.frames += pushInPieces(random, mutated, (piece) => {
    try {
      reader.push(piece);
    } catch (thrown) {
      if (!(thrown instanceof JubakoError && thrown.code === 'LINK_PROTOCOL')) throw thrown; // Z1
      report.closed += 1;
      return false;
    }
    assert.ok(reader.heldBytes <= SERVER_HELLO.maxFrameBytes); // Z2
    return true;
  });
}

/** Takes what is written, and hands in what `feed` gives, at once. */
class FakeSocket extends Duplex {
  writtenBytes = 0;
  override _read(): void {
    // `feed` does it
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writtenBytes += chunk.length;
    done();
  }
  /** False: it was closed. */
  feed(piece: Buffer): boolean {
    if (this.destroyed) return false;
    this.emit('data', piece);
    return !this.destroyed;
  }
}

/** A runner that answers some calls at once, some later, some never. */
async function serveStream(random: Random, report: FuzzReport, trace: { stream?: Buffer }): Promise<void> {
  const socket = new FakeSocket();
  const cancels = new Map<IncomingCall, number>();
  let closes = 0;
  const connection = new ServerConnection(socket, {
    logger: silent,
    load: () => ({ queuedRows: cancels.size, inFlightRows: 0, waitMs: 1, isFull: random.once(5) }),
    onCall: (call) => {
      cancels.set(call, 0);
      call.onCancel = () => cancels.set(call, (cancels.get(call) ?? 0) + 1);
      call.onCredit = () => {
        if (random.once(2)) serve(call, random);
      };
      serve(call, random);
    },
    onClosed: () => (closes += 1),
  });
  connection.start(Buffer.alloc(0));
  connection.open(SERVER_HELLO);
  socket.feed(clientHello);
  const mutated = mutatedStream(random, CALLER_FRAMES, SESSION_FRAMES);
  trace.stream = mutated.stream;
  report.frames += pushInPieces(random, mutated, (piece) => {
    for (const call of cancels.keys()) if (random.once(8)) serve(call, random);
    if (random.once(40)) connection.leave();
    return socket.feed(piece);
  });
  if (socket.destroyed) report.closed += 1;
  await new Promise(setImmediate);
  socket.destroy();
  await new Promise(setImmediate);
  assert.equal(closes, 1); // Z3
  for (const [call, count] of cancels) {
    assert.ok(count <= 1);
    const before = socket.writtenBytes;
    if (call.isStream) call.end(TIMING);
    else call.respond(VALUE, TIMING);
    assert.equal(socket.writtenBytes, before);
    assert.ok(count === 1 || ended.has(call), 'a call is open after its connection has closed'); // Z3
  }
  report.calls += cancels.size;
}

/** Calls that the fake runner has answered. */
const ended = new WeakSet<IncomingCall>();

function serve(call: IncomingCall, random: Random): void {
  if (ended.has(call)) return;
  switch (random.below(4)) {
    case 0:
      return;
    case 1:
      ended.add(call);
      return call.fail(new JubakoError('USER_CODE', 'no'), TIMING);
    case 2:
      if (call.isStream) {
        if (call.credit > 0) call.sendItem(VALUE);
        return;
      }
      break;
  }
  ended.add(call);
  if (call.isStream) call.end(TIMING);
  else call.respond(VALUE, TIMING);
}

/** A caller with some calls open, whose runner answers with noise. */
async function callStream(random: Random, report: FuzzReport, trace: { stream?: Buffer }): Promise<void> {
  const socket = new FakeSocket();
  const calls = new Set<Promise<void>>();
  const cancellation = new Cancellation();
  let settled = 0;
  let closes = 0;
  const open = (connection: LinkConnection, methodIndex: number): void => {
    const count = (): void => {
      settled += 1;
    };
    const request = {
      runner: 'fuzz',
      method: METHODS[methodIndex]?.name ?? '',
      input: undefined,
      priority: 'normal' as const,
      requestId: 'r',
      cancellation,
      deadlineAtMs: undefined,
      timing: { ...TIMING },
    };
    if (METHODS[methodIndex]?.streams === true) {
      const begin = (reader: StreamReader): OutgoingCall => {
        const call = new OutgoingCall(
          request,
          VALUE,
          () => {
            reader.finish();
          },
          (error) => {
            reader.fail(error);
          },
          reader,
        );
        connection.send(call, methodIndex, performance.now());
        return call;
      };
      calls.add(readAll(new StreamReader(begin), random).then(count));
    } else {
      calls.add(
        new Promise((resolve, reject) => {
          connection.send(new OutgoingCall(request, VALUE, resolve, reject, undefined), methodIndex, performance.now());
        }).then(count, count),
      );
    }
  };
  const owner: LinkConnectionOwner = {
    onOpen: () => undefined,
    onLeaving: () => undefined,
    onRefused: (call) => {
      call.fail(new JubakoError('DRAINING', 'refused'));
    },
    onClosed: (_connection, _error, lost) => {
      closes += 1;
      for (const call of lost) call.fail(new JubakoError('RUNNER_LOST', 'lost'));
    },
  };
  let onSocket: (socket: Duplex, head: Buffer) => void = () => undefined;
  const options = {
    runner: 'fuzz',
    address: { kind: 'unix', path: '/fuzz' },
    peer: 'fuzz',
    token: null,
    tls: undefined,
  } as const;
  const connection = new LinkConnection(options, owner, (_options, callbacks) => {
    ({ onSocket } = callbacks);
    return { destroy: () => undefined };
  });
  onSocket(socket, Buffer.alloc(0));
  socket.feed(serverHello);
  const wanted = 1 + random.below(SERVER_HELLO.maxInFlight);
  for (let call = 0; call < wanted; call += 1) open(connection, random.below(METHODS.length));
  const mutated = mutatedStream(random, RUNNER_FRAMES, SESSION_FRAMES);
  trace.stream = mutated.stream;
  report.frames += pushInPieces(random, mutated, (piece) => {
    if (random.once(60)) cancellation.cancel(new JubakoError('CLIENT_GONE', 'gone'));
    if (random.once(60)) connection.retire();
    if (random.once(20)) connection.tick();
    return socket.feed(piece);
  });
  if (socket.destroyed) report.closed += 1;
  await new Promise(setImmediate);
  connection.destroy(undefined);
  await new Promise(setImmediate);
  assert.equal(closes, 1); // Z3
  assert.equal(settled, calls.size, 'a call is open after its connection has closed'); // Z3
  report.calls += calls.size;
}

/** Reads a stream to its end or its failure, or leaves it. */
async function readAll(reader: StreamReader, random: Random): Promise<void> {
  const leavesAfter = random.below(12);
  let items = 0;
  try {
    for await (const item of reader) {
      if (item === undefined || (items += 1) > leavesAfter) break;
    }
  } catch (thrown) {
    assert.ok(thrown instanceof JubakoError);
  }
}
