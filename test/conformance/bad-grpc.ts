import type { OutgoingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { ErrorCode } from '#dist/errors.js';
import type { Told } from './door.js';
import type { GrpcClients } from './grpc-clients.js';
import { prefixed } from './http2-call.js';
import type { Message } from './protobuf-values.js';
import { field, nest } from './protobuf.js';

// RPCs that a server must refuse, each by one row of the catalogue.

export interface BadRpc {
  readonly title: string;
  readonly ask: (clients: GrpcClients) => Promise<Told>;
  readonly code: ErrorCode;
  readonly message: RegExp;
}

const DEEP = 100_000;
const GOOD_INPUT = { name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp32_contents: [1, 2, 3, 4] } };

function infer(title: string, request: Message, message: RegExp, code: ErrorCode = 'INVALID_INPUT'): BadRpc {
  return { title: `ModelInfer: ${title}`, ask: (clients) => clients.infer(request), code, message };
}

/** A call of `model.double` with its one input changed. */
function typed(title: string, changes: Message, message: RegExp): BadRpc {
  return infer(title, { model_name: 'model.double', inputs: [{ ...GOOD_INPUT, ...changes }] }, message);
}

function raw(title: string, shape: readonly unknown[], bytes: Uint8Array, message: RegExp): BadRpc {
  const inputs = [{ name: 'input', datatype: 'FP32', shape }];
  return infer(title, { model_name: 'model.double', inputs, raw_input_contents: [bytes] }, message);
}

function document(title: string, bytes: string | Uint8Array, message: RegExp): BadRpc {
  const input = { name: 'input', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from(bytes)] } };
  return infer(title, { model_name: 'model.number', inputs: [input] }, message);
}

function floats(...values: readonly number[]): Buffer {
  return Buffer.from(new Float32Array(values).buffer);
}

const FP32 = (...values: readonly number[]): Message => ({ contents: { fp32_contents: values } });
const INT64_MAX = '9223372036854775807';
const IDS = { name: 'ids', datatype: 'INT64', shape: [1, 2], contents: { int64_contents: [1, 2] } };
const WORDS = { name: 'words', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('a')] } };
const pair = (...inputs: readonly Message[]): Message => ({ model_name: 'model.pair', inputs });

