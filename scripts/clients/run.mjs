// Tests Jubako with clients that others have written: installs them where they are not there yet, and runs the built tests of
// dist-test/clients. Usage: node scripts/clients/run.mjs [WORD …]; words pick files, as in scripts/run-tests.mjs. Needs a build.
// JUBAKO_CLIENTS_DIR: where they are installed; default: ~/.cache/jubako-clients.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CLIENT_SETS, installClients } from './install.mjs';

const tell = (line) => process.stdout.write(`${line}\n`);

const env = { ...process.env };
let found = 0;
for (const name of CLIENT_SETS) {
  const { python, missing } = await installClients(name, tell);
  if (python === undefined) {
    tell(`SKIPPED ${name}: no ${missing}`);
    continue;
  }
  env[`CLIENTS_PYTHON_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`] = python;
  found += 1;
}
if (found === 0) {
  tell('SKIPPED: no Python, hence no test with clients in Python');
  process.exit(0);
}
const runTests = fileURLToPath(new URL('../run-tests.mjs', import.meta.url));
const runner = spawn(process.execPath, [runTests, '--clients', ...process.argv.slice(2)], { stdio: 'inherit', env });
runner.on('exit', (code) => process.exit(code ?? 1));
