import { pino } from 'pino';
import { ComputeLane } from '#dist/compute/compute-lane.js';
import type { LaneError } from '#dist/compute/lane.js';
import { jsonJob, laneBoot } from './lane-harness.js';

// A program: lets a model fill the heap of its thread, and writes what the main thread was told as one line of JSON.

const lane = new ComputeLane(laneBoot('model'), pino({ level: 'silent' }));
await lane.ready;
let code = 'none';
await lane.run(jsonJob('misbehave', { how: 'memory' })).done.catch((thrown: unknown) => {
  ({ code } = (thrown as LaneError).error);
});
process.stdout.write(JSON.stringify({ code, ended: await lane.ended }));
