import type { ErrorBody } from '../errors.js';
import type { EntryPoint, Manifest } from './manifest.js';
import type { DescriberBoot, WorkerBoot } from './worker-boot.js';

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
  /** What was counted since the last such message. Comes every second, as the sign that the event loop turns. */
  | { readonly type: 'metrics'; readonly delta: MetricsDelta }
  /** Wants the text of all processes together, answered by `metricsText`. */
  | { readonly type: 'metricsWanted'; readonly requestId: number }
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
  /** Runner name → addresses; replaces the map before. No address at all: that runner has failed, nobody need wait for it. */
  | { readonly type: 'runnerMap'; readonly map: Readonly<Record<string, readonly string[]>> }
  | { readonly type: 'metricsText'; readonly requestId: number; readonly text: string };

/** Series name with its labels → amount. Histograms travel as their bucket counters. */
export interface MetricsDelta {
  readonly counters: Readonly<Record<string, number>>;
  readonly gauges: Readonly<Record<string, number>>;
}
