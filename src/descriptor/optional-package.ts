import { createRequire } from 'node:module';
import { join } from 'node:path';
import { JubakoError } from '../errors.js';

// Packages that not every service needs: loaded when first needed, since compute threads import the descriptors too.
// Found from where Jubako lies, or else from the working folder: a global `jubako` may serve with a local package.

/** @throws {JubakoError} SERVICE_INVALID - it is not installed, or cannot be loaded. */
export function requireOptional(name: string, neededFor: string): unknown {
  let missing: unknown;
  for (const from of places()) {
    try {
      return createRequire(from)(name);
    } catch (cause) {
      if (!isMissing(cause)) {
        const message = `Cannot load ${name}, which ${neededFor} needs: ${(cause as Error).message}`;
        throw new JubakoError('SERVICE_INVALID', message, { cause });
      }
      missing = cause;
    }
  }
  throw new JubakoError(
    'SERVICE_INVALID',
    `Cannot use ${neededFor}: ${name} is not installed; install it with \`npm install ${name}\``,
    { cause: missing },
  );
}

/** Without loading it. */
export function isInstalled(name: string): boolean {
  return places().some((from) => {
    try {
      createRequire(from).resolve(name);
      return true;
    } catch (thrown) {
      if (isMissing(thrown)) return false;
      throw thrown;
    }
  });
}

function places(): readonly string[] {
  return [import.meta.url, join(process.cwd(), 'package.json')];
}

/** Also where a package that it needs is missing: then the whole is as good as not installed. */
function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
}
