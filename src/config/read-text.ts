import { readFileSync } from 'node:fs';

/** Gives the content of a file, or undefined where it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** For files of the kernel, which say something where they exist and mean nothing where they do not. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // another system, another version of cgroups, or a process that has just ended
  }
}
