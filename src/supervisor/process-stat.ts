import { readText } from '../config/read-text.js';

// What the kernel says about a process, from /proc; undefined where there is no such process, or no /proc.

export interface ProcessStat {
  /** `R` runs, `S` and `D` wait, `T` stopped by a signal, `t` stopped by a debugger, `Z` ended. */
  readonly state: string;
  /** Time that all its threads have used since it began, in ms. */
  readonly cpuMs: number;
}

/** Unit of the times in /proc: USER_HZ, 100 in every Linux that Node runs on (proc(5), sysconf(3)). */
const TICK_MS = 10;
/** Of the fields behind the name, counted from the state: utime and stime. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

export function readProcessStat(pid: number): ProcessStat | undefined {
  const text = readText(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseProcessStat(text);
}

/** State and times stand after the name, which is in parentheses and may hold anything. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
  return { state: fields[0] ?? '', cpuMs: ticks * TICK_MS };
}

/** Resident memory, shared pages included. */
export function readRssBytes(pid: number): number | undefined {
  const text = readText(`/proc/${pid}/status`);
  return text === undefined ? undefined : parseRssBytes(text);
}

/** A process that has ended and was not waited for has no such line. */
export function parseRssBytes(text: string): number | undefined {
  const [, kibibytes] = /^VmRSS:\s*(\d+) kB$/m.exec(text) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
