import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { ERROR_KINDS } from '#dist/errors.js';
import { LIMIT, tempFolder } from '../support/start-primary.js';
import { CATALOGUE, CODES, askEverywhere, isRow } from './catalogue.js';
import { ConformanceServer, ofFile } from './conformance-server.js';
import { CAUSES } from './failure-causes.js';
import { ECHO, MAX_BODY_BYTES, MAX_CONCURRENCY, type Servers } from './provocations.js';

const SECRET = 'the secret is 42';
const KEY = 'a-key-of-the-tests';

/** Rows in the order of their causes, which is the order that they need. */
const ROWS = Object.keys(CAUSES) as typeof CODES;

test('ERROR_KINDS is the catalogue that clients rely on, and every row has its case', () => {
  const kinds = Object.entries(ERROR_KINDS).map(([code, { http, grpc, retryAfterSeconds, internal }]) => [
    code,
    { http, grpc, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }), ...(internal && { internal }) },
  ]);
  assert.deepEqual(Object.fromEntries(kinds), CATALOGUE);
  assert.deepEqual(ROWS.toSorted(), CODES.toSorted());
});

describe('failures as clients see them', () => {
  let servers: Servers;
  before(async () => {
    const closedGate = join(tempFolder(ofFile), 'gate');
    const limits = ['--max-body-bytes', `${MAX_BODY_BYTES}`, '--max-message-length', `${MAX_BODY_BYTES}`];
    const [main, hasty, guarded, limited] = await Promise.all([
      ConformanceServer.start([...limits, '--max-concurrency', `${MAX_CONCURRENCY}`], {
        env: { CONFORMANCE_CLOSED_GATE: closedGate },
      }),
      ConformanceServer.start(['--timeout', '0.3']),
      ConformanceServer.start([], { env: { JUBAKO_API_KEYS: KEY } }),
      ConformanceServer.start(['--rate-limit', '0.001', '--rate-limit-burst', '1']),
    ]);
    servers = { main, hasty, guarded, limited, closedGate };
    const { code } = await limited.door('API JSON').ask(ECHO, 1);
    assert.equal(code, 'ok');
  }, LIMIT);

  for (const code of CODES) {
    test(`${code} is answered by its row at every door where handler or model throws it`, LIMIT, async () => {
      const { main } = servers;
      const refusal = { code, message: `${SECRET}, says user code` };
      const heard = [
        ...(await askEverywhere(main, { api: 'refuse', model: 'model.refuse' }, refusal)),
        ...(await askEverywhere(main, { api: 'refuse-in-model' }, refusal)),
      ];
      assert.equal(heard.length, 10);
      for (const each of heard) {
        await isRow(
          main,
          code,
          each,
          { section: 'thrown', title: 'thrown by handler or model' },
          /the secret is 42, says user code$/,
        );
        if (CATALOGUE[code].internal !== true) continue;
        assert.ok(!each.told.seen.includes(SECRET), each.told.seen);
        const logged = main.primary.logs.filter(({ requestId }) => requestId === each.requestId);
        assert.ok(JSON.stringify(logged).includes(SECRET), `${each.door}: the log lacks the cause`);
      }
    });
  }

  test('RPC that is not there is answered UNIMPLEMENTED and counted NOT_FOUND', LIMIT, async () => {
    const { main } = servers;
    const requestId = 'unknown-rpc';
    const told = await main.clients.wire('/inference.GRPCInferenceService/Nope', new Uint8Array(), { requestId });
    assert.equal(told.status, status.UNIMPLEMENTED, told.seen);
    const line = await main.primary.nextLog({ event: 'request.finished', requestId });
    assert.deepEqual([line['outcome'], line['status'], line['route']], ['NOT_FOUND', 12, '(unknown)']);
  });

  test('caller with a key is let in at every door', LIMIT, async () => {
    for (const headers of [{ authorization: `Bearer ${KEY}` }, { 'x-api-key': KEY }]) {
      for (const { door, told } of await askEverywhere(servers.guarded, ECHO, 1, { headers })) {
        assert.equal(told.code, 'ok', `${door}: ${told.seen}`);
      }
    }
  });

  for (const code of ROWS) {
    for (const { title, message, at = 'main', provoke } of CAUSES[code]) {
      test(`${code} is answered by its row: ${title}`, LIMIT, async (t) => {
        for (const heard of await provoke(servers, t))
          await isRow(servers[at], code, heard, { section: 'causes', title }, message);
      });
    }
  }
});
