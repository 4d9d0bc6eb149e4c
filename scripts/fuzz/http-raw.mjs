// What no HTTP client sends: each case on a connection of its own, with the answers that it must get, in their order.
// Afterwards the server closes, where it could not know what would come next.
import { randomBytes } from 'node:crypto';
import { Connection, WireError } from './http-wire.mjs';

const HOST = 'Host: test';
const OK = 'POST /anything HTTP/1.1';
const CHUNKED = 'Transfer-Encoding: chunked';
const GOOD = `POST /anything HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n1`;
const BAD = [400];
const MANY = 50;
const KIB = 1024;

/** `lines` of a head and the bytes behind it. */
function request(lines, body = '') {
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body, 'latin1')]);
}

const post = (headers, body) => request([OK, HOST, ...headers], body);
const chunks = (body, ...headers) => post([CHUNKED, ...headers], body);

/** name → [bytes, statuses in order, `open`: the connection stays]. Our half is ended behind the bytes unless it stays. */
const CASES = {
  'length and chunks': [post(['Content-Length: 1', CHUNKED], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'chunks and length': [post([CHUNKED, 'Content-Length: 1'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'two lengths that differ': [post(['Content-Length: 1', 'Content-Length: 2'], '12'), BAD],
  'two lengths that agree': [post(['Content-Length: 1', 'Content-Length: 1'], '1'), BAD],
  'a list of lengths': [post(['Content-Length: 1, 1'], '1'), BAD],
  'length with a sign': [post(['Content-Length: +1'], '1'), BAD],
  'length in hexadecimal': [post(['Content-Length: 0x1'], '1'), BAD],
  'length without digits': [post(['Content-Length:'], ''), BAD],
  'length with an exponent': [post(['Content-Length: 1e0'], '1'), BAD],
  'length beyond 64 bits': [post(['Content-Length: 18446744073709551617'], '1'), BAD],
  'length of 2^63': [post(['Content-Length: 9223372036854775808'], '1'), [413]],
  'chunked twice': [post(['Transfer-Encoding: chunked, chunked'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'chunked in two headers': [post([CHUNKED, CHUNKED], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'another coding before chunked': [post(['Transfer-Encoding: gzip, chunked'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'another coding behind chunked': [post(['Transfer-Encoding: chunked, gzip'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'identity as a transfer coding': [post(['Transfer-Encoding: identity'], '1'), BAD],
  'almost chunked': [post(['Transfer-Encoding: xchunked'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'chunked with a tab': [post(['Transfer-Encoding:\tchunked'], '1\r\n1\r\n0\r\n\r\n'), [200]],
  'chunked with a vertical tab': [post(['Transfer-Encoding:\x0bchunked'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'chunked in HTTP/1.0': [request(['POST /anything HTTP/1.0', CHUNKED], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'folded header': [post(['X-Odd: a\r\n b', 'Content-Length: 1'], '1'), BAD],
  'folded length': [post(['Content-Length:\r\n 1'], '1'), BAD],
  'folded transfer coding': [post(['Transfer-Encoding:\r\n chunked'], '1\r\n1\r\n0\r\n\r\n'), BAD],
  'line feeds alone': [Buffer.from(`${OK}\n${HOST}\nContent-Length: 1\n\n1`), BAD],
  'one line feed alone': [Buffer.from(`${OK}\r\n${HOST}\nContent-Length: 1\r\n\r\n1`), BAD],
  'carriage return alone': [Buffer.from(`${OK}\r\n${HOST}\rX: y\r\nContent-Length: 1\r\n\r\n1`), BAD],
  'zero byte in a header': [post(['X-Odd: a\0b', 'Content-Length: 1'], '1'), BAD],
  'zero byte in a name': [post(['X\0Odd: a', 'Content-Length: 1'], '1'), BAD],
  'zero byte in the path': [request(['GET /live\0z HTTP/1.1', HOST]), BAD],
  'control byte in a header': [post(['X-Odd: a\x01b', 'Content-Length: 1'], '1'), BAD],
  'header without a name': [post([': a', 'Content-Length: 1'], '1'), BAD],
  'header without a colon': [post(['Odd', 'Content-Length: 1'], '1'), BAD],
  'space before the colon': [post(['Content-Length : 1'], '1'), BAD],
  'name in brackets': [post(['X(Odd): a', 'Content-Length: 1'], '1'), BAD],
  'space before the first header': [request([OK, ' X: y', HOST, 'Content-Length: 1'], '1'), BAD],
  'empty lines before a request': [Buffer.from(`\r\n\r\n${GOOD}`), [200]],
  'no host': [request([OK, 'Content-Length: 1'], '1'), BAD],
  'two hosts': [request([OK, HOST, 'Host: other', 'Content-Length: 1'], '1'), BAD],
  'empty host': [request([OK, 'Host:', 'Content-Length: 1'], '1'), [200]],
  'host of noise': [request([OK, 'Host: a b/c@d:e', 'Content-Length: 1'], '1'), BAD],
  'absolute target': [request(['POST http://test/anything HTTP/1.1', HOST, 'Content-Length: 1'], '1'), [200]],
  'absolute target of another host': [request(['GET http://example.org/livez HTTP/1.1', HOST]), [200]],
  'absolute target of another scheme': [request(['GET ftp://test/livez HTTP/1.1', HOST]), [404]],
  'authority as target': [request(['CONNECT test:80 HTTP/1.1', HOST]), BAD],
  'authority as target of GET': [request(['GET test:80 HTTP/1.1', HOST]), BAD],
  'asterisk as target': [request(['OPTIONS * HTTP/1.1', HOST]), [404]],
  'asterisk as target of GET': [request(['GET * HTTP/1.1', HOST]), BAD],
  'empty target': [request(['GET  HTTP/1.1', HOST]), BAD],
  'spaces in the target': [request(['GET /live z HTTP/1.1', HOST]), BAD],
  'bytes beyond ASCII in the target': [request(['GET /\xe9\xff HTTP/1.1', HOST]), BAD],
  'target of 8 KiB': [request([`GET /${'a'.repeat(8 * KIB)} HTTP/1.1`, HOST]), [404]],
  'target of 100 KiB': [request([`GET /${'a'.repeat(100 * KIB)} HTTP/1.1`, HOST]), [413]],
  'a thousand parameters in the query': [request([`GET /livez?${'a=b&'.repeat(1000)} HTTP/1.1`, HOST]), [200]],
  'HTTP/0.9': [Buffer.from('GET /livez\r\n\r\n'), BAD],
  'HTTP/1.2': [request(['GET /livez HTTP/1.2', HOST]), BAD],
  'HTTP/2.0': [request(['GET /livez HTTP/2.0', HOST]), BAD],
  'HTTP/2 preface': [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), BAD],
  'HTTP in small letters': [request(['GET /livez http/1.1', HOST]), BAD],
  'no HTTP': [Buffer.from('EHLO test\r\n'), BAD],
  SSH: [Buffer.from('SSH-2.0-OpenSSH_9.0\r\n'), BAD],
  'handshake of TLS': [Buffer.from('16030100c8010000c40303', 'hex'), BAD],
  'WebSocket where there is none': [
    request(['GET /livez HTTP/1.1', HOST, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: eA==']),
    [200],
  ],
  'HTTP/2 by upgrade': [
    request(['GET /livez HTTP/1.1', HOST, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AA']),
    [200],
  ],
  'chunk size that is none': [chunks('xyz\r\n1\r\n0\r\n\r\n'), BAD],
  'chunk size with a sign': [chunks('+1\r\n1\r\n0\r\n\r\n'), BAD],
  'chunk size in front of a space': [chunks('1 \r\n1\r\n0\r\n\r\n'), BAD],
  'chunk size beyond 64 bits': [chunks('fffffffffffffffff\r\n1'), BAD],
  'chunk size of 2^63': [chunks('8000000000000000\r\n1'), BAD],
  'chunk that is longer than it says': [chunks('1\r\n12\r\n0\r\n\r\n'), BAD],
  'chunk that ends in a line feed': [chunks('1\n1\n0\n\n'), BAD],
  'chunk extension of 100 KiB': [chunks(`1;${'a'.repeat(100 * KIB)}\r\n1\r\n0\r\n\r\n`), [413]],
  'chunk extensions without end': [chunks(`${'1;a=b\r\n1\r\n'.repeat(20_000)}0\r\n\r\n`), [200]],
  'trailers of 100 KiB': [chunks(`1\r\n1\r\n0\r\n${'a: b\r\n'.repeat(20_000)}\r\n`), [413]],
  'a length among the trailers': [chunks('1\r\n1\r\n0\r\nContent-Length: 5\r\n\r\n'), BAD],
  'head of 100 KiB': [post([`X-Long: ${'a'.repeat(100 * KIB)}`, 'Content-Length: 1'], '1'), [413]],
  '20,000 headers': [post([...Array.from({ length: 20_000 }, () => 'a:b'), 'Content-Length: 1'], '1'), [413]],
  '2,500 headers, the last of them with a meaning': [
    post([...Array.from({ length: 2500 }, () => 'a:'), 'Content-Length: 1', 'Content-Type: multipart/mixed'], '1'),
    [415],
  ],
  'no body where Expect says so': [post(['Expect: 100-continue', 'Content-Length: 0']), [400]],
  'Expect without a body': [request(['GET /livez HTTP/1.1', HOST, 'Expect: 100-continue']), [200]],
  'Expect many times': [
    post([...Array.from({ length: 100 }, () => 'Expect: 100-continue'), 'Content-Length: 1'], '1'),
    [200],
  ],
  'Expect in HTTP/1.0': [request(['POST /anything HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 1'], '1'), [200]],
  'Expect of something else': [post(['Expect: 200-ok', 'Content-Length: 1'], '1'), [200]],
  'body that ends too early': [post(['Content-Length: 100'], '{"a":'), BAD],
  'chunks that end too early': [chunks('5\r\n{"a"'), BAD],
  'head that ends too early': [Buffer.from(`${OK}\r\nHos`), BAD],
  'line that ends too early': [Buffer.from('POS'), BAD],
  'end behind a request': [Buffer.from(GOOD), [200]],
  'end behind a request for work': [
    request(['POST /batched HTTP/1.1', HOST, 'Content-Length: 11'], '[[1,2,3,4]]'),
    [200],
  ],
  'end behind many requests': [Buffer.from(GOOD.repeat(MANY)), Array(MANY).fill(200)],
  'noise behind a request': [Buffer.from(`${GOOD}\0\0\0${GOOD}`), [200, 400]],
  'noise behind many requests': [Buffer.from(`${GOOD.repeat(MANY)}noise\r\n\r\n`), [...Array(MANY).fill(200), 400]],
  'a request behind the last one': [request([OK, HOST, 'Connection: close', 'Content-Length: 1'], `1${GOOD}`), [200]],
  'a request in the body of another': [post([`Content-Length: ${GOOD.length}`], GOOD), BAD],
  'many requests': [Buffer.from(GOOD.repeat(MANY)), Array(MANY).fill(200), 'open'],
  'timeout of noise': [post(['x-request-timeout-ms: -1', 'Content-Length: 1'], '1'), [400]],
  'timeout of nothing': [post(['x-request-timeout-ms: 0', 'Content-Length: 1'], '1'), [504]],
};

export async function rawCases({ server, fuzz, problems }) {
  for (const [name, [bytes, wanted, stays]] of Object.entries(CASES)) {
    fuzz.sent += 1;
    const { statuses, fault } = await exchange(server, fuzz, bytes, wanted, stays === 'open');
    if (fault !== undefined) problems.push(`${name}: ${fault}, after ${statuses}`);
    else if (statuses.join() !== wanted.join()) problems.push(`${name}: answered ${statuses}, wanted ${wanted}`);
  }
  await noise(server, fuzz, problems);
  await goneClients(server);
  await slowClients(server, fuzz, problems);
}

async function exchange(server, fuzz, bytes, wanted, stays) {
  const connection = await Connection.open(server.port);
  const statuses = [];
  const see = (answer) => {
    fuzz.saw(answer);
    statuses.push(answer.status);
    if (answer.status >= 400) fuzz.checkError(answer);
  };
  try {
    await connection.write(bytes);
    if (stays) while (statuses.length < wanted.length) see(await connection.readAnswer('POST'));
    else {
      connection.end();
      while (!(await connection.isOver())) see(await connection.readAnswer('POST'));
    }
    return { statuses };
  } catch (thrown) {
    if (!(thrown instanceof WireError)) throw thrown;
    return { statuses, fault: thrown.message };
  } finally {
    connection.destroy();
  }
}

/** Bytes of no protocol; whatever is answered is well formed. */
async function noise(server, fuzz, problems) {
  for (let left = MANY; left > 0; left -= 1) {
    const { statuses, fault } = await exchange(server, fuzz, randomBytes(2000), BAD, false);
    if (fault !== undefined || statuses.some((status) => status !== 400)) problems.push(`noise: ${fault} ${statuses}`);
  }
}

/** Clients that go at every moment, by an end and by a reset. */
async function goneClients(server) {
  const body = Buffer.from('[[1,2,3,4]]');
  const all = request(['POST /batched HTTP/1.1', HOST, `Content-Length: ${body.length}`], body);
  const ways = Array.from({ length: 2 * MANY }, async (_, number) => {
    const connection = await Connection.open(server.port);
    await connection.write(all.subarray(0, Math.ceil((all.length * (number % MANY)) / (MANY - 1))));
    server.mayBeUnheard += 1;
    if (number < MANY) connection.reset();
    else connection.destroy();
  });
  await Promise.all(ways);
}

/** Heads and bodies that do not come to an end hold nobody else up. */
async function slowClients(server, fuzz, problems) {
  const slow = await Promise.all(
    Array.from({ length: 4 * MANY }, async (_, number) => {
      const connection = await Connection.open(server.port);
      await connection.write(number % 2 === 0 ? `${OK}\r\nHost: te` : post(['Content-Length: 1000'], '{"a":'));
      return connection;
    }),
  );
  const { statuses } = await exchange(server, fuzz, Buffer.from(GOOD), [200], false);
  if (statuses.join() !== '200') problems.push(`beside slow clients: answered ${statuses}`);
  for (const connection of slow) connection.reset();
  server.mayBeUnheard += slow.length;
}
