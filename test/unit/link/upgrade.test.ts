import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkUpgrade } from '#dist/link/upgrade.js';

function ask(
  changes: { method?: string; url?: string; upgrade?: string; authorization?: string },
  token: string | null = null,
) {
  const { method = 'GET', url = '/jubako/link', upgrade = 'jubako-link/2', authorization } = changes;
  return checkUpgrade(
    { method, url, headers: { upgrade, ...(authorization !== undefined && { authorization }) } },
    token,
  );
}

test('checkUpgrade lets the link in, also as one of several protocols', () => {
  assert.equal(ask({}), undefined);
  assert.equal(ask({ upgrade: 'websocket, Jubako-Link/2', url: '/jubako/link?x=1' }), undefined);
});

for (const [what, status, changes] of [
  ['another path', 404, { url: '/' }],
  ['another method', 405, { method: 'POST' }],
  ['another protocol', 426, { upgrade: 'websocket' }],
  ['another version', 426, { upgrade: 'jubako-link/1' }],
] as const) {
  test(`checkUpgrade refuses ${what} with ${status}`, () => {
    assert.equal(ask(changes)?.status, status);
  });
}

test('checkUpgrade names what was asked for and what is spoken', () => {
  assert.match(ask({ upgrade: 'jubako-link/3' })?.text ?? '', /"jubako-link\/3".*jubako-link\/2/);
});

test('checkUpgrade wants the token where there is one', () => {
  assert.equal(ask({}, 'secret')?.status, 401);
  assert.equal(ask({ authorization: 'Bearer wrong' }, 'secret')?.status, 401);
  assert.equal(ask({ authorization: 'Basic secret' }, 'secret')?.status, 401);
  assert.equal(ask({ authorization: 'Bearer secret' }, 'secret'), undefined);
});

test('checkUpgrade never repeats a token', () => {
  const refusal = ask({ authorization: 'Bearer given' }, 'wanted');
  assert.doesNotMatch(refusal?.text ?? '', /given|wanted"/);
});
