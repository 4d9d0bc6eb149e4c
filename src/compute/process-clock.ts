// `performance.now()` counts from the start of its own thread, so a point in time crosses threads on the clock of the process.

/** The clock of the process is that of the machine since its start, which `performance.now()` is read from in every thread. */
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** @param atMs - on this thread's clock of `performance.now()`. */
export function toProcessMs(atMs: number): number {
  return atMs + OFFSET_MS;
}

/** The point in time on this thread's clock of `performance.now()`. */
export function fromProcessMs(processMs: number): number {
  return processMs - OFFSET_MS;
}
