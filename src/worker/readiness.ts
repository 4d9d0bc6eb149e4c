import type { LinkReadiness } from '../link/runner-links.js';
import type { Readiness } from '../service/protocol-server.js';

/** Longest time that a runner worker gets to show that it is alive: with it, readiness is true to 100 ms. */
export const PROBE_MS = 80;

export interface ReadinessSources {
  /** See `RunnerLinks.probe`. */
  readonly links: { probe(withinMs: number): Promise<LinkReadiness> };
  readonly embedded: Iterable<{ readonly name: string; readonly isReady: boolean }>;
  /** Paths of the mounts whose applications have not been ready yet; one that dies later is not the server's end. */
  readonly startingMounts: () => readonly string[];
}

/**
 * Asks all that a request may need whether it is there. One question is on its way at a time, and who asks meanwhile
 * shares its answer: however often strangers ask, the runners are asked 12 times a second at most while they are silent.
 */
export function createReadiness(sources: ReadinessSources): () => Promise<Readiness> {
  return oneAtATime(() => ask(sources));
}

/** Who asks while an answer is on its way gets that answer. */
export function oneAtATime<T>(ask: () => Promise<T>): () => Promise<T> {
  let asking: Promise<T> | undefined;
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** Anybody may read the reason: addresses, and why a connection fails, stand in the log. */
async function ask({ links, embedded, startingMounts }: ReadinessSources): Promise<Readiness> {
  const [starting] = startingMounts();
  if (starting !== undefined) return { ready: false, reason: `the mount "${starting}" is starting` };
  const linked = await links.probe(PROBE_MS);
  if (!linked.ready) return { ready: false, reason: notConnected(linked.runner) };
  for (const { name, isReady } of embedded) if (!isReady) return { ready: false, reason: notLoaded(name) };
  return { ready: true };
}

export function notConnected(runner: string): string {
  return `runner "${runner}" is not connected`;
}

export function notLoaded(runner: string): string {
  return `runner "${runner}" is not loaded`;
}
