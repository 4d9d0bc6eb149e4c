import { didYouMean } from '../config/did-you-mean.js';
import { flagsOf, type Flag } from '../config/flags.js';
import { EXIT_USAGE, type Command } from './command.js';
import { COMMANDS } from './commands.js';

const WIDTH = 100;
const FLAG_INDENT = '  ';
const TEXT_INDENT = '      ';

export const help: Command = {
  usage: 'help [COMMAND]',
  summary: 'Print all commands, or all flags of one.',
  async run({ args, io }) {
    const [name] = args;
    if (name === undefined) {
      io.print(await renderOverview());
      return 0;
    }
    const load = COMMANDS.get(name);
    if (load === undefined) {
      io.printError(`Unknown command "${name}"${didYouMean(name, COMMANDS.keys())}`);
      return EXIT_USAGE;
    }
    io.print(renderHelp(await load()));
    return 0;
  },
};

async function renderOverview(): Promise<string> {
  const commands = await Promise.all([...COMMANDS.values()].map((load) => load()));
  return [
    'Usage: jubako COMMAND, or jubako TARGET, which is jubako serve TARGET',
    '',
    ...commands.flatMap(({ usage, summary }) => [`${FLAG_INDENT}jubako ${usage}`, ...wrap(summary)]),
    '',
    'TARGET is a module (service.ts, or service.ts:export) or a folder with one, or with a jubako.yaml; default: this folder.',
    'jubako help COMMAND prints the flags of a command, jubako --version the version.',
  ].join('\n');
}

/** Usage, summary and every flag with its variable and default. */
export function renderHelp(command: Command): string {
  const switches = Object.entries(command.switches ?? {}).flatMap(([name, doc]) => [
    `${FLAG_INDENT}--${name}`,
    ...wrap(doc),
  ]);
  const flags = command.flagsOf === undefined ? [] : flagsOf(command.flagsOf).flatMap(renderFlag);
  const lines = [`Usage: jubako ${command.usage}`, '', command.summary];
  if (switches.length + flags.length > 0) lines.push('', 'Flags:', ...switches, ...flags);
  if (flags.length > 0) {
    lines.push(
      '',
      'Of the same setting, a flag beats its variable, a variable beats --config, --config beats the jubako.yaml of the target.',
    );
  }
  return lines.join('\n');
}

function renderFlag(flag: Flag): string[] {
  const name = flag.negatable === true ? `--[no-]${flag.name}` : `--${flag.name}`;
  const facts = [flag.env, flag.default === undefined ? undefined : `default: ${flag.default}`];
  const last = facts.filter((fact) => fact !== undefined).join('; ');
  const head = flag.placeholder === '' ? name : `${name} ${flag.placeholder}`;
  return [`${FLAG_INDENT}${head}`, ...wrap(flag.doc), ...(last === '' ? [] : wrap(last))];
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && TEXT_INDENT.length + line.length + 1 + word.length > WIDTH) {
      lines.push(TEXT_INDENT + line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, TEXT_INDENT + line];
}