const INFER: readonly BadRpc[] = [
  typed('NaN', FP32(1, NaN, 3, 4), /NaN or infinity at element 1/),
  typed('Infinity', FP32(1, 2, 3, -Infinity), /NaN or infinity at element 3/),
  typed('another datatype', { datatype: 'INT32' }, /datatype is "INT32"; wanted FP32/),
  typed('datatype of every object', { datatype: 'constructor' }, /datatype is "constructor"/),
  typed('no datatype', { datatype: '' }, /datatype is ""/),
  typed('name that is not there', { name: 'other' }, /"other": wanted "input"/),
  typed('name of every object', { name: 'constructor' }, /"constructor"/),
  typed('no name', { name: '' }, /input ""/),
  typed('elements in another list', { contents: { int_contents: [1, 2, 3, 4] } }, /int_contents; wanted fp32_contents/),
  typed('elements in two lists', { contents: { fp32_contents: [1, 2, 3, 4], int_contents: [1] } }, /int_contents/),
  typed('too few elements', FP32(1, 2, 3), /3 elements; wanted 4/),
  typed('no elements', { contents: {} }, /0 elements; wanted 4/),
  typed('no shape', { shape: [] }, /shape is \[\]/),
  typed('another width', { shape: [2, 2] }, /shape is \[2, 2\]/),
  typed('negative size', { shape: [-1, 4] }, /shape is \[-1, 4\]/),
  typed('two negative sizes', { shape: [-1, -4] }, /shape is \[-1, -4\]/),
  typed('largest size that there is', { shape: [INT64_MAX, 4] }, /shape is/),
  typed('sizes whose product overflows', { shape: ['4611686018427387904', '4'] }, /shape is/),
  typed('huge shape with little data', { shape: [1_000_000_000, 4] }, /4 elements; wanted 4000000000/),
  typed('100,000 dimensions', { shape: new Array<number>(DEEP).fill(1) }, /100000 dimensions/),
  typed('no rows', { shape: [0, 4], contents: {} }, /0 rows/),
  typed('shared memory', { parameters: { shared_memory_region: { string_param: 'x' } } }, /shared_memory_region/),
  raw('NaN', [1, 4], floats(1, NaN, 3, 4), /NaN or infinity at element 1/),
  raw('too few bytes', [1, 4], floats(1, 2, 3), /12 bytes; wanted 16/),
  raw('bytes that make no element', [1, 4], floats(1, 2, 3, 4).subarray(0, 15), /15 bytes; wanted 16/),
  raw('no bytes', [1, 4], Buffer.alloc(0), /0 bytes; wanted 16/),
  raw('negative size', [-1, 4], floats(1, 2, 3, 4), /shape is \[-1, 4\]/),
  raw('huge shape with little data', [1_000_000_000, 4], floats(1), /4 bytes; wanted 16000000000/),
  infer('no inputs', { model_name: 'model.double' }, /0 are given; wanted 1/),
  infer('input that is given twice', { model_name: 'model.double', inputs: [GOOD_INPUT, GOOD_INPUT] }, /2 are given/),
  infer('one of two inputs twice', pair(IDS, IDS), /"ids".*given twice/),
  infer('input that is missing', pair(IDS), /1 are given; wanted 2/),
  infer(
    'inputs with different numbers of rows',
    pair(IDS, { ...WORDS, shape: [2], contents: { bytes_contents: ['a', 'b'].map((text) => Buffer.from(text)) } }),
    /2 rows/,
  ),
  infer('text that is no UTF-8', pair(IDS, { ...WORDS, contents: { bytes_contents: [Buffer.of(0xff)] } }), /not UTF-8/),
  infer(
    'typed and raw at once',
    { model_name: 'model.double', inputs: [GOOD_INPUT], raw_input_contents: [floats(1, 2, 3, 4)] },
    /beside raw_input_contents/,
  ),
  infer('raw without inputs', { model_name: 'model.double', raw_input_contents: [floats(1)] }, /1 entries; wanted 0/),
  infer(
    'raw text whose length is beyond the end',
    {
      model_name: 'model.pair',
      inputs: [
        { ...IDS, contents: null },
        { ...WORDS, contents: null },
      ],
      raw_input_contents: [Buffer.alloc(16), Buffer.from('ffffffff61', 'hex')],
    },
    /ends after byte 5/,
  ),
  infer(
    'raw bool that is 2',
    {
      model_name: 'model.invert',
      inputs: [{ name: 'input', datatype: 'BOOL', shape: [1, 2] }],
      raw_input_contents: [Buffer.of(0, 2)],
    },
    /byte 1 .*is 2; wanted 0 or 1/,
  ),
  infer(
    'output that is not there',
    { model_name: 'model.double', inputs: [GOOD_INPUT], outputs: [{ name: 'other' }] },
    /output "other"/,
  ),
  infer('no model', { inputs: [GOOD_INPUT] }, /model ""/, 'NOT_FOUND'),
  infer('model with a name of every object', { model_name: '__proto__' }, /"__proto__"/, 'NOT_FOUND'),
  document('document that is no JSON', '{"n": ', /as JSON/),
  document('document that is empty', '', /empty/),
  document('document that is no UTF-8', Buffer.from('22c32822', 'hex'), /not UTF-8/),
  document('document with 100,000 levels', '['.repeat(DEEP), /nested more than/),
  document('document with the key __proto__', '{"__proto__": {"polluted": 1}}', /__proto__/),
  document('document with null for a number', '{"n": null}', /\/n must be number/),
  document('document with a number beyond all', '{"n": 1e999}', /\/n must be number/),
];

function bento(
  api: string,
  title: string,
  content: Message,
  message: RegExp,
  code: ErrorCode = 'INVALID_INPUT',
): BadRpc {
  const ask = (clients: GrpcClients): Promise<Told> => clients.bentoCall({ api_name: api, ...content });
  return { title: `BentoService.Call of ${api}: ${title}`, ask, code, message };
}

/** The content of a request as bytes on the wire: field 9 is `json`. */
function bentoWire(api: string, title: string, content: Uint8Array, message: RegExp): BadRpc {
  const bytes = Buffer.concat([field(1, api), content]);
  const ask = (clients: GrpcClients): Promise<Told> => clients.wire('/bentoml.grpc.v1.BentoService/Call', bytes);
  return { title: `BentoService.Call of ${api}: ${title}`, ask, code: 'INVALID_INPUT', message };
}

const array = (changes: Message): Message => ({ ndarray: { shape: [1, 4], float_values: [1, 2, 3, 4], ...changes } });
const bytes = (content: string | Uint8Array): Message => ({ serialized_bytes: Buffer.from(content) });
const json = (value: Message): Message => ({ json: value });
const NULL_VALUE = Buffer.of(0x08, 0x00);
/** Numbers of the fields list_value of Value and values of ListValue; of struct_value, fields of Struct, value of its entry. */
const LIST = [6, 1];
const STRUCT = [5, 1, 2];

