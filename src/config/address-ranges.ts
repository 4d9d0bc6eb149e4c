import { BlockList, isIP } from 'node:net';

const MAPPED = '::ffff:';

/** Addresses and CIDR ranges, as the setting `trustedProxies` has them. */
export class AddressRanges {
  readonly isEmpty: boolean;
  readonly #ranges = new BlockList();

  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0;
    for (const range of ranges) {
      const [address = '', prefix] = range.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#ranges.addAddress(address, family);
      else this.#ranges.addSubnet(address, Number(prefix), family);
    }
  }

  /** False for what is no address. */
  includes(address: string): boolean {
    if (this.isEmpty) return false;
    const family = isIP(address);
    if (family === 0) return false;
    // As IPv6, because a range of IPv4 addresses may be written either way.
    return this.#ranges.check(family === 4 ? MAPPED + address : address, 'ipv6');
  }
}
