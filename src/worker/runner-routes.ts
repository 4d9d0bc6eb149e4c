import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { RunnerTransport } from '../service/bound-runners.js';
import type { RunnerCall } from '../service/invoke.js';

/** Where an API worker's calls go: to a runner that lives in it, or over the links. */
export class RunnerRoutes implements RunnerTransport {
  readonly #links: RunnerTransport & { setMap(map: RunnerMap): void };
  readonly #embedded: ReadonlyMap<string, RunnerTransport>;
  readonly #served: ReadonlySet<string>;
  /** Those that the server has given up: nobody waits for them. */
  #failed: ReadonlySet<string> = new Set();

  /** @param served - names of the service's runners; a map may serve several services. */
  constructor(
    links: RunnerTransport & { setMap(map: RunnerMap): void },
    embedded: ReadonlyMap<string, RunnerTransport>,
    served: Iterable<string>,
  ) {
    this.#links = links;
    this.#embedded = embedded;
    this.#served = new Set(served);
  }

  setMap(map: RunnerMap): void {
    const mine = Object.entries(map).filter(([name]) => this.#served.has(name) && !this.#embedded.has(name));
    this.#failed = new Set(mine.filter(([, addresses]) => addresses.length === 0).map(([name]) => name));
    this.#links.setMap(Object.fromEntries(mine.filter(([name]) => !this.#failed.has(name))));
  }

  call(call: RunnerCall): Promise<unknown> {
    if (this.#failed.has(call.runner)) return Promise.reject(failed(call));
    return (this.#embedded.get(call.runner) ?? this.#links).call(call);
  }

  stream(call: RunnerCall): AsyncIterable<unknown> {
    if (this.#failed.has(call.runner)) throw failed(call);
    return (this.#embedded.get(call.runner) ?? this.#links).stream(call);
  }
}

function failed({ runner, method }: RunnerCall): JubakoError {
  return new JubakoError(
    'NOT_READY',
    `Cannot call ${runner}.${method}: runner "${runner}" could not be started; the log of the server has the cause`,
  );
}
