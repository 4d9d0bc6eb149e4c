import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { build } from 'esbuild';
import { launch } from 'puppeteer-core';
import { chromiumPath, NO_CHROMIUM } from '../support/chromium.js';
import { PNG } from '../support/png.js';
import { fixture, LIMIT, startPrimary } from '../support/start-primary.js';

/** The page of test/fixtures/client/page.ts as a script that leaves `page.run`. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fixture('client/page.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'page',
    target: 'es2022',
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}

/** An origin that has nothing but an empty page with the script. */
async function servePage(t: TestContext, script: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>page</title><script>${script.replaceAll('</script', '<\\/script')}</script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the typed client works in a page of another origin', { ...LIMIT, skip: NO_CHROMIUM }, async (t) => {
  const origin = await servePage(t, await bundle());
  const primary = startPrimary(t, [fixture('client/service.ts')], { env: { JUBAKO_CORS_ORIGINS: origin } });
  const { http: url } = await primary.ready();
  const browser = await launch({
    executablePath: chromiumPath() ?? '',
    headless: true,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(origin);

  const answer = await page.evaluate(`page.run(${JSON.stringify(url)}, ${JSON.stringify([...PNG])})`);
  assert.deepEqual(answer, {
    hasBuffer: false,
    doubled: ['float32', [1, 2], [3, 4]],
    big: String(2n ** 62n + 1n),
    words: ['naïve', '🎉'],
    pair: [['1', '-2'], ['x']],
    people: [['Ann', String(2n ** 60n), 0.5]],
    attached: ['copy of naïve.txt', 'text/plain', [97, 98]],
    form: [{ shape: [1, 2, 3], note: 'ä', about: { a: 1 }, raw: 3 }, [1.5, 2]],
    size: [1, 2, 3],
    shout: 'NAÏVE',
    reversed: [2, 1],
    counted: [
      [0, 0.5],
      [1, 1.5],
      [2, 2.5],
    ],
    last: 3,
    refused: { code: 'INVALID_INPUT', status: 400, requestId: 'from-a-page' },
    late: { code: 'DEADLINE_EXCEEDED', status: null, requestId: null },
    aborted: 'enough',
    unreachable: { code: 'NOT_READY', status: null, requestId: null },
  });
  await primary.nextLog({ event: 'endless.left' });
});
