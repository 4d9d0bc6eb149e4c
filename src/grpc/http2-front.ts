import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { ServerCredentials, type ConnectionInjector, type Server } from '@grpc/grpc-js';

// H1 A client with open streams learns that it has to go before its streams are limited: GOAWAY with the highest stream id,
//    a round trip, then GOAWAY with the last stream that was taken (RFC 9113, section 6.8). What it sent meanwhile is
//    answered.
// H2 A session without streams gets the last GOAWAY at once: after any GOAWAY nghttp2 reads no further on such a session.
//    A stream that was on its way is then beyond the last id, and gRPC clients repeat it elsewhere by themselves.
// H3 A session on which nothing happens is asked with a PING and cut if it cannot answer. nghttp2 reads no further on a
//    connection whose peer broke HTTP/2 and does not close it either (RFC 9113, section 5.4.1, wants that), so that not even
//    the peer's own end would be noticed.

/** Receive windows. The protocol's 64 KiB caps an upload at 64 KiB per round trip (grpc-node issue 3058). */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;

const HIGHEST_STREAM_ID = 2 ** 31 - 1;
/** A peer that does not answer a PING for so long gets its second GOAWAY without having answered. */
const PING_ANSWER_MS = 1000;
const SILENT_MS = 5_000;
/** Long enough for a client that is stopped for a while; a cut channel connects again by itself. */
const PROBE_ANSWER_MS = 15_000;

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface Http2FrontOptions {
  /**
   * Called for every stream, whatever its path; `deliver` gives it to grpc-js.
   * @returns what to call when the stream has closed.
   */
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, deliver: StreamHandler) => () => void;
  /** A connection that does not speak HTTP/2, or broke its rules; it is closed already. */
  readonly onSessionError: (error: Error) => void;
}

interface SessionState {
  openStreams: number;
}

/** The HTTP/2 side of a grpc-js server that is fed with connections and never listens. */
export class Http2Front {
  readonly #injector: ConnectionInjector;
  readonly #sessions = new Map<ServerHttp2Session, SessionState>();
  #isDraining = false;

  constructor(server: Server, options: Http2FrontOptions) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const http2Server = http2ServerOf(server);
    const deliver = takeStreamListener(http2Server);
    http2Server.on('stream', (stream, headers) => {
      const { session } = stream;
      const state = session && this.#sessions.get(session as ServerHttp2Session);
      if (state !== undefined) state.openStreams += 1;
      const onClose = options.onStream(stream, headers, deliver);
      stream.once('close', () => {
        onClose();
        if (state === undefined) return;
        state.openStreams -= 1;
        if (this.#isDraining && state.openStreams === 0) session?.close(); // H2
      });
    });
    http2Server.on('session', (session) => {
      this.#onSession(session);
    });
    http2Server.on('sessionError', options.onSessionError);
  }

  /** Takes a connection on which HTTP/2 is spoken next: plaintext, or after its TLS handshake. */
  inject(connection: Duplex): void {
    this.#injector.injectConnection(connection);
  }

  /** Asks every client to go, those that connect later as well. Sessions close when their last stream has ended. */
  drain(): void {
    this.#isDraining = true;
    for (const [session, state] of this.#sessions) sayGoodbye(session, state);
  }

  #onSession(session: ServerHttp2Session): void {
    const state: SessionState = { openStreams: 0 };
    this.#sessions.set(session, state);
    session.once('close', () => {
      this.#sessions.delete(session);
    });
    session.settings({ initialWindowSize: STREAM_WINDOW_BYTES });
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    session.setTimeout(SILENT_MS, () => {
      probe(session);
    });
    if (this.#isDraining) sayGoodbye(session, state);
  }
}

/** H3 */
function probe(session: ServerHttp2Session): void {
  if (session.destroyed) return;
  const cut = setTimeout(() => {
    session.destroy();
  }, PROBE_ANSWER_MS).unref();
  const keep = (): void => {
    clearTimeout(cut);
    session.off('close', keep);
  };
  session.once('close', keep);
  session.ping((error) => {
    if (error === null) keep();
  });
}

function sayGoodbye(session: ServerHttp2Session, state: SessionState): void {
  if (session.closed || session.destroyed) return;
  if (state.openStreams === 0) {
    session.close(); // H2
    return;
  }
  session.goaway(constants.NGHTTP2_NO_ERROR, HIGHEST_STREAM_ID); // H1
  const close = (): void => {
    clearTimeout(limit);
    session.close(); // does nothing where the session has gone meanwhile
  };
  const limit = setTimeout(close, PING_ANSWER_MS);
  limit.unref();
  session.ping(close);
}

/**
 * grpc-js does not show the HTTP/2 server behind an injector, and without it neither unknown RPCs nor what was really
 * sent can be counted, no window be widened, and no GOAWAY be sent in two steps. One private field is read for it, here
 * only; a version of grpc-js without that field fails at start, not in operation.
 */
function http2ServerOf(server: Server): Http2Server {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<Http2Server, unknown> };
  const [http2Server] = http2Servers instanceof Map ? (http2Servers as ReadonlyMap<Http2Server, unknown>).keys() : [];
  if (http2Server === undefined)
    throw new TypeError('Cannot use this version of @grpc/grpc-js: Server.http2Servers is missing; wanted 1.14');
  return http2Server;
}

function takeStreamListener(http2Server: Http2Server): StreamHandler {
  const [listener, ...others] = http2Server.listeners('stream');
  if (listener === undefined || others.length > 0) {
    throw new TypeError(
      `Cannot use this version of @grpc/grpc-js: it has ${others.length} stream listeners more than one; wanted 1.14`,
    );
  }
  http2Server.removeAllListeners('stream');
  return listener as StreamHandler;
}
