import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createSecureContext,
  type SecureContextOptions,
  type SecureVersion,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import type { ServerConfig } from '../config/settings.js';
import { JubakoError } from '../errors.js';
import type { TlsMaterial } from '../ipc/worker-boot.js';

// L1 The primary reads and checks the files; workers get the contents over IPC and never open a key file themselves.
// L2 A pair that does not fit, or a file that is half written, is refused here, before any worker sees it.

type SslSettings = Pick<
  ServerConfig,
  'sslCertfile' | 'sslKeyfile' | 'sslKeyfilePassword' | 'sslVersion' | 'sslCertReqs' | 'sslCaCerts' | 'sslCiphers'
>;

/**
 * @param trustedCa - what `readTrustedCa` gave: the file is read once, for clients and for runners.
 * @returns undefined where no certificate is set: plaintext.
 * @throws {JubakoError} CONFIG_INVALID - names the setting and the file.
 */
export function readTlsMaterial(
  config: SslSettings,
  trustedCa: string | null,
  ticketKeys: Buffer,
): TlsMaterial | undefined {
  const { sslCertfile, sslKeyfile } = config;
  if (sslCertfile === null || sslKeyfile === null) return undefined;
  const material: TlsMaterial = {
    cert: readPem('sslCertfile', sslCertfile),
    key: readPem('sslKeyfile', sslKeyfile),
    passphrase: config.sslKeyfilePassword,
    ca: trustedCa,
    clientCertificate: (config.sslCertReqs ?? 'none') as TlsMaterial['clientCertificate'],
    minVersion: config.sslVersion as SecureVersion | null,
    ciphers: config.sslCiphers,
    ticketKeys: ticketKeys.toString('base64'),
  };
  checkPair(material, sslCertfile, sslKeyfile);
  return material;
}

/** For `tls.createServer` and `https.createServer`. */
export function toTlsOptions(material: TlsMaterial): TlsOptions {
  return {
    cert: material.cert,
    key: material.key,
    ticketKeys: Buffer.from(material.ticketKeys, 'base64'),
    requestCert: material.clientCertificate !== 'none',
    rejectUnauthorized: material.clientCertificate === 'required',
    honorCipherOrder: true,
    ...(material.passphrase !== null && { passphrase: material.passphrase }),
    ...(material.ca !== null && { ca: material.ca }),
    ...(material.minVersion !== null && { minVersion: material.minVersion }),
    ...(material.ciphers !== null && { ciphers: material.ciphers }),
  };
}

/**
 * The certificates of `sslCaCerts`: OpenSSL takes a file without one silently, and then trusts nobody.
 * @throws {JubakoError} CONFIG_INVALID
 */
export function readTrustedCa(path: string | null): string | null {
  if (path === null) return null;
  const pem = readPem('sslCaCerts', path);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0)
    throw new JubakoError('CONFIG_INVALID', `Cannot use sslCaCerts "${path}": it holds no PEM certificate`);
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      throw new JubakoError('CONFIG_INVALID', `Cannot use sslCaCerts "${path}": ${(cause as Error).message}`, {
        cause,
      });
    }
  }
  return pem;
}

/** For `tls.connect` to runners: what this server trusts, and its own certificate where it has one. */
export function toLinkTlsOptions(material: TlsMaterial | null, trustedCa: string | null): SecureContextOptions {
  return {
    ...(trustedCa !== null && { ca: trustedCa }),
    ...(material !== null && { cert: material.cert, key: material.key }),
    ...(material?.passphrase != null && { passphrase: material.passphrase }),
  };
}

/**
 * Where client certificates are optional, one that nobody vouches for is refused all the same, as Python's CERT_OPTIONAL
 * does; OpenSSL as Node drives it lets it in. Closes such a connection. @returns true if it did.
 */
export function refuseUnknownCertificate(socket: TLSSocket, options: TlsOptions): boolean {
  if (options.requestCert !== true || options.rejectUnauthorized !== false || socket.authorized) return false;
  if (Object.keys(socket.getPeerCertificate()).length === 0) return false;
  socket.destroy();
  return true;
}

function readPem(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new JubakoError('CONFIG_INVALID', `Cannot read ${setting} "${path}": ${(cause as Error).message}`, { cause });
  }
}

function checkPair(material: TlsMaterial, certfile: string, keyfile: string): void {
  const refuse = (what: string, cause: unknown): never => {
    throw new JubakoError('CONFIG_INVALID', `Cannot use ${what}: ${(cause as Error).message}`, { cause });
  };
  try {
    const key = createPrivateKey({
      key: material.key,
      ...(material.passphrase !== null && { passphrase: material.passphrase }),
    });
    if (!new X509Certificate(material.cert).checkPrivateKey(key))
      throw new Error('the key does not belong to the certificate');
  } catch (cause) {
    refuse(`sslCertfile "${certfile}" with sslKeyfile "${keyfile}"`, cause);
  }
  try {
    createSecureContext(toTlsOptions(material)); // versions, ciphers and CA in one: OpenSSL's own word
  } catch (cause) {
    refuse('the ssl settings (sslVersion, sslCiphers, sslCaCerts)', cause);
  }
}
