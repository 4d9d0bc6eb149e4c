import { didYouMean } from './did-you-mean.js';
import type { Given, Layer, Problem } from './given.js';
import { SETTINGS } from './schema.js';

const PREFIX = 'JUBAKO_';
/** The path of a configuration file, as `--config`. */
export const CONFIG_VARIABLE = 'JUBAKO_CONFIG';
/** More words for one setting than its own: repeated entries, and files that hold secrets. */
export const REMOTE_RUNNER_VARIABLE = 'JUBAKO_REMOTE_RUNNER';
/** Variables with our prefix that are no settings: the primary tells a worker by JUBAKO_WORKER which one it is. */
const OTHERS = [CONFIG_VARIABLE, 'JUBAKO_WORKER'];

/** Kubernetes tells every pod about a Service named `jubako` or `jubako-…` in variables that look like ours. */
const SERVICE_LINK =
  /^JUBAKO_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const SERVICE_LINK_PORT = /^(?:tcp|udp|sctp):\/\//;

/** An empty variable counts as unset, as compose files leave them. Values of unknown variables are never printed. */
export function readEnvironment(env: NodeJS.ProcessEnv, base: string): Layer {
  const given: Given[] = [];
  const problems: Problem[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || value === undefined || value === '') continue;
    if (OTHERS.includes(variable) || isServiceLink(variable, value)) continue;
    const origin = `environment ${variable}`;
    if (variable === REMOTE_RUNNER_VARIABLE) {
      const entries = value.split(/[\s,]+/).filter((entry) => entry !== '');
      given.push(...entries.map((entry) => ({ setting: 'remoteRunner' as const, value: entry, origin, base })));
      continue;
    }
    const setting = SETTINGS.find((candidate) => candidate.env === variable);
    const secret = SETTINGS.find((candidate) => candidate.sensitive === true && `${candidate.env}_FILE` === variable);
    if (setting !== undefined) given.push({ setting: setting.name, value, origin, base });
    else if (secret !== undefined) given.push({ setting: secret.name, value, origin, base, inFile: true });
    else problems.push({ text: `unknown variable ${variable} (environment)${didYouMean(variable, knownVariables())}` });
  }
  return { given, problems };
}

function isServiceLink(variable: string, value: string): boolean {
  return SERVICE_LINK.test(variable) || (variable.endsWith('_PORT') && SERVICE_LINK_PORT.test(value));
}

function knownVariables(): string[] {
  return [...SETTINGS.map((setting) => setting.env), ...OTHERS, REMOTE_RUNNER_VARIABLE];
}
