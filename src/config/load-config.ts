// Default < development < file of the target < --config < environment < flags and options.
// L1 Reads only its arguments and the files that they name, so no test touches process.env.
// L2 Every problem is reported, in one error, each with what it is about and where it came from; secrets are masked.
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import convict from 'convict';
import { JubakoError } from '../errors.js';
import type { RunnerMap } from './addresses.js';
import { contradictions } from './contradictions.js';
import { didYouMean } from './did-you-mean.js';
import { readRemoteRunner } from './formats.js';
import type { Given, Layer, Problem } from './given.js';
import { CONFIG_VARIABLE, readEnvironment } from './read-environment.js';
import { readFailure, readSettingsFile, TARGET_FILE } from './read-file.js';
import { readFlags } from './read-flags.js';
import { convictSchema, defaultFor, SETTING_BY_NAME, SETTINGS, type Setting } from './schema.js';
import type { CommandName, ServerConfig, SettingName } from './settings.js';

export type { CommandName, ServerConfig, SettingName } from './settings.js';

export interface LoadConfigOptions {
  readonly command: CommandName;
  /** Command line after the command; its first positional is the target. */
  readonly args?: readonly string[];
  /** The target, where `args` has none. */
  readonly target?: string;
  /** What a typed function was given; wins over `args`. */
  readonly options?: SettingOptions;
  readonly env: NodeJS.ProcessEnv;
  /** As `--config`, which wins. */
  readonly file?: string;
  /** Absolute; default: that of the process. */
  readonly cwd?: string;
}

/** Settings as the parameters of a function: absent and undefined mean the same. */
export type SettingOptions = { readonly [Name in SettingName]?: ServerConfig[Name] | undefined };

export interface LoadedConfig {
  readonly config: ServerConfig;
  /** Where each value came from: `default`, `development`, `flag --port`, … */
  readonly origins: Readonly<Record<SettingName, string>>;
  readonly positionals: readonly string[];
  /** The key `service` of the target's jubako.yaml, as written: relative to that folder. */
  readonly serviceFile?: string;
}

/** What the `details` of the error say. */
export interface ConfigProblems {
  readonly problems: readonly string[];
  /** True: only the command line is wrong, no value. */
  readonly usage: boolean;
}

export const MASK = '********';

/** @throws {JubakoError} CONFIG_INVALID - a line per problem; `details` are ConfigProblems. */
export async function loadConfig(from: LoadConfigOptions): Promise<LoadedConfig> {
  const { command } = from;
  const cwd = from.cwd ?? process.cwd();
  const flags = readFlags(command, from.args ?? [], cwd);
  const environment = readEnvironment(from.env, cwd);
  const options = readOptions(from.options ?? {}, cwd);
  const target = flags.positionals[0] ?? from.target;
  const targetFile =
    target === undefined ? undefined : findTargetFile(target, workingDirOf([environment, flags, options], cwd));
  const variable = from.env[CONFIG_VARIABLE] === '' ? undefined : from.env[CONFIG_VARIABLE];
  const configFile = flags.file ?? from.file ?? variable;

  const targetLayer = targetFile === undefined ? undefined : await readSettingsFile(targetFile, targetFile, true);
  const configLayer =
    configFile === undefined ? undefined : await readSettingsFile(resolve(cwd, configFile), configFile, false);
  const layers = [targetLayer, configLayer, environment, flags, options].filter((layer) => layer !== undefined);

  const problems = layers.flatMap((layer) => layer.problems);
  const values = mergeLayers(command, layers, problems);
  applyDevelopment(command, values);
  if (command === 'start-grpc-server') unifyGrpc(values);
  const config = toConfig(command, values);
  const refused = new Set(problems.flatMap(({ setting }) => setting ?? []));
  problems.push(...contradictions(command, config, refused));
  refuse(problems);
  const origins = Object.fromEntries([...values].map(([name, { origin }]) => [name, origin])) as Record<
    SettingName,
    string
  >;
  const serviceFile = targetLayer?.serviceFile;
  return { config, origins, positionals: [...flags.positionals], ...(serviceFile !== undefined && { serviceFile }) };
}

/** A checked value; `rank` is the layer that gave it, -1: the default. */
interface Settled {
  readonly value: unknown;
  readonly origin: string;
  readonly rank: number;
}

type Values = Map<SettingName, Settled>;

function mergeLayers(command: CommandName, layers: readonly Layer[], problems: Problem[]): Values {
  const values: Values = new Map(
    SETTINGS.map((setting) => [setting.name, { value: defaultFor(setting, command), origin: 'default', rank: -1 }]),
  );
  for (const [rank, { given }] of layers.entries()) {
    for (const entry of given) {
      if (entry.setting === 'remoteRunner') continue;
      const value = readValue(entry, entry.setting, problems);
      if (value !== undefined) values.set(entry.setting, { value, origin: entry.origin, rank });
    }
    const remote = given.filter((entry) => entry.setting === 'remoteRunner');
    if (remote.length > 0) mergeRemoteRunners(values, remote, rank, problems);
  }
  return values;
}

