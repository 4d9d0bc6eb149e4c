import type { IncomingMessage } from 'node:http';

// Requests that Node's parser lets through and RFC 9112 does not: others on the way may read them otherwise.

const HOST = 'host';
/** RFC 3986, section 3.2.2, and a port; not whether an address in brackets is one. */
const HOST_VALUE = /^[\w.~!$&'()*+,;=%:[\]-]*$/;

/** Why nobody can be sure where it ends; undefined: everybody is. */
export function framingFaultOf({ headers, httpVersion }: IncomingMessage): string | undefined {
  const { 'transfer-encoding': coding } = headers;
  if (coding === undefined) return undefined;
  if (httpVersion === '1.0') return 'Cannot read a body in chunks: HTTP/1.0 has none';
  if (coding.toLowerCase() === 'chunked') return undefined;
  return `Cannot read a body with Transfer-Encoding "${coding}": wanted chunked`;
}

/** Why it is none; undefined: nothing is wrong with it. */
export function faultOf({ headers, httpVersion, method, rawHeaders, url }: IncomingMessage): string | undefined {
  const { host } = headers;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return `Cannot serve HTTP/${httpVersion}: wanted 1.1 or 1.0`;
  if (host === undefined) {
    if (httpVersion === '1.1') return 'Cannot serve an HTTP/1.1 request without the header Host';
  } else {
    if (!HOST_VALUE.test(host)) return `Cannot serve the header Host "${host}": it is no host`;
    const hosts = countHosts(rawHeaders);
    if (hosts > 1) return `Cannot serve a request with ${hosts} headers Host`;
  }
  if (url === '*' && method !== 'OPTIONS') return `Cannot ${method ?? ''} "*": wanted a path`;
  return undefined;
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === HOST.length && name.toLowerCase() === HOST) count += 1;
  }
  return count;
}
