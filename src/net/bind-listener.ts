import { createServer, type AddressInfo, type Socket } from 'node:net';
import { formatHostPort } from '../config/addresses.js';
import { JubakoError } from '../errors.js';

/** A bound TCP socket whose connections are handed out raw and paused: nobody has read a byte of them. */
export interface Listener {
  /** As bound: never port 0. */
  readonly host: string;
  readonly port: number;
  /** Stops accepting; connections handed out before live on. */
  close(): void;
}

export interface ListenOptions {
  /** Name, IPv4 or IPv6; `::` accepts IPv4 as well where the system does. */
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** Connections that the kernel holds while this process is busy. */
  readonly backlog: number;
  /** For the error: `HTTP`, `gRPC`, `runner "digits"`. */
  readonly what: string;
}

/**
 * Binds once and keeps: the port is this process's from here on, whatever happens to its workers.
 * @throws {JubakoError} BIND_FAILED - names the address and the reason.
 */
export async function bindListener(options: ListenOptions, onConnection: (socket: Socket) => void): Promise<Listener> {
  const { host, port, backlog, what } = options;
  const server = createServer({ pauseOnConnect: true }, onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new JubakoError(
          'BIND_FAILED',
          `Cannot listen for ${what} on ${formatHostPort(host, port)}: ${reasonOf(error)}`,
          { cause: error },
        ),
      );
    });
    server.listen({ host, port, backlog }, resolve);
  });
  server.on('error', () => undefined); // accept errors such as EMFILE: the connection waits in the backlog
  const bound = server.address() as AddressInfo;
  return { host, port: bound.port, close: () => void server.close() };
}

function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'another process has this port';
    case 'EACCES':
      return 'this user may not bind this port (below 1024?)';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name does not resolve';
    default:
      return error.message;
  }
}
