import type { IncomingHttpHeaders, ServerOptions } from 'node:http2';

// What one connection may cost a worker. Node and nghttp2 cut a connection by themselves that resets streams as fast as it
// opens them (1000 at once, 33 a second; CVE-2023-44487), that sends more than 8 CONTINUATION frames for one request
// (CVE-2024-27983), more than 32 settings in a frame, or more PINGs and SETTINGS than it reads answers to (1000).
// H5 What is left is memory that a connection holds without sending more: open streams, their headers, parts of messages
//    (the windows), and answers that it does not read (unread-answers.ts).

/** Receive windows. The protocol's 64 KiB caps an upload at 64 KiB per round trip (grpc-node issue 3058). */
export const WINDOWS = { streamBytes: 4 * 1024 * 1024, sessionBytes: 16 * 1024 * 1024 } as const;

/** Calls that a client may have open on one connection, where no setting says; it keeps the others to itself meanwhile. */
const MAX_OPEN_STREAMS = 4096;
/** Of one request, as in HTTP/1.1 on Node, and twice what C-core lets through. */
const MAX_HEADER_BYTES = 16 * 1024;
/** Frames that break the protocol, and streams beyond a limit, until a connection is cut. */
const MAX_INVALID = 100;
/**
 * In megabytes; no limit. What Node counts in it are answers above all, and it refuses further calls for them, also where a
 * client reads them as fast as it can; grpc-js turns it off for that.
 */
const MAX_SESSION_MEMORY = Number.MAX_SAFE_INTEGER;

/** Of the HTTP/2 server. @param maxConcurrentStreams - 0: as this room has it. */
export function serverOptions(maxConcurrentStreams: number): ServerOptions {
  return {
    maxSessionMemory: MAX_SESSION_MEMORY,
    maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER, // as in grpc-js: clients have limits of their own
    maxSessionInvalidFrames: MAX_INVALID,
    maxSessionRejectedStreams: MAX_INVALID,
    settings: {
      initialWindowSize: WINDOWS.streamBytes,
      maxHeaderListSize: MAX_HEADER_BYTES,
      maxConcurrentStreams: maxConcurrentStreams === 0 ? MAX_OPEN_STREAMS : maxConcurrentStreams,
    },
  };
}

/** As RFC 9113 counts headers, section 10.5.1. */
const HEADER_OVERHEAD_BYTES = 32;

/** Whether a request has more headers than these settings let through. */
export function isBeyondLimit(headers: IncomingHttpHeaders): boolean {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    bytes += name.length + String(value).length + HEADER_OVERHEAD_BYTES;
  }
  return bytes > MAX_HEADER_BYTES;
}
