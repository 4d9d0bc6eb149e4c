import { gzipSync } from 'node:zlib';
import type { ErrorCode } from '#dist/errors.js';
import { httpBytes } from './wire.js';

// Requests over HTTP that a server must refuse, each by one row of the catalogue.

export interface BadRequest {
  readonly title: string;
  readonly bytes: Buffer;
  readonly code: ErrorCode;
  readonly message?: RegExp;
  /** Our half closes after the bytes, since the server waits for more. */
  readonly ends?: true;
  /** Our side closes when this has come. */
  readonly until?: Buffer;
}

const MB = 1_000_000;
const CLOSE = 'Connection: close';
const JSON_TYPE = 'Content-Type: application/json';
const BINARY_TYPE = 'Content-Type: application/octet-stream';

function post(path: string, body: string | Uint8Array, headers: readonly string[] = [JSON_TYPE]): Buffer {
  return httpBytes('POST', path, [CLOSE, ...headers, `Content-Length: ${Buffer.byteLength(body)}`], body);
}

function bad(title: string, path: string, body: string | Uint8Array, message: RegExp): BadRequest {
  return { title, bytes: post(path, body), code: 'INVALID_INPUT', message };
}

const ROW = '1,2,3,4';
const DEEP = 100_000;
const BOMB_BYTES = 50_000_000;

const JSON_BODIES: readonly BadRequest[] = [
  bad('empty body', '/echo', '', /it is empty/),
  bad('JSON that ends too early', '/echo', '{"a": [1, 2', /as JSON/),
  bad('JSON with something behind it', '/echo', '{} {}', /as JSON/),
  bad('text that is no JSON', '/echo', 'hello', /as JSON/),
  bad('NaN as a word', '/double', `[[NaN,2,3,4]]`, /as JSON/),
  bad('Infinity as a word', '/double', `[[1,-Infinity,3,4]]`, /as JSON/),
  bad('byte order mark', '/echo', '\ufeff{}', /as JSON/),
  bad('invalid UTF-8', '/echo', Buffer.from('22c32822', 'hex'), /not UTF-8/),
  bad('UTF-8 of half a surrogate pair', '/echo', Buffer.from('22eda08022', 'hex'), /not UTF-8/),
  bad('UTF-16', '/echo', Buffer.from('"text"', 'utf16le'), /as JSON/),
  bad('100,000 levels of lists', '/echo', '['.repeat(DEEP) + ']'.repeat(DEEP), /nested more than/),
  bad('100,000 levels of lists that do not end', '/double', '['.repeat(DEEP), /nested more than/),
  bad('100,000 levels of objects', '/echo', '{"a":'.repeat(DEEP) + '1' + '}'.repeat(DEEP), /nested more than/),
  bad('the key __proto__', '/echo', '{"__proto__": {"polluted": 1}}', /__proto__/),
  bad('the key __proto__, deep inside', '/number', '{"n": [{"a": {"__proto__": null}}]}', /__proto__/),
  bad('the key __proto__, escaped', '/echo', '{"\\u005f_proto_\\u005f": {"polluted": 1}}', /__proto__/),
  bad('the key __proto__ among tensors', '/pair', '{"__proto__": [1]}', /__proto__/),
  bad('keys of every object among tensors', '/pair', '{"constructor": [1], "ids": [[1, 2]]}', /"constructor"/),
  bad('keys of every object where none is allowed', '/number', '{"n": 1, "constructor": {}}', /constructor/),
  bad('field that is missing', '/number', '{}', /required property 'n'/),
  bad('field that is null', '/number', '{"n": null}', /\/n must be number/),
  bad('number that JSON rounds to Infinity', '/number', '{"n": 1e999}', /\/n must be number/),
  bad('list where an object is wanted', '/number', '[1]', /must be object/),
];

