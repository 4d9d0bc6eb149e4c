import { METHODS, type ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AddressRanges } from '../config/address-ranges.js';
import { JubakoError } from '../errors.js';
import type { MountManifest } from '../service/manifest.js';
import type { ProtocolServerOptions } from '../service/protocol-server.js';
import { exchangeOf } from './exchange.js';
import { MountHeaders } from './mount-headers.js';
import { MountUpstream } from './mount-upstream.js';
import type { Upgrades } from './upgrades.js';
import type { WebSocketTunnel } from './websocket-tunnel.js';

// Foreign applications under paths of the service.
// F1 @fastify/http-proxy routes, finds the path that an application sees, and refuses paths that lead out of it. It does not
//    speak to the application: `MountUpstream` does, since the other goes on when the client has left, repeats what got 503
//    ten times, and keeps WebSockets of clients that have gone.
// F2 It is loaded only where there is a mount (10 MB, 50 ms).

/** Never asked. */
const NOWHERE = 'http://mount.invalid';
/** Of Node's, those that routes can have. */
const MOUNT_METHODS = METHODS.filter((method) => method !== 'CONNECT');

export class Mounts {
  readonly #options: ProtocolServerOptions;
  readonly #upgrades: Upgrades;
  readonly #tunnels = new Set<WebSocketTunnel>();
  #isDraining = false;

  constructor(options: ProtocolServerOptions, upgrades: Upgrades) {
    this.#options = options;
    this.#upgrades = upgrades;
  }

  /**
   * @param app - the root, which knows the methods.
   * @param work - the scope that the applications are in.
   */
  async add(app: FastifyInstance, work: FastifyInstance): Promise<void> {
    const { default: httpProxy } = await import('@fastify/http-proxy');
    const { config, manifest } = this.#options;
    for (const method of MOUNT_METHODS) {
      if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
    }
    const headers = new MountHeaders(new AddressRanges(config.trustedProxies), config.apiKeys);
    for (const mount of manifest.mounts) {
      const upstream = this.#upstreamOf(mount, headers);
      app.addHook('onClose', () => {
        upstream.close();
      });
      await work.register(async (scope) => {
        scope.removeAllContentTypeParsers();
        scope.addHook('onRequest', (request, reply, done) => {
          request.raw.headers['content-type'] = 'application/octet-stream'; // Fastify would refuse what is no media type
          const exchange = exchangeOf(reply.raw);
          exchange.route = `${mount.path}/*`;
          done();
        });
        await scope.register(httpProxy, {
          upstream: NOWHERE,
          prefix: mount.path,
          rewritePrefix: mount.stripPath ? '/' : mount.path,
          httpMethods: MOUNT_METHODS,
          disableRequestLogging: true,
          handler: (request, reply, path) => {
            const { url = '' } = request.raw;
            const query = url.indexOf('?');
            const target = (path === '' ? '/' : path) + (query === -1 ? '' : url.slice(query)); // as it came
            reply.hijack();
            try {
              this.#serve(upstream, reply.raw, target);
            } catch (cause) {
              const message = 'Cannot hand the request on: its head holds what HTTP does not allow';
              exchangeOf(reply.raw).fail(new JubakoError('INVALID_INPUT', message, { cause }));
            }
          },
        });
      });
    }
  }

  /** The clients of WebSockets are told to go; HTTP is drained as all of it is. */
  drain(): void {
    this.#isDraining = true;
    for (const tunnel of this.#tunnels) tunnel.goAway();
  }

  #upstreamOf({ path, stripPath, upstream }: MountManifest, headers: MountHeaders): MountUpstream {
    const { mounts, config, logger, manifest } = this.#options;
    const url = (Object.hasOwn(mounts, path) ? mounts[path] : undefined) ?? upstream;
    if (url === null)
      throw new JubakoError('SERVICE_INVALID', `Cannot serve "${manifest.name}": the mount "${path}" has no address`);
    const place = { path, stripPath, upstream: new URL(url) };
    return new MountUpstream({ place, headers, timeoutMs: config.timeout * 1000, logger });
  }

  #serve(upstream: MountUpstream, response: ServerResponse, target: string): void {
    const exchange = exchangeOf(response);
    exchange.isForeign = true;
    const upgraded = this.#upgrades.of(response);
    if (upgraded === undefined) upstream.forward(exchange, response, target);
    else if (this.#isDraining) {
      exchange.fail(new JubakoError('DRAINING', 'Cannot open a WebSocket: the server stops'));
    } else {
      upstream.upgrade(exchange, response, target, upgraded, (tunnel) => {
        this.#tunnels.add(tunnel);
        upgraded.socket.once('close', () => this.#tunnels.delete(tunnel));
        if (this.#isDraining) tunnel.goAway();
      });
    }
  }
}
