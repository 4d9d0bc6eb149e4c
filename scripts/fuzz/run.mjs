// All fuzzers, one after another: the runner link, HTTP, gRPC.
//   node scripts/fuzz/run.mjs [--long] [--seed S]        short: 15 to 25 seconds; long: some minutes
// Needs a build. Each says how to run one case again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SHORT = { link: ['--frames', '300000'], http: ['--requests', '2000'], grpc: ['--calls', '1500'] };
const LONG = {
  link: ['--frames', '1000000'],
  http: ['--requests', '50000', '--long'],
  grpc: ['--calls', '50000', '--long'],
};

const { values } = parseArgs({ options: { long: { type: 'boolean', default: false }, seed: { type: 'string' } } });
const seed = values.seed === undefined ? [] : ['--seed', values.seed];

for (const [name, args] of Object.entries(values.long ? LONG : SHORT)) {
  const script = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const [code] = await once(spawn(process.execPath, [script, ...args, ...seed], { stdio: 'inherit' }), 'exit');
  if (code !== 0) process.exitCode = 1;
}
