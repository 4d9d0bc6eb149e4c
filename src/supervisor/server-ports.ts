import { formatHostPort } from '../config/addresses.js';
import type { CommandName } from '../config/load-config.js';
import type { ServerConfig } from '../config/settings.js';
import { bindListener, type Listener } from '../net/bind-listener.js';
import { ConnectionDispatcher } from './connection-dispatcher.js';
import type { Pool } from './pool.js';

/** Where the server answers; a tier that does not run is absent. Ports are as bound, never 0. */
export interface ServerAddresses {
  /** `http://localhost:3000`, `https://…` with a certificate. */
  readonly http?: string;
  /** `localhost:3001`, as gRPC clients take it. */
  readonly grpc?: string;
  /** `tcp://127.0.0.1:7001`, `tls://…` with a certificate, as runner maps take it. */
  readonly runner?: string;
}

interface WantedPort {
  readonly name: keyof ServerAddresses;
  readonly what: string;
  readonly host: string;
  readonly port: number;
  readonly backlog: number;
}

/** A port of the server, and the pool whose workers take its connections, once there is one. */
export class ServerPort {
  readonly name: keyof ServerAddresses;
  readonly listener: Listener;
  readonly dispatcher: ConnectionDispatcher;
  readonly #served: { pool: Pool | undefined };

  private constructor(
    name: WantedPort['name'],
    listener: Listener,
    dispatcher: ConnectionDispatcher,
    served: { pool: Pool | undefined },
  ) {
    this.name = name;
    this.listener = listener;
    this.dispatcher = dispatcher;
    this.#served = served;
  }

  /** @throws {JubakoError} BIND_FAILED - names the address and the reason. */
  static async bind(wanted: WantedPort): Promise<ServerPort> {
    const served: { pool: Pool | undefined } = { pool: undefined };
    const dispatcher = new ConnectionDispatcher(() => served.pool?.workers.filter(({ accepts }) => accepts) ?? []);
    const listener = await bindListener(wanted, (socket) => {
      dispatcher.add(socket);
    });
    return new ServerPort(wanted.name, listener, dispatcher, served);
  }

  serveWith(pool: Pool): void {
    this.#served.pool = pool;
    pool.dispatcher = this.dispatcher;
  }

  /** As clients take it. */
  address(isTls: boolean): string {
    const { host, port } = this.listener;
    const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const authority = formatHostPort(reachable, port);
    if (this.name === 'grpc') return authority;
    if (this.name === 'runner') return `${isTls ? 'tls' : 'tcp'}://${authority}`;
    return `${isTls ? 'https' : 'http'}://${authority}`;
  }
}

/** The ports that a command opens. */
export function portsOf(command: CommandName, config: ServerConfig): readonly WantedPort[] {
  const { host, port, backlog } = config;
  const grpcOfServe: WantedPort = {
    name: 'grpc',
    what: 'gRPC',
    host: config.grpcHost ?? host,
    port: config.grpcPort,
    backlog,
  };
  switch (command) {
    case 'serve':
      return [{ name: 'http', what: 'HTTP', host, port, backlog }, ...(config.grpc ? [grpcOfServe] : [])];
    case 'start-http-server':
      return [{ name: 'http', what: 'HTTP', host, port, backlog }];
    case 'start-grpc-server':
      return [{ name: 'grpc', what: 'gRPC', host, port, backlog }];
    case 'start-runner-server':
      return [{ name: 'runner', what: `runner "${config.runnerName ?? ''}"`, host, port, backlog }];
    default:
      return command satisfies never;
  }
}
