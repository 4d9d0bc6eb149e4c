// Writes CONFORMANCE.md: what the tests of dist-test/conformance have seen at every door of a running server, and what clients
// that others have written can do. Usage: node scripts/conformance/write.mjs [--check] [--without-clients]; --check writes
// nothing and fails where the page is out of date. Where a Python is missing, the part about clients stays as it is.
// Needs a build.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { clientTables } from './client-tables.mjs';
import { doorTables } from './door-tables.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGE = join(ROOT, 'CONFORMANCE.md');
const HEAD =
  '# Conformance\n\nWritten by `npm run conformance`; `npm run conformance -- --check` finds out whether it is out of date.\n';
/** The tests that tell what they have seen. */
const TESTS = ['dist-test/conformance/kinds.test.js', 'dist-test/conformance/failures.test.js'];
const PARTS = ['doors', 'clients'];

const check = process.argv.includes('--check');
const withClients = !process.argv.includes('--without-clients');
const folder = mkdtempSync(join(tmpdir(), 'jubako-conformance-'));
try {
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  const doors = join(folder, 'doors');
  await run([process.execPath, '--test', '--test-timeout=120000', ...TESTS], { CONFORMANCE_RECORD: doors });
  const parts = { doors: doorTables(linesOf(doors)), clients: partOf(before, 'clients') };
  if (withClients) {
    const clients = join(folder, 'clients');
    const output = await run([process.execPath, 'scripts/clients/run.mjs'], { CLIENTS_RECORD: clients });
    if (output.includes('SKIPPED'))
      console.log(`${output.match(/^SKIPPED.*$/gm)?.join('\n')}\nthe clients' part of the page stays as it is`);
    else parts.clients = clientTables(linesOf(clients));
  }
  const sections = PARTS.map((name) => `<!-- ${name}:start -->\n\n${parts[name]}\n\n<!-- ${name}:end -->`);
  const text = await format([HEAD, ...sections].join('\n\n'), { ...(await resolveConfig(PAGE)), filepath: PAGE });
  if (text === before) console.log('CONFORMANCE.md is up to date');
  else if (check) fail('CONFORMANCE.md is out of date; run npm run conformance');
  else {
    writeFileSync(PAGE, text);
    console.log('CONFORMANCE.md is written');
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** The output of a command that must succeed; where it does not, everybody shall see it. */
function run([command, ...args], env) {
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      if (code !== 0) fail(`${output}\n${args.join(' ')} has failed`);
      resolve(output);
    });
  });
}

function fail(why) {
  process.stderr.write(`${why}\n`);
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
}

function linesOf(file) {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function partOf(page, name) {
  const marker = `<!-- ${name}:start -->`;
  const [start, end] = [page.indexOf(marker), page.indexOf(`<!-- ${name}:end -->`)];
  return start === -1 || end === -1 ? '' : page.slice(start + marker.length, end).trim();
}
