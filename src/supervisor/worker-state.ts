// The life of one worker as the primary sees it. Pure: no timer, no process, no log.
// S1 Only `nextState` changes a state; a pair that the table lacks is a bug and throws.
// S2 `failed` is final: a worker that refuses to boot while the server starts stops the server, it never loops.

/**
 * `starting`: forked, not yet able to take work · `accepting`: takes connections, not every runner is there yet ·
 * `ready`: warm and connected · `draining`: finishes what it has · `backoff`: died, waits to be started again ·
 * `stopped`: ended as asked · `failed`: refused to boot.
 */
export type WorkerState = 'starting' | 'accepting' | 'ready' | 'draining' | 'backoff' | 'stopped' | 'failed';
export type WorkerEvent =
  'becameAccepting' | 'becameReady' | 'drainAsked' | 'exited' | 'bootRefused' | 'backoffElapsed';

const NEXT: Readonly<Record<WorkerState, Partial<Record<WorkerEvent, WorkerState>>>> = {
  starting: {
    becameAccepting: 'accepting',
    becameReady: 'ready',
    drainAsked: 'draining',
    exited: 'backoff',
    bootRefused: 'failed',
  },
  accepting: { becameReady: 'ready', drainAsked: 'draining', exited: 'backoff', bootRefused: 'failed' },
  ready: { drainAsked: 'draining', exited: 'backoff' },
  // What was on its way when the drain was asked arrives late; it is legal and changes nothing.
  draining: {
    becameAccepting: 'draining',
    becameReady: 'draining',
    bootRefused: 'draining',
    drainAsked: 'draining',
    exited: 'stopped',
  },
  backoff: { backoffElapsed: 'starting', drainAsked: 'stopped' },
  stopped: { drainAsked: 'stopped' },
  failed: { drainAsked: 'failed', exited: 'failed' },
};

export function nextState(state: WorkerState, event: WorkerEvent): WorkerState {
  const next = NEXT[state][event];
  if (next === undefined) throw new TypeError(`Cannot apply "${event}" to a worker that is "${state}"`);
  return next;
}
