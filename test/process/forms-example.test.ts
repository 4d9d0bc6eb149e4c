import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { build } from 'esbuild';
import { LIMIT, repositoryFile, startPrimary } from '../support/start-primary.js';

test('the client of examples/forms calls every API of its service', LIMIT, async (t) => {
  // In the repository: from there the name of the package leads to what was built.
  const folder = mkdtempSync(repositoryFile('dist-test/forms-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const program = join(folder, 'client.mjs');
  await build({ entryPoints: [repositoryFile('examples/forms/client.ts')], outfile: program, format: 'esm' });
  const server = startPrimary(t, ['serve', repositoryFile('examples/forms')]);
  const { http } = await server.ready();
  const client = spawn(process.execPath, [program, http], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(
    await text(client.stdout),
    [
      'one word after another ',
      'mirrored: 0 0 255 255 0 0',
      "oldest: { name: 'Ann' }",
      'caption: two pixels: 2 x 1',
      '',
    ].join('\n'),
  );
});
