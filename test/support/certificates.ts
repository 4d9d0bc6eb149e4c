import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempFolder, type Cleanup } from './start-primary.js';

/** Paths of PEM files; `pem` reads one. */
export interface Certificates {
  /** An authority, and what it signed for `localhost`, `127.0.0.1` and `::1`. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The same key, encrypted with `password`. */
  readonly encryptedKey: string;
  readonly password: string;
  /** A client's, signed by the authority. */
  readonly clientCert: string;
  readonly clientKey: string;
  /** A client's, signed by an authority that nobody knows. */
  readonly strangerCert: string;
  readonly strangerKey: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];

/** Makes an authority, a server's pair and two clients' pairs with openssl, in a folder that is removed at the end. */
export function makeCertificates(t: Cleanup): Certificates {
  const folder = tempFolder(t);
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const makeAuthority = (name: string): void => {
    openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  };
  const sign = (name: string, authority: string): void => {
    openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-days', '2', '-extfile', 'names.cnf', '-out', `${name}.pem`);
  };
  writeFileSync(path('names.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n');
  makeAuthority('authority');
  makeAuthority('nobody');
  sign('server', 'authority');
  sign('client', 'authority');
  sign('stranger', 'nobody');
  const password = 'correct horse';
  openssl('pkey', '-in', 'server.key', '-aes256', '-passout', `pass:${password}`, '-out', 'encrypted.key');
  return {
    ca: path('authority.pem'),
    cert: path('server.pem'),
    key: path('server.key'),
    encryptedKey: path('encrypted.key'),
    password,
    clientCert: path('client.pem'),
    clientKey: path('client.key'),
    strangerCert: path('stranger.pem'),
    strangerKey: path('stranger.key'),
  };
}

export function pem(path: string): Buffer {
  return readFileSync(path);
}
