import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { ServerCredentials, type Server } from '@grpc/grpc-js';
import type { ErrorCode } from '../errors.js';
import { isBeyondLimit, serverOptions, WINDOWS } from './http2-limits.js';

// H1 A client with open streams learns that it has to go before its streams are limited: GOAWAY with the highest stream id,
//    a round trip, then GOAWAY with the last stream that was taken (RFC 9113, section 6.8). What it sent meanwhile is
//    answered.
// H2 A session without streams gets the last GOAWAY at once: after any GOAWAY nghttp2 reads no further on such a session.
//    A stream that was on its way is then beyond the last id, and gRPC clients repeat it elsewhere by themselves.
// H3 A session on which nothing happens is asked with a PING and cut if it cannot answer. nghttp2 reads no further on a
//    connection whose peer broke HTTP/2 and does not close it either (RFC 9113, section 5.4.1, wants that), so that not even
//    the peer's own end would be noticed. PINGs of clients are answered, however many they send.
// H4 A session that has reached its age is told to go like in a drain, and cut when its grace is over. Ages differ by up to
//    10 % each way, so that clients that came together do not come back together (gRPC proposal A9).

const HIGHEST_STREAM_ID = 2 ** 31 - 1;
/** A peer that does not answer a PING for so long gets its second GOAWAY without having answered. */
const PING_ANSWER_MS = 1000;
const SILENT_MS = 5_000;
/** Long enough for a client that is stopped for a while; a cut channel connects again by itself. */
const PROBE_ANSWER_MS = 15_000;
const AGE_JITTER = 0.1;
/** What timers can count. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface Http2FrontOptions {
  /** 0: no limit of ours. */
  readonly maxConcurrentStreams: number;
  /** 0: none. */
  readonly maxConnectionAgeMs: number;
  /** 0: no limit. */
  readonly maxConnectionAgeGraceMs: number;
  /**
   * Called for every stream, whatever its path; `deliver` gives it to grpc-js.
   * @returns what to call when the stream has closed; `cutBy`: why, where it was this side that cut it.
   */
  readonly onStream: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    deliver: StreamHandler,
  ) => (cutBy: ErrorCode | undefined) => void;
  /** A session has reached its age. */
  readonly onAged: (session: ServerHttp2Session) => void;
  /** A connection that does not speak HTTP/2, or broke its rules; it is closed already. */
  readonly onSessionError: (error: Error) => void;
}

interface SessionState {
  openStreams: number;
  /** The client has acknowledged our settings: before that, Node does not hold it to them. */
  hasSettings: boolean;
  isLeaving: boolean;
  isCut: boolean;
}

/** The HTTP/2 side of a grpc-js server that is fed with connections and never listens. */
export class Http2Front {
  readonly #options: Http2FrontOptions;
  readonly #http2Server: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, SessionState>();
  #isDraining = false;

