// What no client of HTTP/2 does: frames without end, streams that are opened and left, answers that nobody reads. Each on a
// connection of its own, while another client calls and is answered.
// How many are let through, and that the connection is cut, stands in the tests; here a worker has to live through all of it.
import {
  FLAG,
  FRAME,
  RawHttp2,
  callHeaders,
  frame,
  headerBlock,
  headerFrames,
} from '../../dist-test/support/http2-frames.js';
import { GrpcConnection, prefixed } from './grpc-wire.mjs';

const LIVE = '/inference.GRPCInferenceService/ServerLive';
const CALL = '/bentoml.grpc.v1.BentoService/Call';
const STREAM = '/jubako.v1.Jubako/CallStream';
const CANCEL = Buffer.of(0, 0, 0, 8);
const EMPTY = Buffer.alloc(0);
const KIB = 1024;

const idOf = (at) => 2 * at + 1;
const open = (at, path = LIVE, more = []) => frame(FRAME.HEADERS, FLAG.END_HEADERS, idOf(at), callHeaders(path, more));
const data = (at, bytes, flags = FLAG.END_STREAM) => frame(FRAME.DATA, flags, idOf(at), bytes);
const windowUpdate = (id, by) => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(by, 0);
  return frame(FRAME.WINDOW_UPDATE, 0, id, payload);
};
const manyFields = (count) => headerBlock(Array.from({ length: count }, (_, at) => [`x-${at}`, 'a'.repeat(20)]));
/** Of an API that streams without end: `{ api_name: "flood", json: null }`. */
const FLOOD = Buffer.concat([Buffer.from([0x0a, 5]), Buffer.from('flood'), Buffer.from([0x4a, 2, 0x08, 0])]);

/** name → frames of turn `at`. */
const FLOODS = {
  'opened and reset': (at) => Buffer.concat([open(at), frame(FRAME.RST_STREAM, 0, idOf(at), CANCEL)]),
  'reset by the server': (at) => Buffer.concat([open(at), windowUpdate(idOf(at), 0)]),
  'opened and left': (at) => open(at, CALL),
  'opened with half a message': (at) => Buffer.concat([open(at, CALL), data(at, Buffer.of(0, 0, 0, 1, 0), 0)]),
  'messages beyond all limits': (at) => Buffer.concat([open(at, CALL), data(at, Buffer.of(0, 255, 255, 255, 255), 0)]),
  'empty frames of data': (at) => (at === 0 ? open(0, CALL) : data(0, EMPTY, 0)),
  'empty headers': (at) => frame(FRAME.HEADERS, FLAG.END_HEADERS, idOf(at), EMPTY),
  'headers without end': (at) =>
    at === 0 ? frame(FRAME.HEADERS, 0, 1, callHeaders(LIVE)) : frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(KIB)),
  'empty continuations': (at) =>
    at === 0 ? frame(FRAME.HEADERS, 0, 1, callHeaders(LIVE)) : frame(FRAME.CONTINUATION, 0, 1, EMPTY),
  'thousands of headers': (at) =>
    at % 50 === 0 ? headerFrames(idOf(at), Buffer.concat([callHeaders(LIVE), manyFields(4000)])) : EMPTY,
  pings: () => frame(FRAME.PING, 0, 0, Buffer.alloc(8)),
  settings: () => frame(FRAME.SETTINGS, 0, 0),
  priorities: (at) => frame(FRAME.PRIORITY, 0, idOf(at % 1000) + 2, Buffer.alloc(5)),
  'windows of nothing': (at) => (at === 0 ? open(0, CALL) : windowUpdate(0, 1)),
  'unknown frames': () => frame(0x77, 0xff, 0, Buffer.alloc(100)),
  goodbyes: () => frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(8)),
  pushes: (at) => frame(5, FLAG.END_HEADERS, idOf(at), Buffer.alloc(8)),
  'answers that nobody reads': (at) => Buffer.concat([open(at, STREAM), data(at, prefixed(FLOOD))]),
};

export async function floods({ server, problems, isLong }) {
  const count = isLong ? 50_000 : 3_000;
  const other = await GrpcConnection.open(server.grpcPort);
  for (const [name, turn] of Object.entries(FLOODS)) {
    server.forgetPeaks();
    const raw = await RawHttp2.open(server.grpcPort);
    let isOver = false;
    const flood = raw.flood(count, turn).finally(() => (isOver = true));
    while (!isOver) await callOther(server, other, problems, name);
    const sent = await flood;
    raw.socket.destroy();
    server.mayBeUnheard += sent;
    await callOther(server, other, problems, name);
    if (!(await server.checkIdle({ isQuick: true }))) problems.push(`after ${name}`);
  }
  other.close();
}

let calls = 0;

async function callOther(server, connection, problems, name) {
  calls += 1;
  const id = `other-${calls}`;
  const headers = {
    ':method': 'POST',
    ':path': LIVE,
    'content-type': 'application/grpc',
    te: 'trailers',
    'x-request-id': id,
  };
  const { trailers } = await connection.call({ headers, pieces: [prefixed(EMPTY)] });
  server.saw(id, Number(trailers['grpc-status']));
  if (trailers['grpc-status'] !== '0') problems.push(`beside ${name}: status ${trailers['grpc-status']}`);
}
