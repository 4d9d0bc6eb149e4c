import type { ErrorBody } from '../errors.js';
import type { EntryPoint, Manifest } from './manifest.js';
import type { DescriberBoot, UnloadedRunners, WorkerBoot } from './worker-boot.js';

// Control messages between the primary and its workers. Tensors and request bodies never travel here.
// I1 A message that one side does not know is a bug of ours and throws there; both sides always run the same version.

/** From a worker (or the describer) to the primary. Durations in ms. */
export type FromWorker =
  /** Listens to this channel now; what is sent before would be lost (node:cluster has a listener of its own). */
  | { readonly type: 'online' }
  /** May be handed connections: it can at least say how far it is. */
  | { readonly type: 'accepting' }
  /** Loaded, warm and connected to every runner it needs. */
  | { readonly type: 'ready' }
  /** Cannot boot and will exit; trying again will not help. The stack of the user's code is in `details.stack`. */
  | { readonly type: 'bootRefused'; readonly error: ErrorBody }
  /** Took over the connection that came with `connection`. */
  | { readonly type: 'accepted'; readonly connectionId: number }
  /** Was draining and did not take it; give it to another. */
  | { readonly type: 'rejected'; readonly connectionId: number }
  /**
   * What was counted since the last such message. Comes every second, as the sign that the event loop turns; and in answer
   * to `deltaWanted`, whose `collectId` it then has.
   */
  | { readonly type: 'metrics'; readonly delta: MetricsDelta; readonly collectId: number | null }
  /** Wants the text of all processes together, answered by `metricsText`. */
  | { readonly type: 'metricsWanted'; readonly requestId: number }
  /** Wants the counters of all processes together whose series begin with `prefix`, answered by `counters`. */
  | { readonly type: 'countersWanted'; readonly requestId: number; readonly prefix: string }
  /** A client wants runners loaded or unloaded, answered by `modelAnswered`. */
  | {
      readonly type: 'modelAsked';
      readonly requestId: number;
      readonly action: 'load' | 'unload';
      readonly runners: readonly string[];
    }
  /** Wants to let `count` requests of a client pass, answered by `tokens`. */
  | { readonly type: 'tokensWanted'; readonly requestId: number; readonly client: string; readonly count: number }
  /** Acts by the runner map that came with this `confirm`. */
  | { readonly type: 'runnerMapTaken'; readonly confirmId: number }
  /** The describer's answer. */
  | {
      readonly type: 'described';
      readonly manifest: Manifest;
      readonly entry: EntryPoint;
      /** What was left out and why, a sentence each, for people. */
      readonly warnings: readonly string[];
    };

/** From the primary to a worker. */
export type ToWorker =
  | { readonly type: 'boot'; readonly boot: WorkerBoot }
  | { readonly type: 'describe'; readonly boot: DescriberBoot }
  /** A raw TCP connection comes with it as handle. */
  | { readonly type: 'connection'; readonly connectionId: number }
  | { readonly type: 'drain'; readonly graceMs: number }
  | {
      readonly type: 'runnerMap';
      /** Runner name → addresses; replaces the map before. No address at all: nobody need wait for that runner. */
      readonly map: Readonly<Record<string, readonly string[]>>;
      readonly unloaded: UnloadedRunners;
      /** Wanted: `runnerMapTaken`, as soon as no call is made by the map before. */
      readonly confirm: MapConfirmation | null;
    }
  | { readonly type: 'metricsText'; readonly requestId: number; readonly text: string }
  | { readonly type: 'counters'; readonly requestId: number; readonly counters: Readonly<Record<string, number>> }
  /** Done in every process, or why not. */
  | { readonly type: 'modelAnswered'; readonly requestId: number; readonly error: ErrorBody | null }
  /** How many of the requests may pass, and how long it takes until one more may. */
  | { readonly type: 'tokens'; readonly requestId: number; readonly granted: number; readonly waitMs: number }
  /** Wanted at once: what was counted since the last `metrics`. */
  | { readonly type: 'deltaWanted'; readonly collectId: number }
  /** Paths of the mounts whose applications have not been ready yet. */
  | { readonly type: 'mounts'; readonly starting: readonly string[] };

export interface MapConfirmation {
  readonly confirmId: number;
  /** Runners whose workers the callers should be connected to first. */
  readonly connectedTo: readonly string[];
}

/** Series name with its labels → amount. Histograms travel as their bucket counters. */
export interface MetricsDelta {
  readonly counters: Readonly<Record<string, number>>;
  readonly gauges: Readonly<Record<string, number>>;
}