const JSON_TENSORS: readonly BadRequest[] = [
  bad('null where a number is needed', '/double', '[[1,null,3,4]]', /\/0\/1 must be a number, got null/),
  bad('text where a number is needed', '/double', '[[1,2,"3",4]]', /\/0\/2 must be a number, got "3"/),
  bad('list where a number is needed', '/double', '[[1,2,3,[4]]]', /\/0\/3 must be a number, got a list/),
  bad('number beyond float32', '/double', '[[1,2,3,1e39]]', /NaN or infinity at element 3/),
  bad('number that is Infinity', '/double', '[[1,2,3,-1e999]]', /NaN or infinity at element 3/),
  bad('rows that are too short', '/double', '[[1,2,3]]', /shape \[1, 3\]/),
  bad('rows of different lengths', '/double', `[[${ROW}],[1,2,3]]`, /\/1 must be a list of 4/),
  bad('a dimension too few', '/double', `[${ROW}]`, /\/0 must be a list/),
  bad('a dimension too many', '/double', `[[[${ROW}]]]`, /shape|must be a number/),
  bad('number instead of a tensor', '/double', '7', /must be a list, got 7/),
  bad('null instead of a tensor', '/double', 'null', /must be a list, got null/),
  bad('no rows', '/double', '[]', /shape \[0, 0\]/),
  bad('no rows, by shape', '/double', '{"shape":[0,4],"data":[]}', /0 rows/),
  bad('shape without data', '/double', '{"shape":[1,4]}', /\/data must be/),
  bad('data without shape', '/double', `{"data":[${ROW}]}`, /\/shape must be/),
  bad('negative size', '/double', `{"shape":[-1,4],"data":[${ROW}]}`, /-1 is not a whole number/),
  bad('two negative sizes', '/double', `{"shape":[-1,-4],"data":[${ROW}]}`, /-1 is not a whole number/),
  bad('size that is no whole number', '/double', `{"shape":[0.5,8],"data":[${ROW}]}`, /0\.5 is not a whole number/),
  bad('sizes whose product overflows', '/double', '{"shape":[4294967296,4294967296],"data":[]}', /more than/),
  bad('sizes that are no safe integers', '/double', '{"shape":[1e308,1e308],"data":""}', /more than/),
  bad('huge shape with little data', '/double', `{"shape":[1000000000,4],"data":[${ROW}]}`, /elements, got 4/),
  bad('huge shape with a little base64', '/double', '{"shape":[1000000000,4],"data":"AACAPw=="}', /got 4/),
  bad('base64 that is none', '/double', '{"shape":[1,4],"data":"*"}', /"\*" at character 0/),
  bad('NaN in base64', '/double', '{"shape":[1,4],"data":"AADAfwAAwH8AAMB/AADAfw=="}', /NaN or infinity/),
  bad('100,000 dimensions', '/double', `{"shape":[${'1,'.repeat(DEEP)}1],"data":[1]}`, /./),
  bad('tensor that is missing', '/pair', '{"ids":[[1,2]]}', /"words" is missing/),
  bad('tensors with different numbers of rows', '/pair', '{"ids":[[1,2]],"words":["a","b"]}', /2 rows/),
  bad('whole number beyond int64', '/pair', '{"ids":[["9223372036854775808",0]],"words":["a"]}', /whole number/),
  bad('whole number that is no longer exact', '/pair', '{"ids":[[9007199254740993,0]],"words":["a"]}', /whole number/),
  bad('number that is not whole', '/pair', '{"ids":[[1.5,0]],"words":["a"]}', /whole number/),
  bad('bool that is 2', '/invert', '[[0,2]]', /true or false/),
  bad('bool that is 2, in base64', '/invert', '{"shape":[1,2],"data":"AAI="}', /./),
];

function floats(...values: readonly number[]): Uint8Array {
  return new Uint8Array(new Float32Array(values).buffer);
}

function binary(title: string, headers: readonly string[], body: Uint8Array, message: RegExp): BadRequest {
  return { title, bytes: post('/double', body, [BINARY_TYPE, ...headers]), code: 'INVALID_INPUT', message };
}

const GOOD_FLOATS = floats(1, 2, 3, 4);

const BINARY_BODIES: readonly BadRequest[] = [
  binary('no bytes', [], new Uint8Array(), /0 rows/),
  binary('bytes that make no whole row', [], GOOD_FLOATS.subarray(0, 15), /no multiple of 16/),
  binary('NaN', [], floats(1, NaN, 3, 4), /NaN or infinity at element 1/),
  binary('Infinity', [], floats(1, 2, -Infinity, 4), /NaN or infinity at element 2/),
  binary('another dtype', ['Tensor-Dtype: int32'], GOOD_FLOATS, /dtype int32/),
  binary('dtype that is none', ['Tensor-Dtype: float33'], GOOD_FLOATS, /"float33"/),
  binary('dtype that every object has', ['Tensor-Dtype: constructor'], GOOD_FLOATS, /"constructor"/),
  binary('dtype without a binary form', ['Tensor-Dtype: string'], GOOD_FLOATS, /no binary form/),
  binary('shape with another width', ['Tensor-Shape: 2,2'], GOOD_FLOATS, /shape \[2, 2\]/),
  binary('shape that is longer than its bytes', ['Tensor-Shape: 2,4'], GOOD_FLOATS, /32 bytes, got 16/),
  binary('negative shape', ['Tensor-Shape: -2,4'], GOOD_FLOATS, /"-2,4"/),
  binary('two sizes to infer', ['Tensor-Shape: -1,-1'], GOOD_FLOATS, /Cannot infer/),
  binary('zero beside a size to infer', ['Tensor-Shape: -1,0'], GOOD_FLOATS, /Cannot infer/),
  binary('shape of words', ['Tensor-Shape: one,four'], GOOD_FLOATS, /"one,four"/),
  binary('shape that overflows', ['Tensor-Shape: 999999999999999,999999999999999'], GOOD_FLOATS, /more than/),
  binary('shape beyond all digits', [`Tensor-Shape: ${'9'.repeat(400)},4`], GOOD_FLOATS, /wanted sizes/),
  binary('huge shape with little data', ['Tensor-Shape: 1000000000,4'], GOOD_FLOATS, /16000000000 bytes, got 16/),
  binary('shape given twice', ['Tensor-Shape: 1,4', 'Tensor-Shape: 1,4'], GOOD_FLOATS, /shape \[1, 4, 1, 4\]/),
  {
    title: 'bool that is 2, in a binary body',
    bytes: post('/invert', Uint8Array.of(0, 2), [BINARY_TYPE]),
    code: 'INVALID_INPUT',
  },
];

