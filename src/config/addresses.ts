import { isIPv6 } from 'node:net';
import { JubakoError } from '../errors.js';

/** Where a runner worker answers: a unix socket, or TCP with or without TLS. */
export type RunnerAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

export type RunnerMap = Readonly<Record<string, readonly string[]>>;

const FORMS = 'unix:///path/to.sock, file:///path/to.sock, tcp://host:port or tls://host:port';

/**
 * `tcp://10.0.0.5:7001`, `tls://[::1]:7001`, `unix:///run/x.sock`; `file://` is the reference's word for a unix socket.
 * @param where - what the address belongs to, for the error.
 * @throws {JubakoError} CONFIG_INVALID
 */
export function parseRunnerAddress(text: string, where: string): RunnerAddress {
  const refuse = (why: string): never => {
    throw new JubakoError('CONFIG_INVALID', `Cannot use address "${text}" of ${where}: ${why}; wanted ${FORMS}`);
  };
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text);
  if (match === null) return refuse('it has no scheme');
  const [, scheme = '', rest = ''] = match;
  if (scheme === 'unix' || scheme === 'file') {
    if (!rest.startsWith('/')) return refuse('the path is not absolute');
    const path = decodePath(rest);
    if (path === undefined) return refuse('the path is not percent-encoded UTF-8');
    return { kind: 'unix', path };
  }
  if (scheme !== 'tcp' && scheme !== 'tls') return refuse(`the scheme "${scheme}" is unknown`);
  const authority = /^(\[[^\]]+\]|[^:/?#@\s]+):([0-9]+)$/.exec(rest);
  if (authority === null) return refuse('it is not host:port');
  const [, rawHost = '', rawPort = ''] = authority;
  const host = rawHost.startsWith('[') ? rawHost.slice(1, -1) : rawHost;
  if (rawHost.startsWith('[') && !isIPv6(host)) return refuse(`"${host}" is not an IPv6 address`);
  const port = Number(rawPort);
  if (port < 1 || port > 65_535) return refuse(`the port ${rawPort} is not between 1 and 65535`);
  return { kind: scheme, host, port };
}

function decodePath(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // malformed percent-encoding: the caller names the address
  }
}

/** `{kind:'tcp', host:'::1', port:1}` → `tcp://[::1]:1`. */
export function formatRunnerAddress(address: RunnerAddress): string {
  if (address.kind === 'unix') return `unix://${encodeURI(address.path)}`;
  return `${address.kind}://${formatHostPort(address.host, address.port)}`;
}

export function formatHostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/**
 * Checks a runner map from JSON: runner name → one address or a list of addresses.
 * @throws {JubakoError} CONFIG_INVALID - names the runner and the address.
 */
export function parseRunnerMap(value: unknown, where: string): RunnerMap {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new JubakoError(
      'CONFIG_INVALID',
      `Cannot use ${where} ${JSON.stringify(value)}: wanted {"<runner>": ["<address>", …]}`,
    );
  }
  const map: Record<string, readonly string[]> = {};
  for (const [runner, entry] of Object.entries(value)) {
    const list: unknown[] = Array.isArray(entry) ? entry : [entry];
    if (list.length === 0)
      throw new JubakoError('CONFIG_INVALID', `Cannot use ${where}: runner "${runner}" has no address`);
    map[runner] = list.map((address) => {
      if (typeof address !== 'string') {
        throw new JubakoError(
          'CONFIG_INVALID',
          `Cannot use address ${JSON.stringify(address)} of runner "${runner}" in ${where}: wanted ${FORMS}`,
        );
      }
      return formatRunnerAddress(parseRunnerAddress(address, `runner "${runner}" in ${where}`));
    });
  }
  return map;
}

/** True for addresses that only this machine can reach; names other than `localhost` count as reachable. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
