import { readFileSync } from 'node:fs';
import { didYouMean } from '../config/did-you-mean.js';
import { readFailure } from '../config/read-file.js';
import { JubakoError } from '../errors.js';
import type { BatchOptions } from '../service/define.js';
import { preview } from '../descriptor/preview.js';
import type { VersionPolicy } from './model-versions.js';
import type { OnnxRunnerOptions } from '../onnx/onnx-runner.js';

// The `config.yaml` of one model of a repository.
// Y1 Nothing is ignored: an unknown key or a value of the wrong kind is an error that names file, key and what was wanted.

export interface ModelConfig {
  readonly versionPolicy: VersionPolicy;
  readonly runner: Pick<OnnxRunnerOptions, 'batch' | 'workers' | 'threads' | 'warmup' | 'allowNonFinite' | 'resources'>;
}

export const DEFAULT_MODEL_CONFIG: ModelConfig = { versionPolicy: { kind: 'latest', count: 1 }, runner: {} };

/** A value of the file → what it means. @param key - for the message. @throws {JubakoError} CONFIG_INVALID, without the file. */
type Read<T> = (value: unknown, key: string) => T;

const KEYS = {
  batching: readBatching,
  instances: readCount,
  threads: readCount,
  versionPolicy: readVersionPolicy,
  warmup: readSwitch,
  allowNonFinite: readSwitch,
  cpus: readCount,
  devices: readDevices,
};

const BATCHING_KEYS = { maxSize: readCount, maxLatencyMs: readMs, maxQueueSize: readCount };
const POLICY_KEYS = { latest: readCount, specific: readCounts };

/** @throws {JubakoError} CONFIG_INVALID - the file cannot be read or says something that cannot be done (Y1). */
export async function readModelConfig(file: string): Promise<ModelConfig> {
  // Only here: a repository without such a file must not pay for the parser.
  const { parseDocument } = await import('yaml');
  let content: unknown;
  try {
    const document = parseDocument(readFileSync(file, 'utf8'));
    if (document.errors[0] !== undefined) throw document.errors[0];
    content = document.toJS();
  } catch (cause) {
    const [line = ''] = readFailure(cause).split('\n');
    throw new JubakoError('CONFIG_INVALID', `Cannot read ${file}: ${line}`, { cause });
  }
  return parseModelConfig(content, file);
}

/** @param content - what the YAML says. @throws {JubakoError} CONFIG_INVALID (Y1) */
export function parseModelConfig(content: unknown, file: string): ModelConfig {
  try {
    return content === null || content === undefined ? DEFAULT_MODEL_CONFIG : toModelConfig(content);
  } catch (thrown) {
    const { code, message } = JubakoError.from(thrown);
    throw new JubakoError(code, `Cannot use ${file}: ${message}`, { cause: thrown });
  }
}

function toModelConfig(content: unknown): ModelConfig {
  if (!isFields(content)) throw refused('the file', content, 'settings as "key: value"');
  const given = readKeys(content, KEYS, '');
  const { batching, instances, threads, warmup, allowNonFinite, cpus, devices } = given;
  const hasResources = cpus !== undefined || devices !== undefined;
  return {
    versionPolicy: given.versionPolicy ?? DEFAULT_MODEL_CONFIG.versionPolicy,
    runner: {
      ...(batching !== undefined && { batch: batching }),
      ...(instances !== undefined && { workers: instances }),
      ...(threads !== undefined && { threads }),
      ...(warmup !== undefined && { warmup }),
      ...(allowNonFinite !== undefined && { allowNonFinite }),
      ...(hasResources && {
        resources: { ...(cpus !== undefined && { cpus }), ...(devices !== undefined && { devices }) },
      }),
    },
  };
}

type Values<R extends Readonly<Record<string, Read<unknown>>>> = { readonly [K in keyof R]?: ReturnType<R[K]> };

/** The values of the keys that are there; a key that is not known is refused. @param prefix - of the keys in messages. */
function readKeys<R extends Readonly<Record<string, Read<unknown>>>>(
  fields: Readonly<Record<string, unknown>>,
  keys: R,
  prefix: string,
): Values<R> {
  const known = Object.keys(keys);
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (read === undefined) {
      const hint = didYouMean(key, known);
      throw new JubakoError(
        'CONFIG_INVALID',
        `unknown key "${prefix}${key}"${hint} (the keys are ${known.join(', ')})`,
      );
    }
    values[key] = read(value, `${prefix}${key}`);
  }
  return values as Values<R>;
}

function readBatching(value: unknown, key: string): BatchOptions | false {
  if (value === false) return false;
  if (!isFields(value)) throw refused(key, value, `false, or ${Object.keys(BATCHING_KEYS).join(', ')}`);
  return readKeys(value, BATCHING_KEYS, `${key}.`);
}

function readVersionPolicy(value: unknown, key: string): VersionPolicy {
  const wanted = 'all, or { latest: N }, or { specific: [N, …] }';
  if (value === 'all') return { kind: 'all' };
  if (!isFields(value)) throw refused(key, value, wanted);
  const { latest, specific } = readKeys(value, POLICY_KEYS, `${key}.`);
  if (latest !== undefined && specific === undefined) return { kind: 'latest', count: latest };
  if (specific !== undefined && latest === undefined) return { kind: 'specific', versions: specific };
  throw refused(key, value, wanted);
}

function readCount(value: unknown, key: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw refused(key, value, 'a whole number from 1');
}

function readCounts(value: unknown, key: string): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) throw refused(key, value, 'a list of whole numbers from 1');
  return value.map((one: unknown, index) => readCount(one, `${key}[${index}]`));
}

function readMs(value: unknown, key: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw refused(key, value, 'a number of milliseconds above 0');
}

function readSwitch(value: unknown, key: string): boolean {
  if (typeof value === 'boolean') return value;
  throw refused(key, value, 'true or false');
}

function readDevices(value: unknown, key: string): readonly string[] {
  const isDevice = (one: unknown): one is string | number =>
    (typeof one === 'string' && one !== '') || (typeof one === 'number' && Number.isInteger(one) && one >= 0);
  if (Array.isArray(value) && value.every(isDevice)) return value.map(String);
  throw refused(key, value, 'a list of devices, such as [0, 1]');
}

function refused(key: string, value: unknown, wanted: string): JubakoError {
  return new JubakoError('CONFIG_INVALID', `${key} is ${preview(value)}; wanted ${wanted}`);
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