const BENTO: readonly BadRpc[] = [
  bento('', 'no API', json({ numberValue: 1 }), /API ""/, 'NOT_FOUND'),
  bento('__proto__', 'name of every object', json({ numberValue: 1 }), /"__proto__"/, 'NOT_FOUND'),
  bento('echo', 'no content', {}, /it is empty/),
  bento('echo', 'content that it does not take', array({}), /it is ndarray; wanted json/),
  bento('echo', 'file', { file: { content: Buffer.alloc(1) } }, /it is file/),
  bento('echo', 'NaN', json({ numberValue: NaN }), /NaN; wanted finite/),
  bento('echo', 'Infinity, deep inside', json({ listValue: { values: [{ numberValue: Infinity }] } }), /Infinity/),
  bento('echo', 'bytes that are no JSON', bytes('{"a":'), /as JSON/),
  bento('echo', 'no bytes', bytes(''), /empty/),
  bento('echo', 'bytes that are no UTF-8', bytes(Buffer.from('22c32822', 'hex')), /not UTF-8/),
  bento('echo', 'bytes with 100,000 levels', bytes('['.repeat(DEEP)), /nested more than/),
  bento('echo', 'bytes with the key __proto__', bytes('{"__proto__":{"polluted":1}}'), /__proto__/),
  bento(
    'number',
    'null for a number',
    json({ structValue: { fields: { n: { nullValue: 0 } } } }),
    /\/n must be number/,
  ),
  bento('number', 'missing field', json({ structValue: {} }), /required property 'n'/),
  bentoWire(
    'echo',
    'the key __proto__',
    field(9, field(5, field(1, Buffer.concat([field(1, '__proto__'), field(2, NULL_VALUE)])))),
    /__proto__|Cannot/,
  ),
  bentoWire('echo', '100,000 levels of lists', field(9, nest(2 * DEEP, LIST, NULL_VALUE)), /Cannot decode/),
  bentoWire('echo', '100,000 levels of objects', field(9, nest(3 * DEEP, STRUCT, NULL_VALUE)), /Cannot decode/),
  bento('double', 'text', { text: { value: '[[1,2,3,4]]' } }, /it is text/),
  bento('double', 'NaN', array({ float_values: [1, 2, NaN, 4] }), /NaN or infinity at element 2/),
  bento(
    'double',
    'number beyond float32',
    array({ float_values: [], double_values: [1, 2, 3, 1e39] }),
    /NaN or infinity/,
  ),
  bento('double', 'another dtype', array({ float_values: [], string_values: ['1', '2', '3', '4'] }), /string_values/),
  bento('double', 'dtype and another list', array({ dtype: 'DTYPE_INT32' }), /float_values; wanted int32_values/),
  bento('double', 'two lists', array({ int32_values: [1] }), /wanted one list/),
  bento('double', 'another width', array({ shape: [2, 2] }), /\[2, 2\]/),
  bento('double', 'neither shape nor values', { ndarray: {} }, /neither shape nor values/),
  bento('double', 'negative size', array({ shape: [-1, 4] }), /\[-1, 4\]/),
  bento('double', 'two negative sizes', array({ shape: [-1, -4] }), /\[-1, -4\]/),
  bento('double', 'huge shape with little data', array({ shape: [2147483647, 2147483647] }), /has 4 elements/),
  bento('double', '100,000 dimensions', array({ shape: new Array<number>(DEEP).fill(1) }), /100000 dimensions/),
  bento('double', 'no rows', { ndarray: { shape: [0, 4] } }, /0 rows/),
  bento('double', 'bytes that make no element', bytes(Buffer.alloc(15)), /15 bytes; wanted a multiple of 4/),
  bento('double', 'bytes that make no row', bytes(Buffer.alloc(12)), /3 elements; wanted a multiple of 4/),
  bento('double', 'NaN in bytes', bytes(floats(1, 2, NaN, 4)), /NaN or infinity at element 2/),
  bento('invert', 'bool that is 2', { ndarray: { shape: [1, 2], int32_values: [0, 2] } }, /element 1 is 2/),
  bento('invert', 'bool that is 2, in bytes', bytes(Buffer.of(0, 2)), /byte 1 is 2/),
  bento(
    'pair',
    'part that is missing',
    { multipart: { fields: { ids: { ndarray: { shape: [1, 2], int64_values: [1, 2] } } } } },
    /"words" is missing/,
  ),
  bento(
    'pair',
    'part with a name of every object',
    { multipart: { fields: { constructor: { ndarray: {} } } } },
    /part "constructor"/,
  ),
  bento('pair', 'part that is text', { multipart: { fields: { ids: { text: { value: '1' } } } } }, /it is text/),
  bento('pair', 'part that is empty', { multipart: { fields: { ids: {} } } }, /it is empty/),
];

