import { existsSync, statSync } from 'node:fs';
import { extname, isAbsolute, join, resolve } from 'node:path';
import { JubakoError } from '../errors.js';

/** A target on disk: the module that holds the service, and the name of its export (empty: find it). */
export interface ServiceFile {
  readonly file: string;
  readonly exportName: string;
}

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];
const DEFAULT_FILES = EXTENSIONS.map((extension) => `service${extension}`);

/**
 * `path/to/service.ts`, `path/to/service.ts:export`, or a folder with a `jubako.yaml` (its `service` key) or a `service.ts`/`.js`.
 * @param serviceFile - the `service` key of the folder's `jubako.yaml`, if it has one.
 * @throws {JubakoError} SERVICE_INVALID - says what was looked for.
 */
export function resolveTarget(target: string, workingDir: string, serviceFile: string | undefined): ServiceFile {
  const whole = resolve(workingDir, target);
  const inFolder = isFolder(whole) ? fileOfFolder(whole, serviceFile) : { file: whole, exportName: '' };
  const found = existsSync(inFolder.file) ? inFolder : splitExport(inFolder.file);
  if (found === undefined || !existsSync(found.file)) {
    throw new JubakoError('SERVICE_INVALID', `Cannot find the target "${target}": no file or folder ${inFolder.file}`);
  }
  if (isFolder(found.file)) {
    const { file } = fileOfFolder(found.file, serviceFile);
    return { file, exportName: found.exportName };
  }
  if (!EXTENSIONS.includes(extname(found.file))) {
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot serve "${target}": wanted a module (${EXTENSIONS.join(', ')}) or a folder with one, got "${extname(found.file)}"`,
    );
  }
  return found;
}

function fileOfFolder(folder: string, serviceFile: string | undefined): ServiceFile {
  if (serviceFile !== undefined) {
    const file = isAbsolute(serviceFile) ? serviceFile : join(folder, serviceFile);
    return existsSync(file) ? { file, exportName: '' } : (splitExport(file) ?? { file, exportName: '' });
  }
  const name = DEFAULT_FILES.find((candidate) => existsSync(join(folder, candidate)));
  if (name === undefined) {
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot serve the folder ${folder}: it has neither a jubako.yaml with "service" nor a service.ts or service.js`,
    );
  }
  return { file: join(folder, name), exportName: '' };
}

/** `a/b.ts:name` → file and export; only tried where no file has the whole name. */
function splitExport(path: string): ServiceFile | undefined {
  const colon = path.lastIndexOf(':');
  if (colon <= 0) return undefined;
  return { file: path.slice(0, colon), exportName: path.slice(colon + 1) };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
