// Few bytes that want to become many, and readers that do not read: a worker has a limit for both.
// M1 While all of them are there at once, each other request is answered, and the worker keeps within its limit.
import { gzipSync } from 'node:zlib';
import { Connection } from './http-wire.mjs';
import { BOMB, BROTLI_BOMB, DEFLATE_BOMB, writeForm } from './http-bodies.mjs';
import { pngBomb } from './pictures.mjs';

const MIB = 2 ** 20;
const HOST = 'Host: test';
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'multipart/form-data; boundary=x';
const STREAM_TYPES = [
  'application/x-ndjson',
  'text/event-stream',
  'application/vnd.jubako.values',
  'application/octet-stream',
];
const READERS = 20;
/** What the kernel may hold of an answer that is not read, and what a stream may have waiting. */
const READ_BYTES = 64 * 1024;

/** name → [how many at once, path, content type, body, statuses that are right, coding]. */
function bombs(isLong) {
  const times = isLong ? 10 : 1;
  const parts = (count) => writeForm(manyParts(count), 'x');
  return {
    'gzip of nothing': [40 * times, '/anything', JSON_TYPE, BOMB, [413, 503], 'gzip'],
    'gzip of nothing for a tensor': [20, '/numbers', 'application/octet-stream', BOMB, [413, 503], 'gzip'],
    'gzip in gzip': [40, '/anything', JSON_TYPE, gzipSync(BOMB), [400], 'gzip'],
    'deflate of nothing': [40 * times, '/anything', JSON_TYPE, DEFLATE_BOMB, [413, 503], 'deflate'],
    'brotli of nothing': [40, '/anything', JSON_TYPE, BROTLI_BOMB, [413, 503], 'br'],
    'gzip for the Open Inference Protocol': [20, '/v2/models/model/infer', JSON_TYPE, BOMB, [413, 503], 'gzip'],
    'PNG of 900 million pixels': [40, '/picture', 'image/png', pngBomb(30_000, 30_000, 10), [413]],
    'PNG that is larger than it says': [20, '/thumbnail', 'image/png', pngBomb(64, 64, 60_000), [200, 400]],
    'PNG that is smaller than it says': [20, '/picture', 'image/png', pngBomb(4000, 4000, 2), [200, 400]],
    'PNG for an API of small ones': [20, '/thumbnail', 'image/png', pngBomb(2000, 2000), [413]],
    '100,000 parts': [4, '/form', FORM_TYPE, parts(100_000), [400]],
    '100,000 parts where one is wanted': [4, '/blob', FORM_TYPE, parts(100_000), [400]],
    'forms in forms': [4, '/form', FORM_TYPE, nestedForms(2000), [415]],
    'JSON with many keys': [2 * times, '/v1/tree', JSON_TYPE, manyKeys(isLong ? 1_000_000 : 100_000), [400]],
    'table with many columns': [2, '/open', JSON_TYPE, manyKeys(100_000), [400]],
    'CSV with many rows': [4, '/short', 'text/csv', Buffer.from(`a,b\n${'1,2\n'.repeat(200_000)}`), [413]],
    'CSV of quotes': [2, '/short', 'text/csv', Buffer.from(`a,b\n${'"'.repeat(200_000 * times)}`), [400, 413]],
    'JSON of lists': [2, '/people', JSON_TYPE, Buffer.from(`[${'[],'.repeat(200_000)}0]`), [400]],
    'deep JSON': [20, '/anything', JSON_TYPE, Buffer.from('['.repeat(MIB)), [400]],
    'Arrow that says to be large': [
      20,
      '/people',
      'application/vnd.apache.arrow.stream',
      Buffer.alloc(MIB, 0x7f),
      [400],
    ],
  };
}

function manyKeys(count) {
  return Buffer.from(`{${Array.from({ length: count }, (_, at) => `"k${at}":0`).join()}}`);
}

function manyParts(count) {
  const bytes = Buffer.from('1');
  return Array.from({ length: count }, (_, at) => ({ name: `p${at}`, bytes }));
}

