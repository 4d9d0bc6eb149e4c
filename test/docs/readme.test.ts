import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

const README = readFileSync('README.md', 'utf8');

/** Code blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, code = '']) => code);
}

test('the first service of the README works as the README says', { timeout: 60_000 }, async (t) => {
  const code = blocks('ts').find((block) => block.startsWith('// hello.ts'));
  assert.ok(code !== undefined);
  const folder = mkdtempSync(join(tmpdir(), 'jubako-readme-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'hello.ts'), code);
  const args = ['dist/primary.js', 'serve', join(folder, 'hello.ts'), '--port', '0', '--api-workers', '1'];
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => server.kill('SIGTERM'));
  const lines = createInterface({ input: server.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    server.once('exit', (exitCode) => {
      reject(new Error(`the server ended with ${exitCode ?? 'a signal'}`));
    });
    lines.on('line', (line) => {
      const entry = JSON.parse(line) as { event?: string; addresses?: { http?: string } };
      if (entry.event === 'server.ready') resolve(entry.addresses?.http ?? '');
    });
  });

  const curl = /curl (\S+) -H '(\S+): (\S+)' -d '(.*?)'\s+# (.*)$/m.exec(README);
  assert.ok(curl !== null, 'the README has the curl line');
  const [, address = '', header = '', type = '', body = '', answer] = curl;
  const response = await fetch(`${url}${new URL(address).pathname}`, {
    method: 'POST',
    headers: { [header]: type },
    body,
  });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), answer);
});

test('every file that the README links to exists', () => {
  const links = [...README.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, path = '']) => path);
  assert.ok(links.length > 3);
  for (const path of links) assert.doesNotThrow(() => readFileSync(path), path);
});

test('the accuracy in the README is the one that training measured', () => {
  const { heldOutAccuracy, heldOutImages } = JSON.parse(readFileSync('examples/digits/metrics.json', 'utf8')) as Record<
    string,
    number
  >;
  assert.ok(README.includes(`${((heldOutAccuracy ?? 0) * 100).toFixed(2)} % of ${heldOutImages ?? 0} held-out images`));
});
