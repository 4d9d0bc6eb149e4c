import type { LinkMethod } from '../link/hello.js';
import type { MethodManifest } from '../service/manifest.js';

/** What a runner says of a method to its callers. */
export function toLinkMethod({ name, idempotent, output }: MethodManifest): LinkMethod {
  return { name, idempotent, streams: output.kind === 'stream' };
}
