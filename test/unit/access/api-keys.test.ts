import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiKeys } from '#dist/access/api-keys.js';
import { JubakoError } from '#dist/errors.js';

const FIRST = '0123456789abcdef';
const SECOND = 'ABCDEFGHIJKLMNOP';
const keys = new ApiKeys([FIRST, SECOND]);

function positionOf(authorization: string | undefined, apiKey: string | undefined): number {
  return keys.positionOf({ authorization, apiKey });
}

test('ApiKeys take a known key by either header', () => {
  assert.equal(positionOf(`Bearer ${FIRST}`, undefined), 0);
  assert.equal(positionOf(`bearer  ${SECOND} `, undefined), 1);
  assert.equal(positionOf(undefined, SECOND), 1);
});

test('ApiKeys take the one of two headers that has a known key: the other may be meant for somebody else', () => {
  assert.equal(positionOf('Basic dXNlcjpwYXNz', FIRST), 0);
  assert.equal(positionOf('Bearer of-the-mounted-app', SECOND), 1);
  assert.equal(positionOf(`Bearer ${SECOND}`, 'of-the-mounted-app'), 1);
});

test('ApiKeys refuse what is missing, wrong or nearly right, and never repeat it', () => {
  const refused: readonly [authorization: string | undefined, apiKey: string | undefined, says: RegExp][] = [
    [undefined, undefined, /wanted a key/],
    ['Basic dXNlcjpwYXNz', undefined, /wanted a key/],
    [FIRST, undefined, /wanted a key/],
    ['Bearer', undefined, /wanted a key/],
    [`Bearer ${FIRST}x`, undefined, /is not known/],
    [`Bearer ${FIRST.slice(1)}`, undefined, /is not known/],
    [undefined, FIRST.toUpperCase(), /is not known/],
    [undefined, '', /is not known/],
    [undefined, `${FIRST}, ${SECOND}`, /is not known/],
  ];
  for (const [authorization, apiKey, says] of refused) {
    assert.throws(
      () => positionOf(authorization, apiKey),
      (thrown) =>
        thrown instanceof JubakoError &&
        thrown.code === 'UNAUTHENTICATED' &&
        says.test(thrown.message) &&
        !thrown.message.includes(FIRST.slice(1)),
      `${authorization} ${apiKey}`,
    );
  }
});
