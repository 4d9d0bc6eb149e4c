// Whether a worker that says nothing is dead in all but name. Pure.
// K1 A worker is ended only for what it shows itself: that it is stopped, or that it computes and does not listen. One
//    that is silent and idle may be held by a debugger, by a frozen cgroup or by a slow disk, and is only reported.

const STOPPED_MS = 5_000;
const SILENT_MS = 30_000;
/** Part of its silence that a loop which turns in vain uses the CPU at least; less is waiting. */
const BUSY = 0.1;

export interface SignsOfLife {
  /** Since the worker was last heard; workers speak every second once they serve. */
  readonly silentMs: number;
  /** Since it was first seen in the states `T` or `t` of /proc; undefined: it runs. */
  readonly stoppedMs: number | undefined;
  /** CPU time that it has used since it was last heard. */
  readonly cpuMs: number;
  /** True: it has begun to speak every second. */
  readonly speaks: boolean;
}

export type StuckDecision =
  | { readonly kind: 'fine' }
  /** Nobody knows what it waits for. */
  | { readonly kind: 'report' }
  | { readonly kind: 'kill'; readonly cause: 'stopped by a signal' | 'its event loop is stuck' };

export function decideStuck({ silentMs, stoppedMs, cpuMs, speaks }: SignsOfLife): StuckDecision {
  if (stoppedMs !== undefined) {
    return stoppedMs >= STOPPED_MS ? { kind: 'kill', cause: 'stopped by a signal' } : { kind: 'fine' };
  }
  if (!speaks || silentMs < SILENT_MS) return { kind: 'fine' };
  return cpuMs >= silentMs * BUSY ? { kind: 'kill', cause: 'its event loop is stuck' } : { kind: 'report' };
}