function typed(title: string, header: string, path = '/echo'): BadRequest {
  return { title, bytes: post(path, '1', [header]), code: 'UNSUPPORTED_MEDIA' };
}

const CONTENT_TYPES: readonly BadRequest[] = [
  typed('XML', 'Content-Type: application/xml', '/double'),
  typed('form', 'Content-Type: multipart/form-data; boundary=x'),
  typed('bytes for an API that takes several tensors', BINARY_TYPE, '/pair'),
  typed('charset that is not UTF-8', 'Content-Type: application/json; charset=latin1'),
  typed('content type that is none', 'Content-Type: ;;;'),
  typed('content type that is a name of every object', 'Content-Type: constructor'),
  typed('coding that is unknown', 'Content-Encoding: zstd'),
  typed('several codings', 'Content-Encoding: gzip, gzip'),
  {
    title: 'body that is not compressed as it says',
    bytes: post('/echo', '{"a": 1}', [JSON_TYPE, 'Content-Encoding: gzip']),
    code: 'INVALID_INPUT',
    message: /decompress the body as gzip/,
  },
  {
    title: 'body that is compressed and cut',
    bytes: post('/echo', gzipSync('{"a": 1}').subarray(0, 20), [JSON_TYPE, 'Content-Encoding: gzip']),
    code: 'INVALID_INPUT',
    message: /decompress the body as gzip/,
  },
  {
    title: 'bomb',
    bytes: post('/echo', gzipSync(Buffer.alloc(BOMB_BYTES)), [JSON_TYPE, 'Content-Encoding: gzip']),
    code: 'TOO_LARGE',
  },
];

function asks(title: string, method: string, path: string, code: ErrorCode): BadRequest {
  return {
    title: `${title} (${method} ${path.slice(0, 30)})`,
    bytes: httpBytes(method, path, [CLOSE, 'Content-Length: 0'], ''),
    code,
  };
}

const ROUTES: readonly BadRequest[] = [
  asks('unknown route', 'POST', '/nope', 'NOT_FOUND'),
  asks('unknown route', 'GET', '/nope', 'NOT_FOUND'),
  asks('name of every object', 'POST', '/__proto__', 'NOT_FOUND'),
  asks('route in other letters', 'POST', '/ECHO', 'NOT_FOUND'),
  asks('route with a slash too many', 'POST', '//echo', 'NOT_FOUND'),
  asks('way out of the folder', 'GET', '/../../../etc/passwd', 'NOT_FOUND'),
  asks('way out of the folder, escaped', 'GET', '/jubako/docs/%2e%2e%2f%2e%2e%2fpackage.json', 'NOT_FOUND'),
  asks('escape that is none', 'GET', '/%zz', 'INVALID_INPUT'),
  asks('zero byte, escaped', 'GET', '/echo%00', 'NOT_FOUND'),
  asks('very long route', 'POST', `/${'a'.repeat(8000)}`, 'NOT_FOUND'),
  asks('method that the route does not take', 'GET', '/echo', 'METHOD_NOT_ALLOWED'),
  asks('method that the route does not take', 'DELETE', '/echo', 'METHOD_NOT_ALLOWED'),
  asks('method that no route takes', 'PATCH', '/livez', 'METHOD_NOT_ALLOWED'),
  asks('method that no route takes', 'PROPFIND', '/echo', 'METHOD_NOT_ALLOWED'),
  asks('method that is none', 'JUMP', '/echo', 'INVALID_INPUT'),
  asks('method of a proxy', 'CONNECT', 'example.org:443', 'INVALID_INPUT'),
];