function nestedForms(levels) {
  let form = Buffer.from('1');
  for (let level = 0; level < levels; level += 1)
    form = writeForm([{ name: 'tree', type: FORM_TYPE, bytes: form }], 'x');
  return form;
}

function post(path, type, body, coding, more = []) {
  const lines = [`POST ${path} HTTP/1.1`, HOST, `Content-Type: ${type}`, `Content-Length: ${body.length}`, ...more];
  if (coding !== undefined) lines.push(`Content-Encoding: ${coding}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
}

/** @param maxBytes - that the worker may have at any moment. */
export async function memoryCases({ server, fuzz, problems, isLong, maxBytes, idleStreams }) {
  const peak = (what) => {
    const bytes = server.peakBytes()['http-0'];
    if (bytes > maxBytes) problems.push(`${what}: http-0 had ${Math.round(bytes / MIB)} MiB`);
    server.forgetPeaks();
    return bytes;
  };
  const peaks = { 'at first': peak('at first') };
  for (const [name, [count, path, type, body, statuses, coding]] of Object.entries(bombs(isLong))) {
    const answers = Array.from({ length: count }, async () => {
      const connection = await Connection.open(server.port);
      await connection.write(post(path, type, body, coding));
      const answer = await connection.readAnswer('POST');
      fuzz.saw(answer);
      if (!statuses.includes(answer.status)) problems.push(`${name}: ${answer.status} ${answer.body.subarray(0, 200)}`);
      if (answer.status >= 400) fuzz.checkError(answer);
      connection.destroy();
    });
    await Promise.all([...answers, others(server, problems, name)]);
    fuzz.sent += count;
    peaks[name] = peak(name);
  }
  await unread(server, problems);
  peaks['readers that do not read'] = peak('readers that do not read');
  const idle = await idleOnes(server, problems, idleStreams);
  peaks[`${idleStreams} idle streams`] = peak('idle streams');
  return { peaks, ...idle };
}

/** M1 */
async function others(server, problems, name) {
  const { status } = await server.fetch('/livez');
  if (status !== 200) problems.push(`beside ${name}: /livez answers ${status}`);
}

/** Streams without an end, and large answers, whose readers stop after the first bytes. */
async function unread(server, problems) {
  const body = Buffer.from('null');
  const asked = STREAM_TYPES.flatMap((type) =>
    Array.from({ length: READERS }, () => post('/flood', JSON_TYPE, body, undefined, [`Accept: ${type}`])),
  );
  const large = post('/blob', 'application/octet-stream', Buffer.alloc(8 * MIB));
  for (let left = READERS; left > 0; left -= 1) asked.push(large);
  const readers = await Promise.all(
    asked.map(async (bytes) => {
      const connection = await Connection.open(server.port);
      await connection.write(bytes);
      await connection.received(READ_BYTES);
      connection.pause();
      return connection;
    }),
  );
  server.mayBeUnheard += readers.length;
  for (let left = READERS; left > 0; left -= 1) await others(server, problems, 'readers that do not read');
  readers.forEach((reader, at) => (at % 2 === 0 ? reader.reset() : reader.destroy()));
  await server.checkIdle();
}

/** Streams on which nothing happens, and connections without a request. */
async function idleOnes(server, problems, count) {
  const before = server.residentBytes()['http-0'];
  const bytes = post('/quiet', JSON_TYPE, Buffer.from('null'));
  const streams = await Promise.all(
    Array.from({ length: count }, async () => {
      const stream = await Connection.open(server.port);
      await stream.write(bytes);
      await stream.received(1);
      return stream;
    }),
  );
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(server.port)));
  await others(server, problems, 'idle streams');
  const perStreamBytes = (server.residentBytes()['http-0'] - before) / count;
  for (const connection of [...streams, ...connections]) connection.destroy();
  server.mayBeUnheard += count;
  await server.checkIdle();
  return { perStreamBytes };
}
