import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCompressible } from '#dist/http/compress.js';

void test('text is worth compressing, what is compressed already and the elements of tensors are not', () => {
  for (const type of [
    'application/json; charset=utf-8',
    'application/problem+json',
    'text/csv',
    'text/plain; charset=utf-8',
    'image/svg+xml',
  ]) {
    assert.equal(isCompressible(type), true, type);
  }
  for (const type of [
    'image/png',
    'image/webp',
    'audio/wav',
    'video/mp4',
    'application/zip',
    'application/gzip',
    'application/octet-stream',
    'application/vnd.jubako.value',
    'application/vnd.apache.arrow.stream',
    'text/event-stream',
  ]) {
    assert.equal(isCompressible(type), false, type);
  }
});
