// When a run is taken for stuck: an endless loop, a deadlock, a call that never returns. Pure.
// W1 Never by a fixed time alone: a run is measured by what runs of its method took, and by whether anybody waits for it.
// W2 A method without a history is given up only when nobody waits any more: its first run may take as long as it likes;
//    unless the last worker of its call died with it, which makes it the one that is suspected.

export interface RunHistory {
  readonly runs: number;
  readonly slowestMs: number;
}

/** What is known of a run under way; times in ms. */
export interface RunView {
  readonly runningMs: number;
  /** Since the last of its callers gave up and its signal was aborted; undefined: somebody waits. */
  readonly abandonedMs: number | undefined;
  /** True: it takes as long as its caller likes to read, so only being abandoned counts. */
  readonly isStream: boolean;
  /** True: its last worker died with it. */
  readonly isReplay: boolean;
  readonly history: RunHistory;
}

/** Below this nothing is stuck: other work may have taken the processor. */
export const STUCK_AFTER_MS = 5000;
/** Runs that make a history. */
const KNOWN_RUNS = 3;
/** So many times the slowest run is no run any more. */
const TIMES_SLOWEST = 20;
/** What a call gets that a worker died with before, where no history says how long it may take: so many times the least. */
const TIMES_LEAST = 2;
/** An abandoned run gets the time of so many runs to notice its signal. */
const TIMES_ABANDONED = 2;

/** Why it is stuck, for people; undefined: it is not. */
export function whyStuck(
  { runningMs, abandonedMs, isStream, isReplay, history }: RunView,
  stuckAfterMs = STUCK_AFTER_MS,
): string | undefined {
  const slowest = `${Math.round(history.slowestMs)} ms`;
  if (abandonedMs !== undefined && abandonedMs > Math.max(stuckAfterMs, TIMES_ABANDONED * history.slowestMs)) {
    return `nobody has waited for it for ${Math.round(abandonedMs)} ms, and it does not end; the slowest run took ${slowest}`;
  }
  if (isStream) return undefined;
  const isKnown = history.runs >= KNOWN_RUNS;
  if (isKnown && runningMs > Math.max(stuckAfterMs, TIMES_SLOWEST * history.slowestMs)) {
    return `it has run for ${Math.round(runningMs)} ms; the slowest of ${history.runs} runs took ${slowest}`;
  }
  if (!isKnown && isReplay && runningMs > TIMES_LEAST * stuckAfterMs) {
    return `it has run for ${Math.round(runningMs)} ms, and the last worker that ran it died with it`;
  }
  return undefined;
}
