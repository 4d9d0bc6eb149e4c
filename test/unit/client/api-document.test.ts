import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiDocument } from '#dist/client/api-document.js';
import { CallLimits } from '#dist/client/call-limits.js';

const NO_LIMITS = new CallLimits(undefined, undefined);

function documentText(route: string): string {
  const about = { api: 'go', input: { kind: 'json', schema: {} }, output: { kind: 'json', schema: {} } };
  return JSON.stringify({ paths: { [route]: { post: { 'x-jubako': about } } } });
}

test('ApiDocument reads anew after it was told to forget, at most once a minute', async () => {
  let nowMs = 1_000_000;
  let readings = 0;
  const document = new ApiDocument('http://host/docs.json', () => nowMs);
  const find = async (): Promise<string> => {
    const api = await document.find('go', NO_LIMITS, () => {
      readings += 1;
      return Promise.resolve(documentText(`/route-${readings}`));
    });
    return api.route;
  };
  document.forget(); // nothing is known yet
  assert.equal(await find(), '/route-1');
  nowMs += 60_000;
  document.forget();
  assert.equal(await find(), '/route-1');
  nowMs += 1;
  assert.equal(await find(), '/route-1', 'nobody has said that it is wrong');
  document.forget();
  assert.equal(await find(), '/route-2');
  document.forget();
  assert.equal(await find(), '/route-2');
});
