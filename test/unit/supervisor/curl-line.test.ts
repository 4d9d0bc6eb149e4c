import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DescriptorSpec, Manifest } from '#dist/ipc/manifest.js';
import { curlLine } from '#dist/supervisor/curl-line.js';

function lineFor(input: DescriptorSpec, example?: unknown): string | undefined {
  const api = { name: 'a', route: '/a', input, output: input, ...(example !== undefined && { example }) };
  const manifest: Manifest = { name: 's', version: '1', apis: [api], runners: [], mounts: [], unavailable: [] };
  return curlLine(manifest, 'http://h:1');
}

const tensor = (dtype: 'float32' | 'string' | 'bool', shape: readonly number[]): DescriptorSpec => ({
  kind: 'tensor',
  dtype,
  shape,
  allowNonFinite: false,
});

test('curlLine gives the example of the API, quoted for a shell', () => {
  const line = lineFor({ kind: 'json', schema: {} }, "it's");
  assert.equal(line, `curl http://h:1/a -H 'content-type: application/json' -d '"it'\\''s"'`);
});

test('curlLine makes up the smallest value of the right type', () => {
  assert.match(lineFor(tensor('float32', [-1, 2])) ?? '', /-d '\[\[0,0\]\]'$/);
  assert.match(lineFor(tensor('string', [-1])) ?? '', /-d '\[""\]'$/);
  assert.match(lineFor(tensor('bool', [1])) ?? '', /-d '\[false\]'$/);
});

test('curlLine sends a large tensor as bytes instead of filling the terminal', () => {
  assert.equal(
    lineFor(tensor('float32', [-1, 3, 224, 224])),
    "head -c 602112 /dev/zero | curl http://h:1/a -H 'content-type: application/octet-stream' " +
      "-H 'tensor-shape: 1,3,224,224' --data-binary @-",
  );
});
