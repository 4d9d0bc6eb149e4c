// The flags of each command as data: the parser and `--help` read the same list.
import { CONFIG_VARIABLE, REMOTE_RUNNER_VARIABLE } from './read-environment.js';
import { defaultFor, SETTINGS, type Setting } from './schema.js';
import type { CommandName, SettingName } from './settings.js';

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** What it sets; undefined: `--config`, which sets nothing itself. */
  readonly setting: SettingName | 'remoteRunner' | undefined;
  /** Stands for the value in help; empty: a switch. */
  readonly placeholder: string;
  /** The value that a switch stands for; default: true. */
  readonly means?: string;
  /** Its value is the path of a file that holds the value. */
  readonly inFile?: true;
  /** A switch that `--no-…` turns off. */
  readonly negatable?: true;
  readonly doc: string;
  /** For help: the variable that says the same, and where the setting starts from. */
  readonly env?: string;
  readonly default?: string;
}

/** Words of the reference, and words that most commands have. */
const ALIASES: readonly { readonly name: string; readonly setting: SettingName; readonly means?: string }[] = [
  { name: 'enable-reflection', setting: 'reflection' },
  { name: 'enable-channelz', setting: 'channelz' },
  { name: 'debug', setting: 'logLevel', means: 'debug' },
  { name: 'verbose', setting: 'logLevel', means: 'debug' },
  { name: 'quiet', setting: 'logLevel', means: 'warn' },
];

/** The reference's own spelling with one dash and two letters, which `parseArgs` would take for two flags. */
export const SHORT_ALIASES: Readonly<Record<string, string>> = { '-pv': '--protocol-version' };

/** Flags that people bring along from the reference, and what to do instead. */
export const FOREIGN_FLAGS: ReadonlyMap<string, string> = new Map([
  ['production', 'leave it out, only --development changes how the server runs'],
  ['reload', 'use --development, which reloads when a source file changes'],
  ['bind', 'use --host and --port'],
]);

const REMOTE_RUNNER: Flag = {
  name: 'remote-runner',
  setting: 'remoteRunner',
  placeholder: 'NAME=ADDRESS',
  doc: 'One address of one runner, instead of what the runner map says of that runner; may be repeated.',
  env: `${REMOTE_RUNNER_VARIABLE} (separated by commas or spaces)`,
};

const CONFIG: Flag = {
  name: 'config',
  setting: undefined,
  placeholder: 'FILE',
  doc: 'YAML file with settings under their names in code, e.g. apiWorkers.',
  env: CONFIG_VARIABLE,
};

/** In the order of help. */
export function flagsOf(command: CommandName): readonly Flag[] {
  const flags: Flag[] = [];
  for (const setting of SETTINGS) {
    if (!setting.commands.includes(command)) continue;
    flags.push(toFlag(setting, command));
    if (setting.name === 'runnerMap') flags.push(REMOTE_RUNNER);
    for (const alias of ALIASES) if (alias.setting === setting.name) flags.push(toAliasFlag(alias, setting));
  }
  return [...flags, CONFIG];
}

/** `null` in words. */
export function formatDefault(setting: Setting, command: CommandName): string {
  const value = defaultFor(setting, command);
  if (value !== null) return typeof value === 'string' ? value : JSON.stringify(value);
  return setting.format.placeholder.endsWith('|auto') ? 'auto' : 'not set';
}

function toFlag(setting: Setting, command: CommandName): Flag {
  const { name, flag, doc, env, format } = setting;
  const row = { setting: name, doc, env, default: formatDefault(setting, command) };
  if (setting.sensitive === true) {
    return {
      ...row,
      name: `${flag}-file`,
      placeholder: 'FILE',
      inFile: true,
      doc: `File that holds this: ${doc}`,
      env: `${env}, or ${env}_FILE`,
    };
  }
  if (format.placeholder === '') return { ...row, name: flag, placeholder: '', negatable: true };
  const spelling = Object.entries(SHORT_ALIASES).find(([, long]) => long === `--${flag}`)?.[0];
  return {
    ...row,
    name: flag,
    placeholder: format.placeholder,
    doc: spelling === undefined ? doc : `${doc} Short: ${spelling}.`,
  };
}

function toAliasFlag(alias: (typeof ALIASES)[number], setting: Setting): Flag {
  const same = alias.means === undefined ? `--${setting.flag}` : `--${setting.flag} ${alias.means}`;
  const { name, means } = alias;
  return {
    name,
    setting: setting.name,
    placeholder: '',
    doc: `The same as ${same}.`,
    ...(means !== undefined && { means }),
  };
}
