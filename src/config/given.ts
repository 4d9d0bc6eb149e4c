import type { SettingName } from './settings.js';

/** A value that somebody gave for a setting, not yet checked. */
export interface Given {
  readonly setting: SettingName | 'remoteRunner';
  readonly value: unknown;
  /** `flag --port`, `environment JUBAKO_PORT`, `file x.yaml:port`, `option port`. */
  readonly origin: string;
  /** Folder that a relative path is relative to. */
  readonly base: string;
  /** True: `value` is the path of a file that holds the value. */
  readonly inFile?: true;
}

/** Something that must be mended before the server can start. One line, without secrets. */
export interface Problem {
  readonly text: string;
  /** True: the command line itself is wrong, not a value. */
  readonly usage?: true;
  /** The setting whose value was refused. */
  readonly setting?: SettingName;
}

/** What one source gave. */
export interface Layer {
  readonly given: readonly Given[];
  readonly problems: readonly Problem[];
}
