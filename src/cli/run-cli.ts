import { existsSync, readFileSync } from 'node:fs';
import { didYouMean, nearest } from '../config/did-you-mean.js';
import { EXIT_USAGE, type CliIo, type Command } from './command.js';
import { COMMANDS } from './commands.js';
import { reportError } from './report-error.js';

/**
 * Runs the command that `argv` names, without node and script, and gives its exit code. Never rejects.
 * Without a command word it serves: `jubako TARGET --port 80`.
 */
export async function runCli(argv: readonly string[], env: NodeJS.ProcessEnv, io: CliIo): Promise<number> {
  try {
    const [word = '', ...rest] = argv;
    if (word === '--version' || word === '-V') {
      io.print(readVersion());
      return 0;
    }
    if (word === '--help' || word === '-h') return await run('help', rest, env, io);
    if (COMMANDS.has(word)) return await run(word, rest, env, io);
    if (!isTarget(word)) {
      io.printError(`Unknown command "${word}"${didYouMean(word, COMMANDS.keys())}\nSee jubako help`);
      return EXIT_USAGE;
    }
    return await run('serve', argv, env, io);
  } catch (thrown) {
    return reportError(thrown, io);
  }
}

async function run(name: string, args: readonly string[], env: NodeJS.ProcessEnv, io: CliIo): Promise<number> {
  const load = COMMANDS.get(name) as () => Promise<Command>;
  const command = await load();
  if (!asksForHelp(args)) return command.run({ args, env, io });
  const { renderHelp } = await import('./help.js');
  io.print(renderHelp(command));
  return 0;
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  return own.includes('--help') || own.includes('-h');
}

/** A word that names no command is a target, unless it looks like a mistyped command and nothing has that name. */
function isTarget(word: string): boolean {
  return (
    word === '' ||
    word.startsWith('-') ||
    /[./\\:]/.test(word) ||
    existsSync(word) ||
    nearest(word, COMMANDS.keys()) === undefined
  );
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}
