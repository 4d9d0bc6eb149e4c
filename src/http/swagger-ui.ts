import { open, type FileHandle } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { JubakoError } from '../errors.js';
import { exchangeOf, type Exchange } from './exchange.js';

// Swagger UI at `/`: a page of our own over the files of swagger-ui-dist. Works offline; asks no other host for anything.
// W1 Only the files of ASSETS are served; no part of a request's path ever reaches the file system.

/** Under `/jubako/`, which no API can take. The page names it relatively, so that it works behind a proxy's prefix. */
const BASE = 'jubako/docs';
const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-16x16.png': 'image/png',
  'favicon-32x32.png': 'image/png',
};
const HTML_TYPE = 'text/html; charset=utf-8';
const SCRIPT_TYPE = 'text/javascript; charset=utf-8';

const GUARD: readonly string[] = ['X-Content-Type-Options', 'nosniff', 'Referrer-Policy', 'no-referrer'];
const PAGE_HEADERS: readonly string[] = [
  ...GUARD,
  'Content-Security-Policy',
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
];
const ASSET_HEADERS: readonly string[] = [...GUARD, 'Cache-Control', 'public, max-age=3600'];

const INIT_SCRIPT = `window.addEventListener('load', () => {
  window.SwaggerUIBundle({
    url: 'docs.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    validatorUrl: null,
    presets: [window.SwaggerUIBundle.presets.apis],
  });
});
`;

/** @param title - name of the service. */
export function addSwaggerUi(app: FastifyInstance, title: string): void {
  const page = pageOf(title);
  const get = (route: string, serve: (exchange: Exchange) => void): void => {
    app.get(route, (_request, reply) => {
      const exchange = exchangeOf(reply.raw);
      exchange.route = route;
      serve(exchange);
    });
  };
  get('/', (exchange) => {
    exchange.answer(200, HTML_TYPE, page, PAGE_HEADERS);
  });
  get(`/${BASE}/init.js`, (exchange) => {
    exchange.answer(200, SCRIPT_TYPE, INIT_SCRIPT, ASSET_HEADERS);
  });
  for (const [file, type] of Object.entries(ASSETS)) {
    get(`/${BASE}/${file}`, (exchange) => {
      void streamAsset(exchange, file, type);
    });
  }
}

/** Never rejects. */
async function streamAsset(exchange: Exchange, file: string, type: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(join(packageFolder(), file));
    const { size } = await handle.stat();
    exchange.stream(type, size, handle.createReadStream(), ASSET_HEADERS); // closes the handle
  } catch (thrown) {
    await handle?.close().catch(() => undefined); // the first failure is the one to tell
    exchange.fail(new JubakoError('INTERNAL', `Cannot read ${file} of swagger-ui-dist`, { cause: thrown }));
  }
}

let folder: string | undefined;

function packageFolder(): string {
  folder ??= dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return folder;
}

function pageOf(title: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${escapeHtml(title)}</title>
    <link rel="icon" type="image/png" sizes="32x32" href="${BASE}/favicon-32x32.png">
    <link rel="icon" type="image/png" sizes="16x16" href="${BASE}/favicon-16x16.png">
    <link rel="stylesheet" href="${BASE}/swagger-ui.css">
    <script src="${BASE}/swagger-ui-bundle.js" defer></script>
    <script src="${BASE}/init.js" defer></script>
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript; the document itself is at <a href="docs.json">docs.json</a>.</noscript>
  </body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
