// Calls for each RPC: sound ones, and ones with something wrong in their messages, their framing or their headers.
import { deflateSync, gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { BOMB } from './http-bodies.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { prefixed } from './grpc-wire.mjs';
import { mutateProtobuf } from './protobuf.mjs';

/** What may be said to a client that did something wrong. */
const REFUSALS = [
  ...[status.OK, status.INVALID_ARGUMENT, status.NOT_FOUND, status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED],
  ...[status.PERMISSION_DENIED, status.DEADLINE_EXCEEDED],
];

export function makeCall(random, target, id) {
  const draft = {
    target,
    id,
    path: target.path,
    method: 'POST',
    headers: { 'content-type': 'application/grpc', te: 'trailers', 'x-request-id': id },
    messages: target.make(random),
    framing: {},
    isSound: target.isAnswered,
    statuses: target.isAnswered ? [status.OK] : REFUSALS,
    leaves: target.isEndless,
    notes: [],
  };
  if (random.chance(0.7)) spoil(random, draft);
  if (random.chance(0.5)) decorate(random, draft);
  return finish(random, draft);
}

function spoil(random, draft) {
  const hasMessage = draft.messages.length > 0;
  const ways = [
    [hasMessage ? 8 : 0, otherFields],
    [hasMessage ? 4 : 0, otherBytes],
    [2, noise],
    [3, otherFraming],
    [2, otherHeaders],
    [1, otherPath],
    [1, otherCount],
    [1, reset],
  ];
  random.weighted(ways)(random, draft);
  draft.isSound = false;
  draft.statuses = [...draft.statuses, ...REFUSALS];
}

function otherFields(random, draft) {
  const at = random.below(draft.messages.length);
  draft.messages[at] = mutateProtobuf(random, draft.messages[at]);
  draft.notes.push('other fields');
}

function otherBytes(random, draft) {
  const at = random.below(draft.messages.length);
  draft.messages[at] = mutateBytes(random, draft.messages[at]);
  draft.notes.push('other bytes');
}

function noise(random, draft) {
  draft.messages = [random.bytes(random.pick([0, 1, 10, 1000]))];
  draft.notes.push('noise');
}

function otherFraming(random, draft) {
  draft.framing = random.pick([
    { flag: 1 },
    { flag: 2 },
    { flag: 255 },
    { more: 1 },
    { more: -1 },
    { more: 2 ** 20 },
    { length: 0xffffffff },
    { length: 0x7fffffff },
    { length: 0 },
    { cut: 1 },
    { cut: 3 },
    { behind: 1 },
    { behind: 4 },
    { behind: 100 },
    { flag: 1, encoding: 'gzip', bytes: BOMB },
    { flag: 1, encoding: 'gzip', bytes: Buffer.from('no gzip') },
    { flag: 1, encoding: 'gzip', bytes: Buffer.alloc(0) },
    { flag: 1, encoding: 'deflate', bytes: Buffer.from('no deflate') },
    { flag: 1, encoding: 'squash' },
    { flag: 0, encoding: 'squash' },
    { flag: 1, encoding: 'gzip, gzip' },
    { flag: 1, encoding: 'constructor' },
  ]);
  const shown = Object.entries(draft.framing).filter(([name]) => name !== 'bytes');
  draft.notes.push(`framing ${JSON.stringify(Object.fromEntries(shown))}`);
}

const TIMEOUTS = ['0n', '1n', '1u', '1', 'S', '-1S', '1e3S', '99999999H', '999999999S', '1 S', '', 'x', '1s'];

function otherHeaders(random, draft) {
  const more = random.pick([
    {
      'content-type': random.pick(['application/json', 'text/plain', 'application/grpc-web', 'application/grpcx', '']),
    },
    { 'content-type': undefined },
    { te: undefined },
    { 'grpc-timeout': random.pick(TIMEOUTS) },
    { 'grpc-accept-encoding': random.pick(['squash', '', ',,', 'gzip,squash', 'constructor']) },
    { 'x-key-bin': random.pick(['====', '\x7f', 'a', 'YQ', 'YQ==,YQ==', '-_-_']) },
    { 'grpc-internal': 'x', 'grpc-status': '13', 'grpc-message': 'no', 'grpc-tags-bin': 'AAAA', 'grpc-trace-bin': '' },
    { 'x-long': 'a'.repeat(random.pick([1000, 7000])) },
    Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x-${at}`, 'a'])),
    { 'x-request-id': random.pick(['', 'two words', 'x'.repeat(129), '{}']) },
    { 'user-agent': '' },
    { ':authority': random.pick(['', 'a b', 'x'.repeat(300)]) },
    { authorization: 'Bearer x', 'x-api-key': 'y', cookie: 'a=b' },
    { 'x-jubako-priority': 'x', priority: 'u=9' },
  ]);
  draft.headers = { ...draft.headers, ...more };
  if ('x-request-id' in more) draft.hasBadId = true;
  draft.notes.push(`headers ${Object.keys(more).slice(0, 3)}`);
}

function otherPath(random, draft) {
  const { path } = draft;
  if (random.chance(0.2)) draft.method = random.pick(['GET', 'PUT', 'OPTIONS']);
  else {
    draft.path = random.pick([
      `${path}x`,
      path.slice(0, -1),
      path.toLowerCase(),
      `${path}/`,
      '/',
      '/a',
      '/a/b/c',
      `/${'a'.repeat(5000)}/b`,
      '/__proto__/constructor',
      `${path}?a=b`,
      '*',
      '/%00/%ff',
    ]);
  }
  draft.isElsewhere = true;
  draft.notes.push(`path ${draft.method} ${draft.path.slice(0, 40)}`);
}

function otherCount(random, draft) {
  const [first = Buffer.alloc(0)] = draft.messages;
  draft.messages = random.pick([[], [first, first], Array(20).fill(first)]);
  draft.notes.push(`${draft.messages.length} messages`);
}

/** Whatever it does, nobody is there to be told. */
function reset(random, draft) {
  draft.resetAfter = random.below(draft.messages.length + 1);
  draft.notes.push('reset');
}

function decorate(random, draft) {
  if (random.chance(0.3)) draft.headers['grpc-timeout'] ??= random.pick(['9S', '9000m', '1H']);
  if (random.chance(0.3)) draft.headers['grpc-accept-encoding'] ??= random.pick(['gzip', 'identity,gzip', 'deflate']);
  if (random.chance(0.3)) draft.headers['x-odd-bin'] = Buffer.from('odd').toString('base64');
  if (random.chance(0.2)) draft.headers['content-type'] &&= 'application/grpc+proto';
  if (random.chance(0.3) && draft.framing.flag === undefined) {
    const [encoding, code] = random.pick([
      ['gzip', gzipSync],
      ['deflate', deflateSync],
    ]);
    draft.headers['grpc-encoding'] = encoding;
    draft.coded = code;
  }
  draft.isSplit = random.chance(0.4);
}

function finish(random, draft) {
  const { framing, coded, messages, headers } = draft;
  if (framing.encoding !== undefined) headers['grpc-encoding'] = framing.encoding;
  const framed = messages.map((message) => {
    const bytes = framing.bytes ?? (coded === undefined ? message : coded(message));
    const flag = framing.flag ?? (coded === undefined ? 0 : 1);
    return prefixed(bytes, { flag, length: framing.length ?? Math.max(0, bytes.length + (framing.more ?? 0)) });
  });
  const last = framed.at(-1);
  if (last !== undefined && framing.cut !== undefined) framed[framed.length - 1] = last.subarray(0, -framing.cut);
  if (framing.behind !== undefined) framed.push(random.bytes(framing.behind));
  const pieces = draft.isSplit ? framed.flatMap((bytes) => split(random, bytes)) : framed;
  return {
    ...draft,
    pieces,
    headers: withoutUndefined({ ':method': draft.method, ':path': draft.path, ...headers }),
    text: `${draft.path.slice(0, 80)} ${draft.notes.join(', ')}`,
  };
}

function split(random, bytes) {
  const at = random.below(bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

function withoutUndefined(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}