/** The checked value, or undefined where it became a problem. */
function readValue(entry: Given, name: SettingName, problems: Problem[]): unknown {
  const setting = SETTING_BY_NAME.get(name) as Setting;
  let { value } = entry;
  if (entry.inFile === true) {
    const file = resolve(entry.base, String(value));
    try {
      value = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    } catch (thrown) {
      problems.push({
        text: `${name} (${entry.origin}): cannot read the file "${file}": ${readFailure(thrown)}`,
        setting: name,
      });
      return undefined;
    }
  }
  try {
    return setting.format.read(value, entry.base);
  } catch (thrown) {
    const shown = setting.sensitive === true ? MASK : show(value);
    problems.push({ text: `${name} ${shown} (${entry.origin}): ${JubakoError.from(thrown).message}`, setting: name });
    return undefined;
  }
}

/** A runner named here replaces its entry of the map; the same name twice gives two addresses. */
function mergeRemoteRunners(values: Values, remote: readonly Given[], rank: number, problems: Problem[]): void {
  const named = new Map<string, string[]>();
  for (const entry of remote) {
    try {
      const [name, address] = readRemoteRunner(String(entry.value));
      named.set(name, [...(named.get(name) ?? []), address]);
    } catch (thrown) {
      const why = JubakoError.from(thrown).message;
      problems.push({ text: `remoteRunner ${show(entry.value)} (${entry.origin}): ${why}` });
    }
  }
  const before = values.get('runnerMap');
  const origins = new Set(remote.map((entry) => entry.origin));
  if (before !== undefined && before.rank >= 0) origins.add(before.origin);
  const value = { ...(before?.value as RunnerMap), ...Object.fromEntries(named) };
  values.set('runnerMap', { value, origin: [...origins].join(', '), rank });
}

/** A command that does not take `development` may still find it in a file that it shares with `serve`. */
function applyDevelopment(command: CommandName, values: Values): void {
  const isTaken = SETTING_BY_NAME.get('development')?.commands.includes(command) === true;
  if (!isTaken || values.get('development')?.value !== true) return;
  for (const { name, developmentDefault } of SETTINGS) {
    if (developmentDefault === undefined || values.get(name)?.rank !== -1) continue;
    values.set(name, { value: developmentDefault, origin: 'development', rank: -1 });
  }
}

/**
 * In a server that is gRPC only, `port` and `grpcPort` are one setting, as are the hosts and the workers. The later
 * layer wins, within a layer the more specific name: so one file with both serves `serve` and the single tiers alike.
 */
function unifyGrpc(values: Values): void {
  const pairs = [
    ['host', 'grpcHost'],
    ['port', 'grpcPort'],
    ['apiWorkers', 'grpcWorkers'],
  ] as const;
  for (const [plain, specific] of pairs) {
    const own = values.get(specific);
    const general = values.get(plain);
    if (own === undefined || general === undefined) continue;
    const isOwn = own.rank >= 0 && own.rank >= general.rank && own.value !== null;
    values.set(isOwn ? plain : specific, isOwn ? own : general);
  }
  values.set('grpc', { value: true, origin: 'command start-grpc-server', rank: -1 });
}

function toConfig(command: CommandName, values: Values): ServerConfig {
  const { runnerMap, ...rest } = Object.fromEntries([...values].map(([name, { value }]) => [name, value]));
  // Sources are read by us: convict would turn "80x" into 80 and any text but "false" into true, and forgets who gave what.
  const holder = convict(convictSchema(command), { env: {}, args: [] });
  holder.load(rest);
  holder.validate({ allowed: 'strict' });
  // Beside convict, which takes the dots of a runner called "resnet.v1" for nesting.
  return { ...holder.getProperties(), runnerMap: runnerMap as RunnerMap };
}

function readOptions(options: SettingOptions, base: string): Layer {
  const given: Given[] = [];
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined) continue;
    if (SETTING_BY_NAME.has(name)) given.push({ setting: name as SettingName, value, origin: `option ${name}`, base });
    else problems.push({ text: `unknown option "${name}"${didYouMean(name, SETTING_BY_NAME.keys())}` });
  }
  return { given, problems };
}

/** The folder that the target is relative to; a file cannot say it, because it is found through the target. */
function workingDirOf(layers: readonly Layer[], cwd: string): string {
  const found = layers.flatMap((layer) => layer.given).findLast((entry) => entry.setting === 'workingDir')?.value;
  return typeof found === 'string' ? resolve(cwd, found) : cwd;
}

/** Of `folder` or `folder:export`. */
function findTargetFile(target: string, workingDir: string): string | undefined {
  const folders = [target, target.replace(/:[^:/]*$/, '')].map((folder) =>
    join(resolve(workingDir, folder), TARGET_FILE),
  );
  return folders.find(isFile);
}

/** A module as target makes a path through a file (ENOTDIR): no file there either. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false; // what is wrong with the target is told by whoever loads it
  }
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ text }) => text);
  const count = lines.length === 1 ? '1 problem' : `${lines.length} problems`;
  const details: ConfigProblems = { problems: lines, usage: problems.every(({ usage }) => usage === true) };
  throw new JubakoError('CONFIG_INVALID', `Cannot use the configuration, ${count}:\n  ${lines.join('\n  ')}`, {
    details,
  });
}

function show(value: unknown): string {
  const text =
    typeof value === 'string' ? JSON.stringify(value) : inspect(value, { breakLength: Number.POSITIVE_INFINITY });
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