  constructor(server: Server, options: Http2FrontOptions) {
    this.#options = options;
    const { onStream, onSession } = listenersOf(server);
    this.#http2Server = createServer(serverOptions(options.maxConcurrentStreams));
    this.#http2Server.on('session', onSession);
    this.#http2Server.on('session', (session) => {
      this.#onSession(session);
    });
    this.#http2Server.on('stream', (stream, headers) => {
      this.#onStream(stream, headers, onStream);
    });
    this.#http2Server.on('sessionError', options.onSessionError);
  }

  /** Takes a connection on which HTTP/2 is spoken next: plaintext, or after its TLS handshake. */
  inject(connection: Duplex): void {
    this.#http2Server.emit('connection', connection);
  }

  /** Asks every client to go, those that connect later as well. Sessions close when their last stream has ended. */
  drain(): void {
    this.#isDraining = true;
    for (const [session, state] of this.#sessions) leave(session, state);
  }

  /** Cuts what is left. */
  cut(): void {
    for (const [session, state] of this.#sessions) cut(session, state);
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, deliver: StreamHandler): void {
    const { session } = stream;
    const state = session && this.#sessions.get(session as ServerHttp2Session);
    if (state?.hasSettings === false && isBeyondLimit(headers)) {
      stream.on('error', () => undefined); // our own reset, as Node would have sent it
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    if (state !== undefined) state.openStreams += 1;
    const onClose = this.#options.onStream(stream, headers, deliver);
    stream.once('close', () => {
      onClose(state?.isCut === true ? 'DRAINING' : undefined);
      if (state === undefined) return;
      state.openStreams -= 1;
      if (state.isLeaving && state.openStreams === 0) session?.close(); // H2
    });
  }

  #onSession(session: ServerHttp2Session): void {
    const state: SessionState = { openStreams: 0, hasSettings: false, isLeaving: false, isCut: false };
    this.#sessions.set(session, state);
    const age = this.#limitAge(session, state);
    session.once('close', () => {
      clearTimeout(age);
      this.#sessions.delete(session);
    });
    session.once('localSettings', () => {
      state.hasSettings = true;
    });
    session.setLocalWindowSize(WINDOWS.sessionBytes);
    session.setTimeout(SILENT_MS, () => {
      probe(session);
    });
    if (this.#isDraining) leave(session, state);
  }

  /** H4 */
  #limitAge(session: ServerHttp2Session, state: SessionState): NodeJS.Timeout | undefined {
    const { maxConnectionAgeMs, maxConnectionAgeGraceMs, onAged } = this.#options;
    if (maxConnectionAgeMs === 0) return undefined;
    const ageMs = jitteredAgeMs(maxConnectionAgeMs, Math.random());
    return setTimeout(
      () => {
        onAged(session);
        leave(session, state);
        if (maxConnectionAgeGraceMs === 0) return;
        const grace = setTimeout(cut, Math.min(maxConnectionAgeGraceMs, MAX_TIMER_MS), session, state).unref();
        session.once('close', () => {
          clearTimeout(grace);
        });
      },
      Math.min(ageMs, MAX_TIMER_MS),
    ).unref();
  }
}

/** H4. @param random - from 0 to 1. */
export function jitteredAgeMs(ageMs: number, random: number): number {
  return ageMs * (1 - AGE_JITTER + 2 * AGE_JITTER * random);
}

/** H3 */
function probe(session: ServerHttp2Session): void {
  if (session.destroyed) return;
  const cutting = setTimeout(() => {
    session.destroy();
  }, PROBE_ANSWER_MS).unref();
  const keep = (): void => {
    clearTimeout(cutting);
    session.off('close', keep);
  };
  session.once('close', keep);
  session.ping((error) => {
    if (error === null) keep();
  });
}

function leave(session: ServerHttp2Session, state: SessionState): void {
  if (state.isLeaving || session.closed || session.destroyed) return;
  state.isLeaving = true;
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

function cut(session: ServerHttp2Session, state: SessionState): void {
  state.isCut = true;
  session.destroy();
}

interface GrpcListeners {
  readonly onStream: StreamHandler;
  readonly onSession: (session: ServerHttp2Session) => void;
}

/**
 * grpc-js makes an HTTP/2 server for an injector and shows neither it nor its options. What it does with sessions and
 * streams is taken from that server for the one of this room: only so can unknown RPCs and what was really sent be counted,
 * floods be bounded, windows be widened, and GOAWAYs be sent in two steps. One private field is read for it, here only; a
 * version of grpc-js without that field fails at start, not in operation.
 */
function listenersOf(server: Server): GrpcListeners {
  server.createConnectionInjector(ServerCredentials.createInsecure());
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<Http2Server, unknown> };
  const [http2Server] = http2Servers instanceof Map ? (http2Servers as ReadonlyMap<Http2Server, unknown>).keys() : [];
  if (http2Server === undefined)
    throw new TypeError('Cannot use this version of @grpc/grpc-js: Server.http2Servers is missing; wanted 1.14');
  return { onStream: onlyListener(http2Server, 'stream'), onSession: onlyListener(http2Server, 'session') };
}

function onlyListener<Listener>(http2Server: Http2Server, event: string): Listener {
  const [listener, ...others] = http2Server.listeners(event);
  if (listener === undefined || others.length > 0) {
    throw new TypeError(
      `Cannot use this version of @grpc/grpc-js: it listens ${others.length + 1} times for "${event}"; wanted 1.14`,
    );
  }
  return listener as Listener;
}
