import type { LinkReadiness } from '../link/runner-links.js';
import type { Readiness } from '../service/protocol-server.js';

/** Longest time that a runner worker gets to show that it is alive: with it, readiness is true to 100 ms. */
const PROBE_MS = 80;

export interface ReadinessSources {
  /** See `RunnerLinks.probe`. */
  readonly links: { probe(withinMs: number): Promise<LinkReadiness> };
  readonly embedded: Iterable<{ readonly name: string; readonly isReady: boolean }>;
}

/**
 * Asks all that a request may need whether it is there. One question is on its way at a time, and who asks meanwhile
 * shares its answer: however often strangers ask, the runners are asked 12 times a second at most while they are silent.
 */
export function createReadiness(sources: ReadinessSources): () => Promise<Readiness> {
  let asking: Promise<Readiness> | undefined;
  return () => {
    asking ??= ask(sources).finally(() => {
      asking = undefined;
    });
    return asking;
  };
}

/** Anybody may read the reason: addresses, and why a connection fails, stand in the log. */
async function ask({ links, embedded }: ReadinessSources): Promise<Readiness> {
  const linked = await links.probe(PROBE_MS);
  if (!linked.ready) return { ready: false, reason: `runner "${linked.runner}" is not connected` };
  for (const { name, isReady } of embedded) {
    if (!isReady) return { ready: false, reason: `runner "${name}" is not loaded` };
  }
  return { ready: true };
}
