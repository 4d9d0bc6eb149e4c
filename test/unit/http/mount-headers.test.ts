import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toOuterLocation } from '#dist/http/mount-headers.js';

const upstream = new URL('http://127.0.0.1:8080');

test('toOuterLocation adds the path of the mount to what the application knows, and to nothing else', () => {
  const mount = { path: '/app', stripPath: true, upstream };
  const cases: readonly [location: string, outer: string][] = [
    ['/', '/app/'],
    ['/login?next=/x', '/app/login?next=/x'],
    ['login', 'login'],
    ['../up', '../up'],
    ['', ''],
    ['http://127.0.0.1:8080', '/app/'],
    ['http://127.0.0.1:8080/a?b#c', '/app/a?b#c'],
    ['http://127.0.0.1:8081/a', 'http://127.0.0.1:8081/a'],
    ['https://127.0.0.1:8080/a', 'https://127.0.0.1:8080/a'],
    ['//127.0.0.1:8080/a', '//127.0.0.1:8080/a'],
    ['mailto:a@b.example', 'mailto:a@b.example'],
  ];
  for (const [location, outer] of cases) assert.equal(toOuterLocation(location, mount), outer, location);
});

test('toOuterLocation leaves paths alone where the application sees them whole', () => {
  const mount = { path: '/app', stripPath: false, upstream };
  assert.equal(toOuterLocation('/app/login', mount), '/app/login');
  assert.equal(toOuterLocation('http://127.0.0.1:8080/app/login', mount), '/app/login');
});
