// `npm start`: builds, then serves examples/digits from this very process, so that signals reach the server itself.
// Arguments after `--` are for the server: npm start -- --port 8080
// package.json says `exec`: npm passes a signal to its shell, which would die of it and leave the server behind.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '--build', 'src'], { cwd: root, stdio: 'inherit' });
process.argv = [
  process.argv[0],
  fileURLToPath(new URL('../dist/primary.js', import.meta.url)),
  'serve',
  'examples/digits',
  ...process.argv.slice(2),
];
await import('../dist/primary.js');
