// Runs the built tests: all of them, or those whose path contains one of the words given. Those of dist-test/clients need what
// scripts/clients/run.mjs installs: it runs them, by --clients, and nobody else does.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const CLIENTS = join('dist-test', 'clients', '/');

const args = process.argv.slice(2);
const words = args.filter((arg) => arg !== '--clients');
const files = readdirSync('dist-test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .map((file) => join('dist-test', file))
  .filter((file) => file.startsWith(CLIENTS) === args.includes('--clients'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  process.stderr.write(`No built test has ${words.join(' or ')} in its path\n`);
  process.exit(1);
}
// A test that hangs is a failure with a name, not a run that never ends.
const runner = spawn(process.execPath, ['--test', '--test-timeout=120000', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
});
runner.on('exit', (code) => process.exit(code ?? 1));
