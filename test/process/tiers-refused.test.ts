import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DIGITS, classifyByHttp } from '../support/digits.js';
import { errorOf, get } from '../support/http-client.js';
import {
  LIMIT,
  fixture,
  startNode,
  startPrimary,
  tempFolder,
  until,
  type Cleanup,
  type RunningProcess,
} from '../support/start-primary.js';

const EX_CONFIG = 78;
const TOKEN = 'right-token';

function startRunner(t: Cleanup, args: readonly string[], token?: string): RunningProcess {
  const env = { JUBAKO_LINK_TOKEN: token };
  return startPrimary(t, ['start-runner-server', DIGITS, '--runner-name', 'digits', ...args], { env });
}

/** The HTTP tier from code: its address is known before it is ready, which it may never be. */
async function startApi(t: Cleanup, runner: string, token?: string): Promise<{ http: string; api: RunningProcess }> {
  const start = ['startHttpServer', { target: DIGITS, runnerMap: { digits: [runner] } }];
  const env = { JUBAKO_LINK_TOKEN: token };
  const api = startNode(t, [fixture('serve-from-code.mjs'), JSON.stringify([start])], { env });
  const { addresses } = await api.nextLog({ event: 'code.bound' });
  return { http: (addresses as { http: string }).http, api };
}

describe('tiers that do not let each other in', { concurrency: 2 }, () => {
  test('API tier with the right token is served, given by variable or by file', LIMIT, async (t) => {
    const { runner } = await startRunner(t, [], TOKEN).ready();
    const { http, api } = await startApi(t, runner, TOKEN);
    await api.nextLog({ event: 'code.ready' });
    await classifyByHttp(http);

    const file = join(tempFolder(t), 'token');
    writeFileSync(file, `${TOKEN}\n`);
    const flags = ['--remote-runner', `digits=${runner}`, '--link-token-file', file];
    const byFile = startPrimary(t, ['start-http-server', DIGITS, ...flags]);
    await classifyByHttp((await byFile.ready()).http);
    assert.ok(![api, byFile].some(({ stdout, stderr }) => `${stdout}${stderr}`.includes(TOKEN)));
  });

  const wrongs = [
    { what: 'a wrong token', token: 'wrong-token', says: /the token is not the one of this runner/ },
    { what: 'no token', token: undefined, says: /no token was given/ },
  ];
  for (const { what, token, says } of wrongs) {
    test(`API tier with ${what} is never ready and says why, and neither log tells a token`, LIMIT, async (t) => {
      const runnerServer = startRunner(t, [], TOKEN);
      const { runner } = await runnerServer.ready();
      const { http, api } = await startApi(t, runner, token);
      const lost = await api.nextLog({ event: 'link.lost', code: 'UNAUTHENTICATED' });
      assert.match(String(lost['msg']), says);
      await runnerServer.nextLog({ event: 'link.refused', status: 401 });

      const answer = await get(`${http}/readyz`);
      assert.equal(answer.status, 503);
      assert.equal(errorOf(answer).code, 'NOT_READY');
      assert.equal(errorOf(answer).message, 'Not ready: runner "digits" is not connected');
      assert.equal((await get(`${http}/livez`)).status, 200);
      for (const { stdout, stderr } of [api, runnerServer]) assert.doesNotMatch(stdout + stderr, /(right|wrong)-token/);
    });
  }

  test('runner on an address that others reach is refused without a token', LIMIT, async (t) => {
    const primary = startRunner(t, ['--host', '0.0.0.0']);
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(
      primary.stderr,
      /^CONFIG_INVALID: .*"0\.0\.0\.0" without a token.*JUBAKO_LINK_TOKEN.*--link-insecure/s,
    );
    await primary.vanished();
  });

  for (const { what, args, token } of [
    { what: 'with a token', args: [], token: TOKEN },
    { what: 'with linkInsecure', args: ['--link-insecure'], token: undefined },
  ]) {
    test(`runner on an address that others reach starts ${what}`, LIMIT, async (t) => {
      const primary = startRunner(t, ['--host', '0.0.0.0', ...args], token);
      const { runner } = await primary.ready();
      const { http, api } = await startApi(t, runner, token);
      await api.nextLog({ event: 'code.ready' });
      await classifyByHttp(http);
    });
  }

  test('runnerName that the service has not is refused with the names that it has', LIMIT, async (t) => {
    const primary = startPrimary(t, ['start-runner-server', DIGITS, '--runner-name', 'letters']);
    assert.equal((await primary.refused()).code, EX_CONFIG);
    assert.match(primary.stderr, /Runner "letters" not found in the service "digits", available runners: digits/);
    await primary.vanished();
  });

  test('start-runner-server without runnerName is a wrong use', LIMIT, async (t) => {
    const primary = startPrimary(t, ['start-runner-server', DIGITS]);
    assert.equal((await primary.refused()).code, 64);
    assert.match(primary.stderr, /runnerName is missing/);
  });

  for (const command of ['start-http-server', 'start-grpc-server']) {
    const maps = [
      { what: 'no map', args: [], says: /"digits" requires runners digits, but only none are provided/ },
      {
        what: 'a map of another runner',
        args: ['--runner-map', '{"letters":["tcp://127.0.0.1:1"]}'],
        says: /"digits" requires runners digits, but only letters are provided/,
      },
      {
        what: 'an address without a port',
        args: ['--remote-runner', 'digits=tcp://127.0.0.1'],
        says: /"tcp:\/\/127\.0\.0\.1" of runner "digits".*not host:port/,
      },
      {
        what: 'an unknown scheme',
        args: ['--remote-runner', 'digits=http://127.0.0.1:1'],
        says: /"http:\/\/127\.0\.0\.1:1" of runner "digits".*scheme "http" is unknown/,
      },
      {
        what: 'a port out of range',
        args: ['--remote-runner', 'digits=tcp://127.0.0.1:70000'],
        says: /port 70000 is not between/,
      },
      {
        what: 'a relative socket',
        args: ['--runner-map', '{"digits":["unix://x.sock"]}'],
        says: /"unix:\/\/x\.sock" of runner "digits".*not absolute/,
      },
      { what: 'a map that is no JSON', args: ['--runner-map', '{digits'], says: /--runner-map.*not JSON/ },
      {
        what: 'a runner without an address',
        args: ['--runner-map', '{"digits":[]}'],
        says: /runner "digits" has no address/,
      },
    ];
    for (const { what, args, says } of maps) {
      test(`${command} is refused with ${what}`, LIMIT, async (t) => {
        const primary = startPrimary(t, [command, DIGITS, ...args]);
        assert.equal((await primary.refused()).code, EX_CONFIG, primary.stderr);
        assert.match(primary.stderr, says);
        await primary.vanished();
      });
    }
  }

  test('runner that never answers leaves the API tier alive and told', LIMIT, async (t) => {
    const { runner } = await startRunner(t, []).ready();
    const { http, api } = await startApi(t, runner.replace(/\d+$/, '1'));
    assert.match(String((await api.nextLog({ event: 'link.lost' }))['msg']), /ECONNREFUSED/);
    await until(async () => (await get(`${http}/livez`)).status === 200);
    assert.equal((await get(`${http}/readyz`)).status, 503);
  });
});
