import type { ConfigProblems } from '../config/load-config.js';
import { JubakoError } from '../errors.js';
import { EXIT_USAGE, type CliIo } from './command.js';

/** Tells the user what ended a command, with the stack where the fault is in code; gives the exit code. */
export function reportError(thrown: unknown, io: CliIo): number {
  const error = JubakoError.from(thrown);
  io.printError(`${error.code}: ${error.message}`);
  const stack = stackOf(error);
  if (stack !== undefined) io.printError(stack);
  return error.code === 'CONFIG_INVALID' && isUsageOnly(error.details) ? EXIT_USAGE : error.kind.exit;
}

/** Of the user's code as another process saw it, or of what should not have happened here. */
function stackOf({ code, details, cause }: JubakoError): string | undefined {
  if (typeof details === 'object' && details !== null && 'stack' in details && typeof details.stack === 'string') {
    return details.stack;
  }
  return code === 'INTERNAL' && cause instanceof Error ? cause.stack : undefined;
}

function isUsageOnly(details: unknown): boolean {
  return (details as Partial<ConfigProblems> | undefined)?.usage === true;
}
