import { parseArgs } from 'node:util';
import { didYouMean } from './did-you-mean.js';
import { flagsOf, FOREIGN_FLAGS, SHORT_ALIASES, type Flag } from './flags.js';
import type { Given, Layer, Problem } from './given.js';
import { COMMAND_NAMES, SETTINGS } from './schema.js';
import type { CommandName } from './settings.js';

export interface FlagsLayer extends Layer {
  readonly positionals: readonly string[];
  /** Of `--config`. */
  readonly file: string | undefined;
}

type FlagMap = ReadonlyMap<string, Flag>;

/** An option as `parseArgs` saw it. */
interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

type Reading =
  | { readonly kind: 'value'; readonly flag: Flag; readonly value: string }
  | { readonly kind: 'wrong'; readonly text: string };

/** Secrets have no plain flag, but what follows one must be eaten: as a positional it would be shown as the target. */
const SECRET_FLAGS = new Map(SETTINGS.filter(({ sensitive }) => sensitive === true).map((row) => [row.flag, row]));

/** Takes the command line apart; the last of a repeated flag counts. */
export function readFlags(command: CommandName, args: readonly string[], base: string): FlagsLayer {
  const flags = flagMap(command);
  const given: Given[] = [];
  const problems: Problem[] = [];
  const positionals: string[] = [];
  let file: string | undefined;
  for (const token of tokenize(args, flags)) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const reading = readOption(token, command, flags);
    if (reading.kind === 'wrong') {
      problems.push({ text: reading.text, usage: true });
      continue;
    }
    const { flag, value } = reading;
    if (flag.setting === undefined) file = value;
    else {
      const origin = `flag ${token.rawName}`;
      given.push({ setting: flag.setting, value, origin, base, ...(flag.inFile === true && { inFile: true }) });
    }
  }
  // After an unknown flag nobody knows whether the next word was its value: one complaint is enough.
  if (positionals.length > 1 && problems.length === 0) {
    const words = positionals.map((word) => JSON.stringify(word)).join(', ');
    problems.push({ text: `too many targets: wanted one, got ${words}`, usage: true });
  }
  return { given, problems, positionals, file };
}

function readOption(token: OptionToken, command: CommandName, flags: FlagMap): Reading {
  const { name, rawName, value } = token;
  const wrong = (text: string): Reading => ({ kind: 'wrong', text: `${rawName}: ${text}` });
  const secret = SECRET_FLAGS.get(name);
  if (secret !== undefined) {
    return wrong(
      `a secret must not stand on a command line; wanted --${secret.flag}-file FILE or the variable ${secret.env}`,
    );
  }
  const [flag, negated] = rawName.startsWith('--') ? find(name, flags) : [undefined, false];
  if (flag === undefined) return { kind: 'wrong', text: explainUnknown(rawName, name, command, flags) };
  if (flag.placeholder === '') {
    // `--grpc=false` is a spelling of `--no-grpc`; the other switches have one meaning only.
    if (value !== undefined && (negated || flag.negatable !== true)) return wrong('it takes no value');
    return { kind: 'value', flag, value: negated ? 'false' : (value ?? flag.means ?? 'true') };
  }
  // `--port --host x`: the value was forgotten; but a negative number is a value.
  const isForgotten = value === undefined || (token.inlineValue === false && /^-\D/.test(value));
  return isForgotten
    ? wrong(`the value is missing; wanted ${rawName} ${flag.placeholder}`)
    : { kind: 'value', flag, value };
}

function tokenize(args: readonly string[], flags: FlagMap): NonNullable<ReturnType<typeof parseArgs>['tokens']> {
  const end = args.indexOf('--');
  const spelled = args.map((arg, index) => (end >= 0 && index > end ? arg : (SHORT_ALIASES[arg] ?? arg)));
  const valued = [...flags.values()].filter(({ placeholder }) => placeholder !== '').map(({ name }) => name);
  const options = Object.fromEntries(
    [...valued, ...SECRET_FLAGS.keys()].map((name) => [name, { type: 'string' as const }]),
  );
  // Not strict: it would throw at the first problem, and we report them all.
  return parseArgs({ args: spelled, options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

function find(name: string, flags: FlagMap): readonly [flag: Flag | undefined, negated: boolean] {
  const exact = flags.get(name);
  if (exact !== undefined || !name.startsWith('no-')) return [exact, false];
  const positive = flags.get(name.slice('no-'.length));
  return positive?.negatable === true ? [positive, true] : [undefined, false];
}

function explainUnknown(rawName: string, name: string, command: CommandName, flags: FlagMap): string {
  const foreign = FOREIGN_FLAGS.get(name);
  if (foreign !== undefined) return `unknown flag ${rawName}: ${foreign}`;
  const takers = COMMAND_NAMES.filter((other) => find(name, flagMap(other))[0] !== undefined);
  if (takers.length > 0 && rawName.startsWith('--'))
    return `${rawName}: "${command}" does not take it; ${takers.join(', ')} would`;
  const candidates = [...flags.keys()].map((flag) => `--${flag}`);
  return `unknown flag ${rawName}${didYouMean(rawName, candidates)}`;
}

function flagMap(command: CommandName): FlagMap {
  return new Map(flagsOf(command).map((flag) => [flag.name, flag]));
}
