import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JubakoError } from '../errors.js';
import type { EntryPoint, UnavailableModel } from '../ipc/manifest.js';
import { findModels, findSingleModel, type FoundModels } from './model-repository.js';
import { stemOf } from '../onnx/onnx-model.js';
import type { ModelTarget } from './resolve-target.js';

// Models become a service: a small module in the runtime folder with all that was read from their files in it.

export interface ModelModule {
  readonly entry: EntryPoint;
  readonly unavailable: readonly UnavailableModel[];
  /** What was left out and why, a sentence each. */
  readonly warnings: readonly string[];
}

const MODEL_SERVICE = new URL('./model-service.js', import.meta.url).href;

/**
 * Makes the models importable by plain Node, as one service.
 * @param strict - one model that cannot be served is an error, not a warning.
 * @throws {JubakoError} SERVICE_INVALID - names each model that cannot be served and says why.
 */
export async function compileModels(target: ModelTarget, outDir: string, strict: boolean): Promise<ModelModule> {
  const { path } = target;
  const name = target.kind === 'model' ? stemOf(path) : toServiceName(basename(path));
  const found = target.kind === 'model' ? findSingleModel(path, name) : await findModels(path, name);
  refuseProblems(found, path, strict);
  const { models, sources, unavailable, problems, notes } = found;
  const source =
    `import { modelService } from ${JSON.stringify(MODEL_SERVICE)};\n` +
    `export default modelService(${JSON.stringify({ name, models }, null, 2)});\n`;
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const file = join(outDir, `models-${hash}.mjs`);
  await writeFile(file, source, { mode: 0o600 });
  const entry = { url: pathToFileURL(file).href, exportName: '', sources };
  return { entry, unavailable, warnings: [...problems, ...notes] };
}

function refuseProblems({ models, problems }: FoundModels, path: string, strict: boolean): void {
  if (models.length > 0 && !(strict && problems.length > 0)) return;
  const why = problems.length === 0 ? 'there is none' : problems.join('; ');
  const what = models.length === 0 ? `Cannot serve any model of ${path}` : `Cannot serve all models of ${path}`;
  throw new JubakoError('SERVICE_INVALID', `${what}: ${why}`);
}

/** The name of a folder is not chosen for us: what a service may not be called is changed. */
function toServiceName(folder: string): string {
  const name = folder.replace(/[^\w.-]+/g, '-').replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
  return name === '' ? 'models' : name.slice(0, 63).replace(/[^A-Za-z0-9]+$/, '');
}
