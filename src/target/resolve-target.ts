import { existsSync, statSync } from 'node:fs';
import { extname, isAbsolute, join, resolve } from 'node:path';
import { JubakoError } from '../errors.js';
import { isModelRepository } from './model-repository.js';

/** A target on disk: a module that holds a service, or models that need none. */
export type Target = ServiceFile | ModelTarget;

export interface ServiceFile {
  readonly kind: 'module';
  readonly file: string;
  /** Name of the export; empty: find it. */
  readonly exportName: string;
}

export interface ModelTarget {
  /** One model file, or a folder in Triton's layout. */
  readonly kind: 'model' | 'repository';
  readonly path: string;
}

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];
const DEFAULT_FILES = EXTENSIONS.map((extension) => `service${extension}`);
const MODEL_EXTENSION = '.onnx';

/**
 * `path/to/service.ts`, `path/to/service.ts:export`, a folder with a `jubako.yaml` (its `service` key) or a
 * `service.ts`/`.js`, `model.onnx`, or a folder with `<name>/<version>/model.onnx`.
 * @param serviceFile - the `service` key of the folder's `jubako.yaml`, if it has one.
 * @throws {JubakoError} SERVICE_INVALID - says what was looked for.
 */
export function resolveTarget(target: string, workingDir: string, serviceFile: string | undefined): Target {
  const whole = resolve(workingDir, target);
  const inFolder = isFolder(whole) ? targetOfFolder(whole, serviceFile) : toModule(whole, '');
  if (inFolder.kind !== 'module') return inFolder;
  const found = existsSync(inFolder.file) ? inFolder : splitExport(inFolder.file);
  if (found === undefined || !existsSync(found.file)) {
    throw new JubakoError('SERVICE_INVALID', `Cannot find the target "${target}": no file or folder ${inFolder.file}`);
  }
  if (isFolder(found.file)) {
    const inner = targetOfFolder(found.file, serviceFile);
    return inner.kind === 'module' ? toModule(inner.file, found.exportName) : inner;
  }
  const extension = extname(found.file).toLowerCase();
  if (extension === MODEL_EXTENSION) return { kind: 'model', path: found.file };
  if (!EXTENSIONS.includes(extension)) {
    throw new JubakoError(
      'SERVICE_INVALID',
      `Cannot serve "${target}": wanted a module (${EXTENSIONS.join(', ')}), a model (${MODEL_EXTENSION}) or a folder ` +
        `with one, got "${extname(found.file)}"`,
    );
  }
  return found;
}

/** A folder that is both, a service and models, is a service. */
function targetOfFolder(folder: string, serviceFile: string | undefined): Target {
  if (serviceFile !== undefined) {
    const file = isAbsolute(serviceFile) ? serviceFile : join(folder, serviceFile);
    return existsSync(file) ? toModule(file, '') : (splitExport(file) ?? toModule(file, ''));
  }
  const name = DEFAULT_FILES.find((candidate) => existsSync(join(folder, candidate)));
  if (name !== undefined) return toModule(join(folder, name), '');
  if (isModelRepository(folder)) return { kind: 'repository', path: folder };
  throw new JubakoError(
    'SERVICE_INVALID',
    `Cannot serve the folder ${folder}: it has neither a jubako.yaml with "service" nor a service.ts or service.js, and ` +
      'no models as <name>/<version>/model.onnx',
  );
}

function toModule(file: string, exportName: string): ServiceFile {
  return { kind: 'module', file, exportName };
}

/** `a/b.ts:name` → file and export; only tried where no file has the whole name. */
function splitExport(path: string): ServiceFile | undefined {
  const colon = path.lastIndexOf(':');
  if (colon <= 0) return undefined;
  return toModule(path.slice(0, colon), path.slice(colon + 1));
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
