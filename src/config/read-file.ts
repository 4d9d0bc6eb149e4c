import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { didYouMean } from './did-you-mean.js';
import type { Given, Layer, Problem } from './given.js';
import { SETTING_BY_NAME } from './schema.js';
import type { SettingName } from './settings.js';

/** The settings file of a folder that is served. */
export const TARGET_FILE = 'jubako.yaml';
const SERVICE_KEY = 'service';

export interface FileLayer extends Layer {
  /** The key `service` of a target's own file. */
  readonly serviceFile: string | undefined;
}

/**
 * Reads settings from a YAML (or JSON) file. Messages never quote the file: it may hold secrets.
 * @param file - absolute; relative paths in it are relative to its folder.
 * @param shown - the file as the user named it.
 * @param mayNameService - whether the key `service` is allowed beside the settings.
 */
export async function readSettingsFile(file: string, shown: string, mayNameService: boolean): Promise<FileLayer> {
  const failed = (why: string): FileLayer => ({
    given: [],
    problems: [{ text: `file ${shown}: ${why}` }],
    serviceFile: undefined,
  });
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch (thrown) {
    return failed(`cannot be read: ${readFailure(thrown)}`);
  }
  // Only here: a start without a file must not pay for the parser.
  const { LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  // prettyErrors would quote the line, and with it perhaps a secret.
  const document = parseDocument(source, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) return failed(`is not YAML, line ${lineCounter.linePos(error.pos[0]).line}: ${error.code}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch {
    return failed('cannot be used: its aliases are unknown or too many');
  }
  if (content === null) return { given: [], problems: [], serviceFile: undefined };
  if (typeof content !== 'object' || Array.isArray(content)) return failed('wanted settings as "name: value"');
  return toLayer(content, shown, dirname(file), mayNameService);
}

function toLayer(content: object, shown: string, base: string, mayNameService: boolean): FileLayer {
  const given: Given[] = [];
  const problems: Problem[] = [];
  let serviceFile: string | undefined;
  for (const [key, value] of Object.entries(content) as [string, unknown][]) {
    const origin = `file ${shown}:${key}`;
    if (SETTING_BY_NAME.has(key)) {
      given.push({ setting: key as SettingName, value, origin, base });
    } else if (key === SERVICE_KEY && mayNameService) {
      if (typeof value === 'string' && value !== '') serviceFile = value;
      else problems.push({ text: `service ${JSON.stringify(value)} (${origin}): wanted the path of a module` });
    } else {
      const hint =
        key === SERVICE_KEY
          ? `; it belongs into the ${TARGET_FILE} of the target`
          : didYouMean(key, SETTING_BY_NAME.keys());
      problems.push({ text: `unknown setting "${key}" (${origin})${hint}` });
    }
  }
  return { given, problems, serviceFile };
}

/** `ENOENT` → `no such file`; the path is in the message already. */
export function readFailure(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a folder';
    default:
      return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
