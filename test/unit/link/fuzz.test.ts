import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader } from '#dist/link/frame-reader.js';
import { CALLER_FRAMES, RUNNER_FRAMES } from './fuzz-frames.js';
import { fuzz } from './fuzz.js';

const FRAMES = 50_000;

test(`The codec and both ends of a connection survive ${FRAMES} mutated frames`, { timeout: 60_000 }, async () => {
  const report = await fuzz(FRAMES, 1);
  assert.ok(report.frames >= FRAMES);
  // Neither do all sessions break at once, which would test little behind the codec, nor none.
  assert.ok(report.closed > report.sessions * 0.3 && report.closed < report.sessions * 0.98, JSON.stringify(report));
  assert.ok(report.calls > 1000, JSON.stringify(report));
});

test('The frames that are mutated are valid before', () => {
  for (const frames of [CALLER_FRAMES, RUNNER_FRAMES]) {
    let count = 0;
    const reader = new FrameReader(4096, () => (count += 1));
    for (const frame of frames) reader.push(frame);
    assert.equal(count, frames.length);
  }
});
