import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from 'puppeteer-core';
import { manifestOf } from '#dist/service/manifest-of.js';
import { chromiumPath, NO_CHROMIUM } from '../support/chromium.js';
import { service as kinds } from '../support/kinds-service.js';
import { invokerOf } from './grpc-bento-harness.js';
import { startHttp } from './http-harness.js';

// What the page needs of a browser; the types of one are not loaded.
interface Page {
  readonly document: {
    querySelector(selector: string): Element | null;
    querySelectorAll(selector: string): Iterable<Element>;
  };
}
interface Element {
  readonly textContent: string;
  readonly value?: string;
}

test('Swagger UI shows every API and runs an example', { timeout: 60_000, skip: NO_CHROMIUM }, async (t) => {
  const real = invokerOf(kinds);
  const { url } = await startHttp(t, {
    callApi: (call) => real.callApi(call),
    others: { service: kinds, manifest: manifestOf(kinds) },
  });
  const browser = await launch({
    executablePath: chromiumPath() ?? '',
    headless: true,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const hosts = new Set<string>();
  const complaints: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) hosts.add(new URL(request.url()).host);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url('/'));
  await page.waitForSelector('#operations-Service_APIs-kinds__tree');
  const shown = (selector: string): Promise<string[]> =>
    page.evaluate((given) => {
      const { document } = globalThis as unknown as Page;
      return Array.from(document.querySelectorAll(given), (element) => element.textContent);
    }, selector);
  const routes = await shown('[id^="operations-Service_APIs"] .opblock-summary-path');
  assert.deepEqual(
    routes.map((route) => route.replaceAll('\u200b', '')),
    Object.entries(kinds.apis).map(([name, { route }]) => route ?? `/${name}`),
  );
  assert.deepEqual(await shown('.errors-wrapper'), []);

  await page.click('#operations-Service_APIs-kinds__tree .opblock-summary-control');
  await page.waitForSelector('#operations-Service_APIs-kinds__tree .try-out__btn');
  await page.click('#operations-Service_APIs-kinds__tree .try-out__btn');
  await page.waitForSelector('#operations-Service_APIs-kinds__tree .execute');
  await page.click('#operations-Service_APIs-kinds__tree .execute');
  await page.waitForSelector('#operations-Service_APIs-kinds__tree .live-responses-table tbody .response-col_status');
  const [status = ''] = await shown(
    '#operations-Service_APIs-kinds__tree .live-responses-table tbody .response-col_status',
  );
  assert.match(status, /^200/);
  const answers = await shown('#operations-Service_APIs-kinds__tree .live-responses-table .highlight-code');
  assert.match(answers.join(''), /"name": ""/);
  assert.deepEqual([...hosts], [new URL(url('/')).host]);
  assert.deepEqual(complaints, []);
});
