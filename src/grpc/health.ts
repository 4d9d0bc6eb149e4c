import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import { Undecodable } from './protos.js';
import { rpcOf, unary, type Refuse } from './rpc.js';

// The standard health service, grpc.health.v1.Health. Check asks for the readiness of the moment; Watch asks for it four
// times a second while somebody watches, since readiness is a question here and not an event.

const WATCH_INTERVAL_MS = 250;

type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface HealthCheckRequest {
  readonly service?: string;
}

interface HealthCheckResponse {
  readonly status: ServingStatus;
}

type WatchCall = ServerWritableStream<HealthCheckRequest | Undecodable, HealthCheckResponse>;

interface Watcher {
  readonly call: WatchCall;
  readonly service: string;
  told: ServingStatus | undefined;
}

export class Health {
  readonly #names: ReadonlySet<string>;
  readonly #isServing: () => Promise<boolean>;
  readonly #refuse: Refuse;
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @param names - services that can be asked for; `''` stands for the server. All share the readiness of the server. */
  constructor(names: Iterable<string>, isServing: () => Promise<boolean>, refuse: Refuse) {
    this.#names = new Set(names);
    this.#isServing = isServing;
    this.#refuse = refuse;
  }

  implementation(): UntypedServiceImplementation {
    return {
      Check: unary((request: HealthCheckRequest) => this.#check(request.service ?? ''), this.#refuse),
      List: unary(() => this.#list(), this.#refuse),
      Watch: (call: WatchCall) => {
        this.#watch(call);
      },
    };
  }

  /** Not serving from now on: every watcher is told before this returns. */
  stop(): void {
    this.#isStopped = true;
    for (const watcher of this.#watchers) this.#tell(watcher, false);
  }

  async #check(service: string): Promise<HealthCheckResponse> {
    if (this.#names.has(service)) return { status: toStatus(await this.#isServing()) };
    const known = [...this.#names].map((name) => `"${name}"`).join(', ');
    throw new JubakoError('NOT_FOUND', `Cannot check the health of "${service}": the services are ${known}`);
  }

  async #list(): Promise<{ readonly statuses: Readonly<Record<string, HealthCheckResponse>> }> {
    const status = toStatus(await this.#isServing());
    return { statuses: Object.fromEntries([...this.#names].map((name) => [name, { status }])) };
  }

  #watch(call: WatchCall): void {
    const { request } = call;
    if (request instanceof Undecodable) {
      call.emit('error', this.#refuse(request.toError(), rpcOf(call)));
      return;
    }
    const watcher: Watcher = { call, service: request.service ?? '', told: undefined };
    this.#watchers.add(watcher);
    call.on('cancelled', () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    void this.#look([watcher]);
    this.#timer ??= setInterval(() => {
      void this.#look(this.#watchers);
    }, WATCH_INTERVAL_MS).unref();
  }

  /** Never rejects. */
  async #look(watchers: Iterable<Watcher>): Promise<void> {
    try {
      const isServing = await this.#isServing();
      for (const watcher of watchers) this.#tell(watcher, isServing && !this.#isStopped);
    } catch (thrown) {
      for (const { call } of watchers) call.emit('error', this.#refuse(thrown, rpcOf(call)));
    }
  }

  #tell(watcher: Watcher, isServing: boolean): void {
    const status = this.#names.has(watcher.service) ? toStatus(isServing) : 'SERVICE_UNKNOWN';
    if (status === watcher.told || !this.#watchers.has(watcher)) return;
    watcher.told = status;
    watcher.call.write({ status });
  }
}

function toStatus(isServing: boolean): ServingStatus {
  return isServing ? 'SERVING' : 'NOT_SERVING';
}
