import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { refuseUnknownCertificate } from '../net/tls-files.js';
import type { Logger } from '../telemetry/logger.js';

const ALPN = 'h2';

/** Told to a client that speaks TLS but no HTTP/2; HTTP/1.0, the one form that all of them read. */
const NOT_HTTP2 =
  'HTTP/1.0 426 Upgrade Required\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n' +
  'This port speaks gRPC: HTTP/2, negotiated by ALPN "h2".\n';

/**
 * TLS for connections that are handed in; it never listens. `onSecure` gets those that negotiated HTTP/2. A handshake that
 * fails closes its own connection and nothing else.
 */
export function createTlsFront(
  tls: TlsOptions,
  logger: Logger,
  onSecure: (socket: TLSSocket) => void,
): (socket: Socket) => void {
  const server: Server = createServer({ ...tls, ALPNProtocols: [ALPN] });
  server.on('secureConnection', (socket) => {
    // Node leaves errors of sockets from `secureConnection` to whoever listens (nodejs/node issue 35824).
    socket.on('error', (error) => {
      logger.debug({ event: 'connection.failed', err: error }, 'TLS connection failed');
    });
    if (refuseUnknownCertificate(socket, tls)) return;
    if (socket.alpnProtocol === ALPN) return onSecure(socket);
    logger.debug({ event: 'connection.refused', alpn: socket.alpnProtocol }, 'TLS client did not offer ALPN h2');
    socket.end(NOT_HTTP2);
    socket.destroySoon();
  });
  server.on('tlsClientError', (error, socket) => {
    logger.debug({ event: 'handshake.failed', err: error }, 'TLS handshake failed');
    socket.destroy();
  });
  return (socket) => {
    server.emit('connection', socket);
  };
}
