import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { JubakoError } from '../errors.js';
import type { Access, Caller } from '../service/access.js';
import { exchangeOf, type Exchange } from './exchange.js';
import { routeLabel } from './route-label.js';

/** Asked by probes, which know no key, and answered at any load. */
export const EXEMPT: ReadonlySet<string | undefined> = new Set([
  '/livez',
  '/readyz',
  '/healthz',
  '/v2/health/live',
  '/v2/health/ready',
]);
const CHALLENGE = ['WWW-Authenticate', 'Bearer'];

/** Asks who calls before anything of a request is looked at, also of one that matches no route. */
export function guardRoutes(app: FastifyInstance, access: Access): void {
  if (access.isOpen) return;
  app.addHook('onRequest', ({ raw, routeOptions }, reply, done) => {
    if (EXEMPT.has(routeOptions.url)) {
      done();
      return;
    }
    const exchange = exchangeOf(reply.raw);
    const refuse = (thrown: unknown): void => {
      if (routeOptions.url !== undefined) exchange.route = routeLabel(routeOptions.url);
      refuseCaller(exchange, JubakoError.from(thrown));
    };
    try {
      const asked = access.admit(callerOf(raw));
      if (asked === undefined) done();
      else {
        asked.then(() => {
          if (exchange.isUnanswered) done();
        }, refuse);
      }
    } catch (thrown) {
      refuse(thrown);
    }
  });
}

function refuseCaller(exchange: Exchange, error: JubakoError): void {
  exchange.fail(error, error.code === 'UNAUTHENTICATED' ? CHALLENGE : []);
}

function callerOf({ socket, headers }: IncomingMessage): Caller {
  return {
    address: socket.remoteAddress ?? '',
    forwardedFor: textOf(headers['x-forwarded-for']),
    authorization: headers.authorization,
    apiKey: textOf(headers['x-api-key']),
  };
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
