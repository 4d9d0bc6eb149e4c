import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { JubakoError } from '../errors.js';
import type { UnavailableModel } from '../ipc/manifest.js';
import { checkService } from '../service/check-service.js';
import { DEFAULT_MODEL_CONFIG, readModelConfig } from './model-config.js';
import { modelService, namesOf, type ServedModel } from './model-service.js';
import { chooseVersions, parseVersion } from './model-versions.js';
import { readOnnxModel } from '../onnx/onnx-model.js';

// Finds models on disk: one file, or a folder in Triton's layout, `<name>/<version>/model.onnx` beside `config.yaml`.
// Q1 What cannot be served is told by name and the others are served; nothing that looks like a model is passed over
//    in silence.

export interface FoundModels {
  readonly models: readonly ServedModel[];
  /** Files that were read, or that the models will read. */
  readonly sources: readonly string[];
  /** Models and versions that are not among `models`. */
  readonly unavailable: readonly UnavailableModel[];
  /** The same, and what else was meant to be a model, a sentence each. */
  readonly problems: readonly string[];
  /** What the owner of the repository may not expect, a sentence each. */
  readonly notes: readonly string[];
}

type FoundModel = Omit<FoundModels, 'problems'>;

const MODEL_FILE = 'model.onnx';
const CONFIG_FILE = 'config.yaml';
const TRITON_CONFIG_FILE = 'config.pbtxt';
const UNREAD_CONFIG_FILES = [TRITON_CONFIG_FILE, 'config.yml', 'config.json'];
const ONNX = /\.onnx$/i;

/** True for a folder that holds models, or that was meant to. */
export function isModelRepository(folder: string): boolean {
  if (filesOf(folder).some((name) => ONNX.test(name))) return true;
  return foldersOf(folder).some((name) => {
    try {
      return looksLikeModel(join(folder, name));
    } catch {
      return false; // a folder that cannot be read makes no other one a repository
    }
  });
}

/** A model file on its own is version 1. @throws {JubakoError} SERVICE_INVALID - as `readOnnxModel`. */
export function findSingleModel(file: string, name: string): FoundModels {
  const { sources, ...model } = readOnnxModel(file);
  const served = { name, version: '1', isDefault: true, hasVersions: false, model, options: {} };
  return { models: [served], sources, unavailable: [], problems: [], notes: notesOn(served) };
}

/**
 * Reads every model of a repository as far as its file's head.
 * @param service - the name of the service that will serve them.
 */
export async function findModels(folder: string, service: string): Promise<FoundModels> {
  const loose = filesOf(folder)
    .filter((name) => ONNX.test(name))
    .map((name) => `${join(folder, name)} is not served; put it into ${wantedFile(folder, name.replace(ONNX, ''))}`);
  const found: FoundModel[] = [];
  const names = new Set<string>();
  for (const name of foldersOf(folder)) {
    const one = await findModel(folder, name, service);
    const taken = one.models.flatMap(namesOf).find((other) => names.has(other));
    if (taken === undefined) found.push(one);
    else found.push(noModel(name, `another model already serves the name "${taken}"`));
    for (const other of one.models.flatMap(namesOf)) names.add(other);
  }
  const unavailable = found.flatMap((one) => one.unavailable);
  return {
    models: found.flatMap(({ models }) => models),
    sources: found.flatMap(({ sources }) => sources),
    unavailable,
    problems: [...loose, ...unavailable.map(problemOf)],
    notes: found.flatMap(({ notes }) => notes),
  };
}

async function findModel(repository: string, name: string, service: string): Promise<FoundModel> {
  try {
    return await findVersions(repository, name, service);
  } catch (thrown) {
    return noModel(name, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function noModel(name: string, reason: string): FoundModel {
  return { models: [], sources: [], unavailable: [{ name, version: '', reason }], notes: [] };
}

function problemOf({ name, version, reason }: UnavailableModel): string {
  return `model "${name}"${version === '' ? '' : ` version ${version}`}: ${reason}`;
}

async function findVersions(repository: string, name: string, service: string): Promise<FoundModel> {
  const folder = join(repository, name);
  const configFile = join(folder, CONFIG_FILE);
  const hasConfig = existsSync(configFile);
  const config = hasConfig ? await readModelConfig(configFile) : DEFAULT_MODEL_CONFIG;
  const available = foldersOf(folder).flatMap((child) => parseVersion(child) ?? []);
  const { served, missing } = chooseVersions(config.versionPolicy, available);

  const models: ServedModel[] = [];
  const sources = hasConfig ? [configFile] : [];
  const unavailable = missing.map((version) => {
    const reason = `${CONFIG_FILE} asks for it, and there is only ${available.join(', ')}`;
    return { name, version: String(version), reason };
  });
  if (available.length === 0 && (hasConfig || looksLikeModel(folder)))
    unavailable.push({ name, version: '', reason: `it has no version; wanted ${wantedFile(repository, name)}` });
  for (const version of served.map(String)) {
    try {
      const isDefault = models.length === 0; // of those that can be served, the highest
      const { sources: read, ...model } = readOnnxModel(join(folder, version, MODEL_FILE));
      const one = { name, version, isDefault, hasVersions: true, model, options: config.runner };
      checkService(modelService({ name: service, models: [one] }));
      models.push(one);
      sources.push(...read);
    } catch (thrown) {
      unavailable.push({ name, version, reason: JubakoError.from(thrown).message });
    }
  }
  const notes = [...notesOnFiles(folder, name), ...models.flatMap(notesOn)];
  return { models, sources, unavailable, notes };
}

/** A model that could perhaps be batched and is not is slower than its owner thinks. */
function notesOn({ name, version, model, options }: ServedModel): string[] {
  if (options.batch !== undefined || model.batching.kind !== 'unclear') return [];
  return [
    `model "${name}" version ${version} is served without batches: ${model.batching.reason}; ` +
      'say "batching: {}" (along axis 0 all the same) or "batching: false" in the config.yaml of a repository',
  ];
}

function notesOnFiles(folder: string, name: string): string[] {
  return filesOf(folder)
    .filter((file) => UNREAD_CONFIG_FILES.includes(file))
    .map((file) => `model "${name}": its ${file} is not read; settings go into ${CONFIG_FILE}`);
}

/** Whether a folder was meant to be a model; settings of its own do not make it one, any folder may have such a file. */
function looksLikeModel(folder: string): boolean {
  if (filesOf(folder).some((file) => ONNX.test(file) || file === TRITON_CONFIG_FILE)) return true;
  return foldersOf(folder).some(
    (version) => parseVersion(version) !== undefined && existsSync(join(folder, version, MODEL_FILE)),
  );
}

function wantedFile(repository: string, name: string): string {
  return join(repository, name, '1', MODEL_FILE);
}

function foldersOf(folder: string): string[] {
  return entriesOf(folder, true);
}

function filesOf(folder: string): string[] {
  return entriesOf(folder, false);
}

/** Sorted, without hidden ones; links count as what they lead to. */
function entriesOf(folder: string, folders: boolean): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory() === folders)
    .sort();
}
