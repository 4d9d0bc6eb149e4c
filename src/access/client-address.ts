import { isIP } from 'node:net';
import type { AddressRanges } from '../config/address-ranges.js';
import type { Caller } from '../service/access.js';

// A1 Only what a trusted proxy adds to X-Forwarded-For is believed: it is read from the right, up to the first address that
//    is no trusted proxy. What stands left of that, its sender may have made up.
// A2 Whoever has one IPv6 address has a whole /64, so that is the client.

const IPV4_WITH_PORT = /^(\d+\.\d+\.\d+\.\d+):\d+$/;
const IPV6_IN_BRACKETS = /^\[([\da-f:.]+)\](?::\d+)?$/i;

export class ClientAddresses {
  readonly #trusted: AddressRanges;

  constructor(trustedProxies: AddressRanges) {
    this.#trusted = trustedProxies;
  }

  /** The network of the client: `203.0.113.7`, `2001:db8:0:1::/64`. */
  of({ address, forwardedFor }: Pick<Caller, 'address' | 'forwardedFor'>): string {
    if (forwardedFor === undefined || this.#trusted.isEmpty) return networkOf(address);
    let client = address;
    let end = forwardedFor.length;
    while (end > 0 && this.#trusted.includes(client)) {
      const start = forwardedFor.lastIndexOf(',', end - 1);
      const hop = readHop(forwardedFor.slice(start + 1, end));
      if (hop === undefined) break; // its sender is the nearest that is known
      client = hop;
      end = start;
    }
    return networkOf(client);
  }
}

/** Some proxies add the port. */
function readHop(text: string): string | undefined {
  const hop = text.trim();
  const address = IPV4_WITH_PORT.exec(hop)?.[1] ?? IPV6_IN_BRACKETS.exec(hop)?.[1] ?? hop;
  return isIP(address) === 0 ? undefined : address;
}

function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const groups = groupsOf(address);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [groups[6], groups[7]].flatMap((group = 0) => [group >> 8, group & 0xff]).join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The eight numbers of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const [left = '', right = ''] = address.replace(/%.*$/, '').split('::');
  const head = readGroups(left);
  const tail = readGroups(right);
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function readGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
