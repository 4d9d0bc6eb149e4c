import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { LIMIT } from '../support/start-primary.js';
import { CATALOGUE, INSIDE, askEverywhere, isLogged, isRow, nextRequestId, type Heard } from './catalogue.js';
import { ConformanceServer } from './conformance-server.js';
import { ANSWERS, LATE_STREAMS, REFUSALS, STALL, STREAM_FAILURES, type StreamFailure } from './kind-cases.js';
import { observe } from './observations.js';

const KINDS = { service: 'conformance/kinds.ts' };

describe('values of every kind', () => {
  let server: ConformanceServer;
  let hasty: ConformanceServer;
  before(async () => {
    [server, hasty] = await Promise.all([
      ConformanceServer.start([], KINDS),
      ConformanceServer.start(['--stream-first-timeout', '0.3', '--stream-idle-timeout', '0.3'], KINDS),
    ]);
  }, LIMIT);

  for (const { title, target, given, wanted = given.same } of ANSWERS) {
    test(`answer is the same at every door: ${title}`, LIMIT, async () => {
      const heard = await askEverywhere(server, target, given);
      assert.ok(heard.length > 2, 'it goes by several doors');
      for (const { door, told } of heard) {
        assert.equal(told.code, 'ok', `${door}: ${told.seen}`);
        assert.deepEqual(told.value, wanted, door);
        observe({ section: 'answers', row: '', title, door, status: told.status });
      }
    });
  }

  for (const { title, row, message, target, given, doors } of REFUSALS) {
    test(`${row} is answered by its row at every door: ${title}`, LIMIT, async () => {
      const heard = await askEverywhere(server, target, given, doors === undefined ? {} : { among: doors });
      assert.ok(heard.length > 2, 'it goes by several doors');
      for (const each of heard) await isRow(server, row, each, { section: 'refusals', title }, message);
    });
  }

  /** Before the first value it is the answer as a whole, save where a stream answers many requests. */
  const isStreamRow = async (
    at: ConformanceServer,
    heard: Heard,
    { title, row, before: came }: StreamFailure,
  ): Promise<void> => {
    const { door, protocol, requestId, told } = heard;
    const isWhole = came.length === 0 && !door.startsWith('OIP');
    if (isWhole) return isRow(at, row, heard, { section: 'refusals', title });
    assert.equal(told.code, row, `${door}: ${told.seen}`);
    assert.deepEqual(told.value, came, door);
    assert.doesNotMatch(`${told.message} ${told.seen}`, INSIDE, door);
    assert.ok(!told.seen.includes('secret'), told.seen);
    const begun = protocol === 'http' ? 200 : status[CATALOGUE[row].grpc];
    assert.equal(told.status, door.startsWith('OIP') ? status.OK : begun, door);
    assert.equal(told.requestId, requestId, door);
    observe({ section: 'refusals', row, title, door, status: told.status });
  };

  for (const failure of STREAM_FAILURES) {
    test(`${failure.row} ends a stream at every door: ${failure.title}`, LIMIT, async () => {
      const heard = await askEverywhere(server, failure.target, failure.given);
      assert.equal(heard.length, 6);
      for (const each of heard) await isStreamRow(server, each, failure);
    });
  }

  for (const failure of LATE_STREAMS) {
    test(`${failure.row} ends a stream at every door: ${failure.title}`, LIMIT, async () => {
      const heard = await askEverywhere(hasty, failure.target, failure.given);
      assert.equal(heard.length, 6);
      for (const each of heard) await isStreamRow(hasty, each, failure);
    });
  }

  test('CLIENT_GONE ends a stream at every door, and the model behind it', LIMIT, async () => {
    for (const door of server.doors.filter((one) => one.leadsTo(STALL, 1))) {
      const leaving = new AbortController();
      const requestId = nextRequestId('leaves');
      const told = door.ask(STALL, 1, { requestId, signal: leaving.signal }).catch(() => undefined);
      await server.primary.nextLog({ event: 'stall.waits' });

      leaving.abort();
      await told;

      await server.primary.nextLog({ event: 'stall.ends' });

      const wanted = door.protocol === 'http' ? 499 : status.CANCELLED;
      await isLogged(server, 'CLIENT_GONE', { door: door.name, protocol: door.protocol, requestId }, wanted);
      const title = 'stream: client that leaves, as the log has it';
      observe({ section: 'refusals', row: 'CLIENT_GONE', title, door: door.name, status: wanted });
    }
  });
});
