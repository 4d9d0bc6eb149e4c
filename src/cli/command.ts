import type { CommandName, LoadedConfig } from '../config/load-config.js';
import type { Manifest } from '../service/manifest.js';

/** 64 is EX_USAGE of sysexits.h: the command line is wrong, as opposed to a setting (78, EX_CONFIG). */
export const EXIT_USAGE = 64;

/** One file per command: what help says about it and what it does live together. */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  /** The server command whose settings it takes as flags; undefined: none. */
  readonly flagsOf?: CommandName;
  /** Switches of its own, name without dashes → what it does. */
  readonly switches?: Readonly<Record<string, string>>;
  /** Gives the exit code; never ends the process, so a test runs it in-process. */
  run(context: CommandContext): Promise<number>;
}

export interface CommandContext {
  /** After the command word. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly io: CliIo;
}

/** Everything that a command does outside of itself. */
export interface CliIo {
  /** A line, or several, on standard output. */
  print(text: string): void;
  printError(text: string): void;
  /** Calls `listener` for each SIGTERM and SIGINT until the returned function is called. */
  onStopSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** A clock that never goes back, in ms. */
  nowMs(): number;
  startServer(options: StartOptions): Promise<RunningServer>;
  /** @throws {JubakoError} SERVICE_INVALID */
  describeTarget(target: string, loaded: LoadedConfig): Promise<TargetDescription>;
}

/** A target as `serve` would have it, in the words of the supervisor. */
export interface TargetDescription {
  readonly manifest: Manifest;
  /** What is left out and why, a sentence each. */
  readonly warnings: readonly string[];
  /** A line for each pool. */
  readonly plan: readonly string[];
}

export interface StartOptions {
  readonly command: CommandName;
  readonly target: string;
  readonly loaded: LoadedConfig;
}

/** The part of the supervisor's handle that a command needs. */
export interface RunningServer {
  /** Rejects with the JubakoError that kept the server from starting. */
  readonly ready: Promise<void>;
  /** Resolves with the exit code when everything has ended. */
  readonly closed: Promise<number>;
  /** Drains, then ends. */
  close(): Promise<void>;
  /** Ends now. */
  kill(): void;
}

/** What is served where no target is named. */
export const DEFAULT_TARGET = '.';

/** Splits a command's own switches from the flags that are settings. */
export function takeSwitch(args: readonly string[], name: string): { readonly isOn: boolean; readonly rest: string[] } {
  const rest = args.filter((arg) => arg !== `--${name}`);
  return { isOn: rest.length < args.length, rest };
}
