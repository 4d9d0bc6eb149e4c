import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { UnloadedRunners } from '../ipc/worker-boot.js';
import type { RunnerTransport } from '../service/bound-runners.js';
import type { RunnerCall } from '../service/invoke.js';

/** Why a runner of this service is not there for anybody: nobody waits for it. */
export interface Absence {
  /** True: on request; false: the server has given it up. */
  readonly isUnloaded: boolean;
  /** For people. */
  readonly reason: string;
}

type Links = RunnerTransport & { setMap(map: RunnerMap): void };

/** Where an API worker's calls go: to a runner that lives in it, or over the links. */
export class RunnerRoutes implements RunnerTransport {
  readonly #links: Links;
  readonly #embedded: ReadonlyMap<string, RunnerTransport>;
  readonly #served: ReadonlySet<string>;
  #absent: ReadonlyMap<string, Absence> = new Map();

  /** @param served - names of the service's runners; a map may serve several services. */
  constructor(links: Links, embedded: ReadonlyMap<string, RunnerTransport>, served: Iterable<string>) {
    this.#links = links;
    this.#embedded = embedded;
    this.#served = new Set(served);
  }

  /** @param unloaded - these are absent whatever the map says. */
  setMap(map: RunnerMap, unloaded: UnloadedRunners): void {
    const mine = Object.entries(map).filter(([name]) => this.#served.has(name) && !this.#embedded.has(name));
    const absent = new Map<string, Absence>();
    for (const [name, addresses] of mine) {
      const why = unloaded[name];
      if (why !== undefined) absent.set(name, { isUnloaded: true, reason: why });
      else if (addresses.length === 0)
        absent.set(name, { isUnloaded: false, reason: `runner "${name}" could not be started` });
    }
    this.#absent = absent;
    this.#links.setMap(Object.fromEntries(mine.filter(([name]) => !absent.has(name))));
  }

  /** Undefined: it is there, or comes back by itself. */
  absenceOf(runner: string): Absence | undefined {
    return this.#absent.get(runner);
  }

  call(call: RunnerCall): Promise<unknown> {
    const absence = this.#absent.get(call.runner);
    if (absence !== undefined) return Promise.reject(refusal(call, absence));
    return (this.#embedded.get(call.runner) ?? this.#links).call(call);
  }

  stream(call: RunnerCall): AsyncIterable<unknown> {
    const absence = this.#absent.get(call.runner);
    if (absence !== undefined) throw refusal(call, absence);
    return (this.#embedded.get(call.runner) ?? this.#links).stream(call);
  }
}

function refusal({ runner, method }: RunnerCall, { isUnloaded }: Absence): JubakoError {
  if (isUnloaded)
    return new JubakoError('NOT_FOUND', `Cannot call ${runner}.${method}: the model of runner "${runner}" is unloaded`);
  return new JubakoError(
    'NOT_READY',
    `Cannot call ${runner}.${method}: runner "${runner}" could not be started; the log of the server has the cause`,
  );
}
