import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Room → rooms that it may import, from the table in ARCHITECTURE.md. */
function readRooms(): Map<string, ReadonlySet<string>> {
  const rooms = new Map<string, ReadonlySet<string>>();
  const section = readFileSync('ARCHITECTURE.md', 'utf8').split('## Rooms')[1]?.split('\n## ')[0] ?? '';
  for (const [, room = '', allowed = ''] of section.matchAll(/^\| `([\w.]+)\/?`\s*\|[^|]*\|([^|]*)\|$/gm)) {
    const names = allowed.split(',').map((name) => name.trim());
    rooms.set(room, new Set(names.map((name) => (name === 'errors' || name === 'cancellation' ? `${name}.ts` : name))));
  }
  return rooms;
}

/** `link/frame.js` → `link`, `errors.js` → `errors.ts`: a folder, or a file that is a room of its own. */
function roomOf(path: string): string {
  return (path.split('/')[0] ?? '').replace(/\.js$/, '.ts');
}

/** What is wrong with one file's imports, as `from file: room may not import other`. */
function violations(file: string, source: string, rooms: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const room = roomOf(file);
  const allowed = rooms.get(room);
  if (allowed === undefined) return [`${file}: the room "${room}" is not in the table`];
  const specifiers = [...source.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    ([, specifier = '']) => specifier,
  );
  return specifiers
    .map((specifier) => roomOf(normalize(join(dirname(file), specifier))))
    .filter((other) => other !== room && !allowed.has(other))
    .map((other) => `${file}: ${room} may not import ${other}`);
}

test('every import of src follows the table of rooms in ARCHITECTURE.md', () => {
  const rooms = readRooms();
  assert.ok(rooms.size > 10, 'the table was read');
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const found = files.flatMap((file) => violations(file, readFileSync(join('src', file), 'utf8'), rooms));
  assert.deepEqual(found, []);
});

test('the imports test finds a planted violation', () => {
  const planted = "import { forkWorker } from '../supervisor/forked-worker.js';\nawait import('../cli/serve.js');";
  assert.deepEqual(violations('http/planted.ts', planted, readRooms()), [
    'http/planted.ts: http may not import supervisor',
    'http/planted.ts: http may not import cli',
  ]);
});

test('only supervisor/forked-worker.ts forks by node:cluster', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const users = files.filter((file) => readFileSync(join('src', file), 'utf8').includes("from 'node:cluster'"));
  assert.deepEqual(users.sort(), ['supervisor/forked-worker.ts', 'worker/lifecycle.ts']);
});
