import { loadConfig, MASK, type CommandName, type LoadedConfig } from '../config/load-config.js';
import { COMMAND_NAMES, SETTINGS, type Setting } from '../config/schema.js';
import { DEFAULT_TARGET, takeSwitch, type Command } from './command.js';

export const config: Command = {
  usage: 'config [show] [COMMAND] [TARGET] [--json] [flags]',
  summary: 'Print every setting as COMMAND (default: serve) would use it, and where it came from.',
  flagsOf: 'serve',
  switches: { json: 'Print JSON: name → value, origin, doc, flag and variable.' },
  async run({ args, env, io }) {
    const json = takeSwitch(args, 'json');
    const words = json.rest[0] === 'show' ? json.rest.slice(1) : json.rest;
    const named = COMMAND_NAMES.find((name) => name === words[0]);
    const command: CommandName = named ?? 'serve';
    const settings = named === undefined ? words : words.slice(1);
    const loaded = await loadConfig({ command, args: settings, env, target: DEFAULT_TARGET });
    io.print(json.isOn ? toJson(loaded) : SETTINGS.map((setting) => toText(setting, loaded)).join('\n'));
    return 0;
  },
};

function toText(setting: Setting, loaded: LoadedConfig): string {
  const value = JSON.stringify(shownValue(setting, loaded));
  return `${setting.name} = ${value}  (${loaded.origins[setting.name]})\n    ${setting.doc}`;
}

function toJson(loaded: LoadedConfig): string {
  const rows = SETTINGS.map((setting) => {
    const { name, doc, flag, env } = setting;
    return [
      name,
      { value: shownValue(setting, loaded), origin: loaded.origins[name], doc, flag: `--${flag}`, env },
    ] as const;
  });
  return JSON.stringify(Object.fromEntries(rows), null, 2);
}

/** A secret shows only whether it is set. */
function shownValue(setting: Setting, loaded: LoadedConfig): unknown {
  const value = loaded.config[setting.name];
  const isUnset = value === null || (Array.isArray(value) && value.length === 0);
  return setting.sensitive === true && !isUnset ? MASK : value;
}
