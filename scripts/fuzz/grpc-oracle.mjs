// What an answer of gRPC must be, whatever was asked.
// G1 A call ends with a status, of those that fit; a sound one with OK. G2 A client's fault is never INTERNAL, UNKNOWN or the like.
// G3 An answer is messages that decode, one where one is wanted. G4 An error has its code, and each answer the id of its request.
import { constants } from 'node:http2';
import { gunzipSync, inflateSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { ERROR_KINDS } from '../../dist/errors.js';

const DECODERS = { gzip: gunzipSync, deflate: inflateSync, identity: (bytes) => bytes };
const { NGHTTP2_CANCEL: CANCEL, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = constants;
const REFUSED = new Set([NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM]);

/** @returns `{ id, status, faults }`; no status where the client did not wait for one. */
export function checkAnswer(call, answer) {
  const { headers, trailers, messages, resetCode, fault, httpStatus } = answer;
  const faults = fault === undefined ? [] : [fault];
  const said = { ...headers, ...trailers };
  const id = said['x-request-id'];
  const isLeft = call.resetAfter !== undefined || (call.leaves && resetCode === CANCEL);
  if (isLeft) return { id, status: undefined, faults };
  const given = said['grpc-status'] === undefined ? NaN : Number(said['grpc-status']);
  if (Number.isNaN(given)) {
    // No gRPC was spoken: HTTP's own word for it, or that of HTTP/2 for headers that are none or too many.
    const isRefused = (httpStatus >= 400 && httpStatus < 500) || (httpStatus === undefined && REFUSED.has(resetCode));
    if (!isRefused || call.isSound)
      faults.push(`HTTP status ${httpStatus} without a status of gRPC, reset ${resetCode}`);
    return { id, status: undefined, httpStatus, faults };
  }
  if (httpStatus !== 200) faults.push(`HTTP status ${httpStatus}`);
  const isByOthers = said['x-error-code'] === 'QUEUE_FULL';
  if (!call.statuses.includes(given) && !isByOthers) faults.push(`status ${status[given]}: ${said['grpc-message']}`); // G1, G2
  if (id === undefined) faults.push('no request id');
  else if (call.hasBadId !== true && id !== call.id) faults.push(`the request id is ${id}`);
  if (given === status.OK) faults.push(...checkMessages(call, said['grpc-encoding'], messages));
  else faults.push(...checkCode(given, said));
  return { id, status: given, faults };
}

/** G3 */
function checkMessages({ target, path }, encoding = 'identity', messages) {
  if (path !== target.path) return [`OK from ${path}`];
  if (target.isStream !== true && messages.length !== 1) return [`${messages.length} messages`];
  try {
    for (const { flag, bytes } of messages) target.decode(flag === 1 ? DECODERS[encoding](bytes) : bytes);
    return [];
  } catch (thrown) {
    return [`an answer does not decode: ${thrown.message}`];
  }
}

/** G4 */
function checkCode(given, said) {
  const code = said['x-error-code'];
  const row = ERROR_KINDS[code];
  if (row === undefined) return [`status ${status[given]} with the code ${code}: ${said['grpc-message']}`];
  const isRow = status[row.grpc] === given || given === status.UNIMPLEMENTED;
  if (isRow) return [];
  return [`status ${status[given]} with the code ${code}`];
}
