import type { Metadata } from '@grpc/grpc-js';
import type { Access, Caller } from '../service/access.js';

/** Asked by probes, which know no key. */
const EXEMPT = [
  '/grpc.health.v1.Health/',
  '/inference.GRPCInferenceService/ServerLive',
  '/inference.GRPCInferenceService/ServerReady',
];

/**
 * Lets an RPC in, before anything of it is worked on.
 * @param path - `/inference.GRPCInferenceService/ModelInfer`
 * @param peer - as `getPeer` of grpc-js gives it.
 * @returns a promise only where other processes have to be asked.
 * @throws {JubakoError} UNAUTHENTICATED, RATE_LIMITED; the promise rejects with the same.
 */
export function admitCall(access: Access, path: string, metadata: Metadata, peer: string): void | Promise<void> {
  if (access.isOpen || EXEMPT.some((exempt) => path.startsWith(exempt))) return undefined;
  return access.admit(callerOf(metadata, peer));
}

/** What `access` wants to know of the caller of an RPC. */
export function callerOf(metadata: Metadata, peer: string): Caller {
  return {
    address: peer.replace(/:\d+$/, ''),
    forwardedFor: textOf(metadata, 'x-forwarded-for'),
    authorization: textOf(metadata, 'authorization'),
    apiKey: textOf(metadata, 'x-api-key'),
  };
}

/** Several entries are one, as in HTTP. */
function textOf(metadata: Metadata, key: string): string | undefined {
  const values = metadata.get(key);
  return values.length === 0 ? undefined : values.join(', ');
}
