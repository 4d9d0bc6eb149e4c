import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';

/** How a gRPC server ended a stream; `grpcStatus` is NaN where it said none. */
export interface StreamEnd {
  readonly httpStatus: number;
  readonly grpcStatus: number;
  readonly errorCode: string;
  readonly message: string;
}

/** One stream on a connection of its own, by hand: for what no gRPC client sends. */
export function callStream(port: number, headers: OutgoingHttpHeaders, bytes: Uint8Array): Promise<StreamEnd> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined); // the stream ends as well
  const stream = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let said: IncomingHttpHeaders = {};
  const take = (more: IncomingHttpHeaders): void => {
    said = { ...said, ...more };
  };
  stream.on('response', take);
  stream.on('trailers', take);
  stream.on('error', () => undefined); // a reset ends it without a status
  stream.resume();
  stream.end(bytes);
  return new Promise((resolve) => {
    stream.on('close', () => {
      session.destroy();
      resolve({
        httpStatus: Number(said[':status']),
        grpcStatus: Number(said['grpc-status']),
        errorCode: String(said['x-error-code'] ?? ''),
        message: decodeURIComponent(String(said['grpc-message'] ?? '')),
      });
    });
  });
}

/** A message with its prefix: whether it is compressed, and its length. */
export function prefixed(message: Uint8Array, { flag = 0, length = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
