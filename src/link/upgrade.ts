import { createHash, timingSafeEqual } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { LINK_PATH, LINK_PROTOCOL_NAME } from './hello.js';

/** Why a request to enter the link is turned away; `text` is for the person who reads the other side's log. */
export interface UpgradeRefusal {
  readonly status: 401 | 404 | 405 | 426 | 503;
  readonly text: string;
}

/** Undefined: let it in. Pure. @param token - null: the socket itself is the secret (a unix socket in a private folder). */
export function checkUpgrade(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  token: string | null,
): UpgradeRefusal | undefined {
  const path = request.url?.split('?', 1)[0];
  if (path !== LINK_PATH)
    return { status: 404, text: `Cannot upgrade at "${path ?? ''}": the runner link is at ${LINK_PATH}` };
  if (request.method !== 'GET')
    return { status: 405, text: `Cannot upgrade by ${request.method ?? '(none)'}: wanted GET` };
  const offered = request.headers.upgrade ?? '';
  if (!offered.split(',').some((name) => name.trim().toLowerCase() === LINK_PROTOCOL_NAME)) {
    return { status: 426, text: `Cannot speak "${offered}": this runner speaks ${LINK_PROTOCOL_NAME}` };
  }
  if (token === null) return undefined;
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given === undefined)
    return {
      status: 401,
      text: 'Cannot enter the runner link: no token was given, wanted "Authorization: Bearer <token>"',
    };
  if (!isSameSecret(given, token))
    return { status: 401, text: 'Cannot enter the runner link: the token is not the one of this runner' };
  return undefined;
}

/** Takes as long for every wrong secret: hashes have one length and are compared in constant time. */
function isSameSecret(given: string, wanted: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(wanted));
}

export function acceptUpgrade(socket: Duplex): void {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL_NAME}\r\n\r\n`);
}

export function refuseUpgrade(socket: Duplex, refusal: UpgradeRefusal): void {
  const { status, text } = refusal;
  const extra =
    status === 426
      ? `Upgrade: ${LINK_PROTOCOL_NAME}\r\n`
      : status === 401
        ? 'WWW-Authenticate: Bearer\r\n'
        : status === 405
          ? 'Allow: GET\r\n'
          : '';
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\n${extra}` +
      `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
