import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressRanges } from '#dist/config/address-ranges.js';
import { ClientAddresses } from '#dist/access/client-address.js';

function of(trusted: readonly string[], address: string, forwardedFor?: string): string {
  return new ClientAddresses(new AddressRanges(trusted)).of({ address, forwardedFor });
}

test('ClientAddresses believe no header where no proxy is trusted', () => {
  assert.equal(of([], '203.0.113.7', '198.51.100.1'), '203.0.113.7');
  assert.equal(of(['10.0.0.0/8'], '203.0.113.7', '198.51.100.1'), '203.0.113.7');
  assert.equal(of(['10.0.0.0/8'], '10.0.0.1'), '10.0.0.1');
});

test('ClientAddresses read the header from the right, up to the first address that is no trusted proxy', () => {
  const trusted = ['10.0.0.0/8', '192.0.2.1'];
  const cases: readonly [header: string, client: string][] = [
    ['198.51.100.1', '198.51.100.1'],
    ['1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['1.1.1.1,198.51.100.1, 10.9.9.9 ,192.0.2.1', '198.51.100.1'],
    ['10.1.1.1, 10.2.2.2', '10.1.1.1'],
    ['192.0.2.2, 192.0.2.1', '192.0.2.2'],
    ['198.51.100.1:51234', '198.51.100.1'],
    ['[2001:db8::1]:51234, 10.0.0.2', '2001:db8:0:0::/64'],
    ['[2001:db8::1]', '2001:db8:0:0::/64'],
  ];
  for (const [header, client] of cases) assert.equal(of(trusted, '10.0.0.1', header), client, header);
});

test('ClientAddresses take the proxy that sent it for the client where an entry is no address', () => {
  const trusted = ['10.0.0.0/8'];
  for (const entry of ['unknown', '_hidden', '', '999.1.1.1', '1.2.3', 'for=1.2.3.4', '[::1', "'; drop table"]) {
    assert.equal(of(trusted, '10.0.0.1', entry), '10.0.0.1', entry);
    assert.equal(of(trusted, '10.0.0.1', `198.51.100.1, ${entry}, 10.3.3.3`), '10.3.3.3', entry);
  }
});

test('ClientAddresses trust ranges of both families, however the address is written', () => {
  assert.equal(of(['fd00::/8'], 'fd12::1', '198.51.100.1'), '198.51.100.1');
  assert.equal(of(['fd00::/8'], 'fe00::1', '198.51.100.1'), 'fe00:0:0:0::/64');
  assert.equal(of(['10.0.0.0/8'], '::ffff:10.0.0.1', '198.51.100.1'), '198.51.100.1');
  assert.equal(of(['10.0.0.0/8'], '::ffff:a00:1', '198.51.100.1'), '198.51.100.1');
  assert.equal(of(['::ffff:10.0.0.0/104'], '10.0.0.1', '198.51.100.1'), '198.51.100.1');
  assert.equal(of(['0.0.0.0/0'], '10.0.0.1', '198.51.100.1, 1.1.1.1'), '198.51.100.1');
});

test('ClientAddresses name an IPv4 address itself and an IPv6 address by its /64', () => {
  const cases: readonly [address: string, client: string][] = [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
    ['', ''],
  ];
  for (const [address, client] of cases) assert.equal(of([], address), client, address);
});