const CHUNKED = 'Transfer-Encoding: chunked';

/** Where the bytes themselves are no HTTP, the message is the parser's. */
function broken(title: string, bytes: string | Buffer, more: Partial<BadRequest> = {}): BadRequest {
  return { title, bytes: Buffer.from(bytes), code: 'INVALID_INPUT', message: /^Cannot /, ...more };
}

const HEAD = 'POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\n';

const BROKEN_HTTP: readonly BadRequest[] = [
  broken('body that ends too early', `${HEAD}Content-Length: 100\r\n\r\n{"a":`, { ends: true }),
  broken('chunked body that ends too early', `${HEAD}${CHUNKED}\r\n\r\n5\r\n{"a"`, { ends: true }),
  broken('head that ends too early', `${HEAD}Content-Le`, { ends: true }),
  broken('no Host', 'POST /echo HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1'),
  broken('chunk size that is none', `${HEAD}${CHUNKED}\r\n\r\nxyz\r\n1\r\n0\r\n\r\n`),
  broken('chunk that is longer than it says', `${HEAD}${CHUNKED}\r\n\r\n1\r\n12345\r\n0\r\n\r\n`),
  broken('two lengths', `${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n12`),
  broken('length and chunks', `${HEAD}Content-Length: 1\r\n${CHUNKED}\r\n\r\n1\r\n1\r\n0\r\n\r\n`),
  broken('negative length', `${HEAD}Content-Length: -1\r\n\r\n`),
  broken('length of words', `${HEAD}Content-Length: ten\r\n\r\n`),
  broken('length that overflows', `${HEAD}Content-Length: 99999999999999999999999\r\n\r\n`),
  broken('length of 2^53', `${HEAD}Content-Length: 9007199254740993\r\n\r\n1`, { code: 'TOO_LARGE' }),
  broken('transfer coding that is none', `${HEAD}Transfer-Encoding: chunked, squared\r\n\r\n`),
  broken('header without a colon', `${HEAD}Nonsense\r\nContent-Length: 0\r\n\r\n`),
  broken('header with a zero byte', `${HEAD}X-Odd: a\0b\r\nContent-Length: 0\r\n\r\n`),
  broken('space before the colon', `${HEAD}Content-Length : 1\r\n\r\n1`),
  broken('protocol of the future', 'POST /echo HTTP/9.9\r\nHost: test\r\n\r\n'),
  broken('preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  broken('handshake of TLS', Buffer.from('160301020001000001fc0303', 'hex')),
  broken('head beyond all limits', `${HEAD}X-Long: ${'a'.repeat(100_000)}\r\n\r\n`, { code: 'TOO_LARGE' }),
  broken('100,000 headers', `${HEAD}${'a:b\r\n'.repeat(100_000)}\r\n`, { code: 'TOO_LARGE' }),
];

const LARGE_BODY = Buffer.alloc(50 * MB, '1');
const LARGE_LENGTH = `Content-Length: ${LARGE_BODY.length}`;
const LARGE_CHUNK = Buffer.concat([
  Buffer.from(`${LARGE_BODY.length.toString(16)}\r\n`),
  LARGE_BODY,
  Buffer.from('\r\n0\r\n\r\n'),
]);

/** The client leaves with its answer, whatever of its body the server still takes. */
function large(title: string, headers: readonly string[], body: string | Uint8Array): BadRequest {
  const bytes = httpBytes('POST', '/double', headers, body);
  return { title, bytes, code: 'TOO_LARGE', message: /larger than 33554432 bytes/, until: Buffer.from('"}}') };
}

const LARGE: readonly BadRequest[] = [
  large('50 MB of JSON', [JSON_TYPE, LARGE_LENGTH], LARGE_BODY),
  large('50 MB of a tensor', [BINARY_TYPE, LARGE_LENGTH], LARGE_BODY),
  large('50 MB of a body whose length is not given', [JSON_TYPE, CHUNKED], LARGE_CHUNK),
  large('50 MB that wait for permission', [JSON_TYPE, LARGE_LENGTH, 'Expect: 100-continue'], ''),
];

/** The same from a client that does not keep connections. */
export const LARGE_AND_CLOSE = httpBytes('POST', '/double', [CLOSE, BINARY_TYPE, LARGE_LENGTH], LARGE_BODY);

export const BAD_REQUESTS: readonly BadRequest[] = [
  ...JSON_BODIES,
  ...JSON_TENSORS,
  ...BINARY_BODIES,
  ...CONTENT_TYPES,
  ...ROUTES,
  ...BROKEN_HTTP,
  ...LARGE,
];
