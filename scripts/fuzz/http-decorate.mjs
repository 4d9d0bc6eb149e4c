// What is odd about a request, and allowed.
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { BINARY_TYPE, FORM_TYPE, JSON_TYPE, VALUE_TYPE } from './http-bodies.mjs';

const ACCEPTS = [
  ...['*/*', JSON_TYPE, VALUE_TYPE, BINARY_TYPE, FORM_TYPE, 'text/csv', 'image/*', 'image/webp', 'text/event-stream'],
  ...['application/x-ndjson', 'application/vnd.jubako.values', 'application/vnd.apache.arrow.stream', 'text/plain'],
  ...['', ',', ';q=1', 'a', 'text/html, */*;q=0.1', '*/*;q=0', 'image/png;q=0, image/*', `${'a/b,'.repeat(500)}*/*`],
  ...[
    'application/json;q=abc',
    'application/json;q=1.0000',
    '*/json',
    'application/*;q=0.5, text/*;q=0.7',
    '"',
    '\xff',
  ],
];
const CODINGS = [
  'gzip',
  'br',
  'deflate',
  'identity',
  '*',
  'gzip;q=0',
  '*;q=0',
  'identity;q=0',
  '',
  ',,',
  'zstd, br;q=0.1',
  'x',
];
const QUERIES = ['', 'a=b', 'a&a&a', '%zz', '%', '=', '__proto__=1', 'a[b]=c', 'x'.repeat(4000), '?', '/../', '%00'];
const ODD_HEADERS = [
  ...[
    ['Cookie', 'a=b; c'],
    ['Range', 'bytes=0-1'],
    ['If-None-Match', '*'],
    ['If-Modified-Since', 'yesterday'],
  ],
  ...[
    ['X-Forwarded-For', '1.2.3.4, ::1'],
    ['X-Forwarded-For', 'x'.repeat(500)],
    ['Forwarded', 'for=_x'],
    ['Origin', 'null'],
  ],
  ...[
    ['TE', 'trailers'],
    ['Via', '1.0 x'],
    ['Authorization', 'Bearer \xff'],
    ['X-HTTP-Method-Override', 'DELETE'],
  ],
  ...[
    ['Expect', 'something'],
    ['Upgrade', 'h2c'],
    ['Keep-Alive', 'timeout=x'],
    ['Content-Language', 'x'],
    ['', undefined],
  ],
  ...[
    ['Connection', 'keep-alive'],
    ['Connection', 'X-Odd, TE'],
    ['Proxy-Connection', 'close'],
    ['Traceparent', '00-x'],
  ],
  ...[
    ['Content-Disposition', 'attachment; filename="x.bin"'],
    ['Content-MD5', 'x'],
    ['Digest', 'x'],
    ['Priority', 'u=9'],
  ],
  ...[
    ['Access-Control-Request-Method', 'POST'],
    ['Sec-WebSocket-Key', 'x'],
    ['Date', '0'],
    ['X-Empty', ''],
  ],
];

export function decorate(random, draft) {
  const { headers } = draft;
  for (const add of random.some(DECORATIONS, 0.25)) add(random, draft);
  draft.headers = headers;
}

const DECORATIONS = [
  (random, draft) => draft.headers.push(['Accept', random.pick(ACCEPTS)]),
  (random, draft) => draft.headers.push(['Accept-Encoding', random.pick(CODINGS)]),
  (random, draft) => {
    if (!draft.notes.includes('another path')) draft.url += `?${random.pick(QUERIES)}`;
  },
  (random, draft) => {
    for (const [name, value] of random.some(ODD_HEADERS, 0.1)) if (name !== '') draft.headers.push([name, value]);
  },
  (random, draft) => {
    for (let at = random.below(60); at > 0; at -= 1) draft.headers.push([`X-${at}`, random.text(20, 'abc ,;="\xe9')]);
  },
  (_random, draft) => {
    draft.isChunked = draft.body !== undefined;
  },
  (_random, draft) => {
    if (!draft.isSound || draft.body === undefined) return;
    draft.headers.push(['Expect', '100-continue']);
  },
  (random, draft) => {
    const isFree = draft.body !== undefined && !draft.headers.some(([name]) => name === 'Content-Encoding');
    if (!isFree) return;
    const [name, code] = random.pick([
      ['gzip', gzipSync],
      ['x-gzip', gzipSync],
      ['GZIP', gzipSync],
      ['deflate', deflateSync],
      ['deflate', deflateRawSync],
      ['br', brotliCompressSync],
      ['identity', (bytes) => bytes],
    ]);
    draft.body = code(draft.body);
    draft.headers.push(['Content-Encoding', name]);
  },
  (random, draft) => {
    if (random.chance(0.3)) draft.headers.push(['Connection', 'close']);
  },
  (random, draft) => {
    if (random.chance(0.3) && !draft.isChunked) draft.version = '1.0';
  },
  (random, draft) => {
    draft.badId = random.pick(['', 'two words', 'x'.repeat(129), '\xe9', '{}', 'a,b']);
  },
];
