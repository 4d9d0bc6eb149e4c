// The life of a pool, one table. Pure.
// Y1 Only `nextPoolState` changes a state; a pair that the table lacks is a bug and throws.
// Y2 `ending` is final: the server goes, and nothing of it is started any more.

/**
 * `new`: nothing was started · `starting`: its workers come up, one that refuses ends the start · `up`: they serve, and
 * deaths are made good · `stopping`: they finish what they have · `stopped`: none is left, may be started again ·
 * `failed`: could not be started, may be tried again · `ending`: they go with the server.
 */
export type PoolState = 'new' | 'starting' | 'up' | 'stopping' | 'stopped' | 'failed' | 'ending';
export type PoolEvent = 'startAsked' | 'serverIsUp' | 'gaveUp' | 'stopAsked' | 'allGone' | 'endAsked';

const NEXT: Readonly<Record<PoolState, Partial<Record<PoolEvent, PoolState>>>> = {
  new: { startAsked: 'starting', endAsked: 'ending' },
  starting: { serverIsUp: 'up', gaveUp: 'failed', endAsked: 'ending' },
  up: { stopAsked: 'stopping', endAsked: 'ending' },
  stopping: { allGone: 'stopped', endAsked: 'ending' },
  stopped: { startAsked: 'starting', endAsked: 'ending' },
  // The server came up without it.
  failed: { serverIsUp: 'failed', startAsked: 'starting', stopAsked: 'stopping', endAsked: 'ending' },
  // What was on its way when the server was told to stop arrives late; it is legal and changes nothing.
  ending: { serverIsUp: 'ending', gaveUp: 'ending', allGone: 'ending', endAsked: 'ending' },
};

export function nextPoolState(state: PoolState, event: PoolEvent): PoolState {
  const next = NEXT[state][event];
  if (next === undefined) throw new TypeError(`Cannot apply "${event}" to a pool that is "${state}"`);
  return next;
}
