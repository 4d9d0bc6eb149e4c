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
  readonly #isServing: () => boolean;
  readonly #refuse: Refuse;
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;

  /** @param names - services that can be asked for; `''` stands for the server. All share the readiness of the server. */
  constructor(names: Iterable<string>, isServing: () => boolean, refuse: Refuse) {
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

  /** Tells every watcher how things stand now, without waiting for the next look. */
  tellWatchers(): void {
    for (const watcher of this.#watchers) this.#tell(watcher);
  }

  #statusOf(service: string): ServingStatus {
    if (!this.#names.has(service)) return 'SERVICE_UNKNOWN';
    return this.#isServing() ? 'SERVING' : 'NOT_SERVING';
  }

  #check(service: string): HealthCheckResponse {
    const status = this.#statusOf(service);
    if (status !== 'SERVICE_UNKNOWN') return { status };
    const known = [...this.#names].map((name) => `"${name}"`).join(', ');
    throw new JubakoError('NOT_FOUND', `Cannot check the health of "${service}": the services are ${known}`);
  }

  #list(): { readonly statuses: Readonly<Record<string, HealthCheckResponse>> } {
    return { statuses: Object.fromEntries([...this.#names].map((name) => [name, { status: this.#statusOf(name) }])) };
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
    this.#tell(watcher);
    this.#timer ??= setInterval(() => {
      this.tellWatchers();
    }, WATCH_INTERVAL_MS).unref();
  }

  #tell(watcher: Watcher): void {
    const status = this.#statusOf(watcher.service);
    if (status === watcher.told) return;
    watcher.told = status;
    watcher.call.write({ status });
  }
}
