import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { AddressRanges } from '../config/address-ranges.js';
import { REQUEST_ID_HEADER } from '../service/request-id.js';

// The headers of what passes between a client and a mounted application, in either direction.
// M1 What is about one connection stays on it (RFC 9110 7.6.1).
// M2 What a client says of itself by X-Forwarded-… is not believed, unless a trusted proxy says it.
// M3 The key that let a request in stays here: an application may run anywhere.

const OF_CONNECTION = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Written anew for every application. */
const REWRITTEN = new Set([
  'host',
  'expect', // answered here
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  REQUEST_ID_HEADER,
]);

export interface MountPlace {
  /** Path of the mount. */
  readonly path: string;
  readonly stripPath: boolean;
  /** Where its application answers. */
  readonly upstream: URL;
}

export interface ForwardedRequest {
  readonly request: IncomingMessage;
  readonly requestId: string;
}

export class MountHeaders {
  readonly #trustedProxies: AddressRanges;
  readonly #keys: ReadonlySet<string>;

  /** @param apiKeys - see M3. */
  constructor(trustedProxies: AddressRanges, apiKeys: readonly string[]) {
    this.#trustedProxies = trustedProxies;
    this.#keys = new Set(apiKeys);
  }

  /** For the application: name, value, name, value … */
  toApplication({ request, requestId }: ForwardedRequest, { path, stripPath, upstream }: MountPlace): string[] {
    const { headers, rawHeaders, socket } = request;
    const ofConnection = namedBy(headers.connection);
    const sent = pairs(rawHeaders, (name, value) => {
      return !ofConnection.has(name) && !REWRITTEN.has(name) && !this.#isKey(name, value);
    });
    const peer = socket.remoteAddress ?? '';
    const proxy = this.#trustedProxies.includes(peer) ? headers : {};
    const isTls = (socket as TLSSocket).encrypted === true; // TypeScript knows it as true only
    const before = textOf(proxy['x-forwarded-for']);
    sent.push('Host', upstream.host, REQUEST_ID_HEADER, requestId);
    sent.push('X-Forwarded-For', before === undefined ? peer : `${before}, ${peer}`);
    sent.push('X-Forwarded-Proto', textOf(proxy['x-forwarded-proto']) ?? (isTls ? 'https' : 'http'));
    const host = textOf(proxy['x-forwarded-host']) ?? headers.host;
    if (host !== undefined) sent.push('X-Forwarded-Host', host);
    if (stripPath) sent.push('X-Forwarded-Prefix', `${textOf(proxy['x-forwarded-prefix']) ?? ''}${path}`);
    return sent;
  }

  #isKey(name: string, value: string): boolean {
    if (name === 'x-api-key') return this.#keys.has(value.trim());
    return name === 'authorization' && this.#keys.has(value.replace(/^bearer +/i, '').trim());
  }
}

/** For the client: name, value, name, value … */
export function toClient({ headers, rawHeaders }: IncomingMessage, mount: MountPlace): string[] {
  const ofConnection = namedBy(headers.connection);
  const given = pairs(rawHeaders, (name) => !ofConnection.has(name) && name !== REQUEST_ID_HEADER);
  return given.map((value, at) => {
    const isLocation = at % 2 === 1 && /^(?:content-)?location$/i.test(given[at - 1] ?? '');
    return isLocation ? toOuterLocation(value, mount) : value;
  });
}

/** An application knows neither the path that it is mounted under nor the address that the client sees. */
export function toOuterLocation(location: string, { path, stripPath, upstream }: MountPlace): string {
  const url = URL.canParse(location) ? new URL(location) : undefined;
  const inner = url?.origin === upstream.origin ? `${url.pathname}${url.search}${url.hash}` : location;
  return stripPath && inner.startsWith('/') && !inner.startsWith('//') ? path + inner : inner;
}

function pairs(rawHeaders: readonly string[], isKept: (name: string, value: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
    if (isKept(name.toLowerCase(), value)) kept.push(name, value);
  }
  return kept;
}

/** M1 */
function namedBy(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined) return OF_CONNECTION;
  const names = connection.split(',').map((name) => name.trim().toLowerCase());
  return new Set([...OF_CONNECTION, ...names]);
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