const METHODS = ['/inference.GRPCInferenceService/ModelInfer', '/bentoml.grpc.v1.BentoService/Call'] as const;

function wire(title: string, bytes: Uint8Array): readonly BadRpc[] {
  return METHODS.map((path) => ({
    title: `${path.slice(path.indexOf('/', 1) + 1)}: ${title}`,
    ask: (clients) => clients.wire(path, bytes),
    code: 'INVALID_INPUT',
    message: /Cannot decode the request/,
  }));
}

const UNDECODABLE: readonly BadRpc[] = [
  ...wire('message that ends in a tag', Buffer.of(0x80)),
  ...wire('message that ends in a length', Buffer.of(0x0a, 0x80)),
  ...wire('field that is longer than its message', Buffer.of(0x2a, 0x7f, 0x0a)),
  ...wire('wire type that is none', Buffer.of(0x0f)),
  ...wire('number that does not end', Buffer.alloc(100, 0xff)),
  ...wire('100,000 groups in each other', Buffer.alloc(DEEP, 0x7b)),
];

export const BAD_RPCS: readonly BadRpc[] = [...INFER, ...BENTO, ...UNDECODABLE];

/** Messages that are right, as their bytes. */
export const GOOD_MESSAGES: readonly (readonly [path: string, bytes: Buffer])[] = [
  [
    METHODS[0],
    Buffer.concat([
      field(1, 'model.double'),
      field(
        5,
        Buffer.concat([
          field(1, 'input'),
          field(2, 'FP32'),
          field(3, Buffer.of(1, 4)),
          field(5, field(6, floats(1, 2, 3, 4))),
        ]),
      ),
    ]),
  ],
  [
    METHODS[1],
    Buffer.concat([
      field(1, 'double'),
      field(3, Buffer.concat([field(2, Buffer.of(1, 4)), field(3, floats(1, 2, 3, 4))])),
    ]),
  ],
];

export interface OddStream {
  readonly title: string;
  readonly headers: OutgoingHttpHeaders;
  readonly bytes: Uint8Array;
  /** Of gRPC; where grpc-js answers by itself, its own. */
  readonly wanted: number;
}

const GOOD_INFER = GOOD_MESSAGES[0]?.[1] ?? Buffer.alloc(0);

function odd(title: string, headers: OutgoingHttpHeaders, bytes: Uint8Array, wanted = status.UNIMPLEMENTED): OddStream {
  return { title, headers, bytes, wanted };
}

/** Streams of ModelInfer that no gRPC client makes. */
export const ODD_STREAMS: readonly OddStream[] = [
  odd('no message', {}, Buffer.alloc(0)),
  odd('two messages', {}, Buffer.concat([prefixed(GOOD_INFER), prefixed(GOOD_INFER)])),
  odd('message that ends too early', {}, prefixed(GOOD_INFER, { length: GOOD_INFER.length + 1 })),
  odd(
    'message of 4 GB that does not come',
    {},
    prefixed(GOOD_INFER, { length: 0xffffffff }),
    status.RESOURCE_EXHAUSTED,
  ),
  odd('prefix that ends too early', {}, Buffer.alloc(3)),
  odd('another HTTP method', { ':method': 'GET' }, Buffer.alloc(0)),
  odd('path that is none', { ':path': '/' }, prefixed(GOOD_INFER)),
  odd('compression that is none', { 'grpc-encoding': 'squash' }, prefixed(GOOD_INFER, { flag: 1 })),
  // INTERNAL for these two, as grpc-js would say (grpc/doc/compression.md wants it for one), would blame the server.
  odd(
    'compressed bytes that are none',
    { 'grpc-encoding': 'gzip' },
    prefixed(GOOD_INFER, { flag: 1 }),
    status.INVALID_ARGUMENT,
  ),
  odd('timeout that is none', { 'grpc-timeout': 'soon' }, prefixed(GOOD_INFER), status.INVALID_ARGUMENT),
  odd('timeout that has passed', { 'grpc-timeout': '0m' }, prefixed(GOOD_INFER), status.DEADLINE_EXCEEDED),
  odd('timeout beyond all timers', { 'grpc-timeout': '99999999H' }, prefixed(GOOD_INFER), status.OK),
];
