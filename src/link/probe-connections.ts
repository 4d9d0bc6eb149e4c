import type { LinkConnection } from './link-connection.js';

type Probed = Pick<LinkConnection, 'heardAtMs' | 'ask'>;

/**
 * True as soon as one of the connections has heard from its worker within the last `withinMs`; all are asked where none
 * has. False after `withinMs`.
 */
export function probeConnections(connections: readonly Probed[], withinMs: number): Promise<boolean> {
  const sinceMs = performance.now() - withinMs;
  if (connections.some(({ heardAtMs }) => heardAtMs >= sinceMs)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      // What came while this loop was busy is read before this: it counts.
      setImmediate(() => {
        resolve(false);
      });
    }, withinMs);
    const onHeard = (): void => {
      clearTimeout(timer);
      resolve(true);
    };
    for (const connection of connections) connection.ask(onHeard);
  });
}
