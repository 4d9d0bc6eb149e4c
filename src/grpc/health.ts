import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { JubakoError } from '../errors.js';
import { rpcOf, unary, type Refuse } from './rpc.js';

// The standard health service, grpc.health.v1.Health.
// E1 Readiness is a question here and not an event: Check and List ask it, and while somebody watches it is asked five times
//    a second, once for each name that is watched, however many watch it.
// E2 A watcher that does not read is told the state of the moment when it reads again, not all that it missed.

const WATCH_INTERVAL_MS = 200;

type ServingStatus = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

interface HealthCheckRequest {
  readonly service?: string;
}

interface HealthCheckResponse {
  readonly status: ServingStatus;
}

type WatchCall = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** Whether what a name stands for can serve now. */
export type IsServing = () => Promise<boolean>;

interface Watcher {
  readonly call: WatchCall;
  readonly service: string;
  told: ServingStatus | undefined;
}

export class Health {
  readonly #names: ReadonlyMap<string, IsServing>;
  readonly #refuse: Refuse;
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #isStopped = false;

  /** @param names - what can be asked for; `''` stands for the server. */
  constructor(names: ReadonlyMap<string, IsServing>, refuse: Refuse) {
    this.#names = names;
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
    for (const watcher of this.#watchers) tell(watcher, this.#names.has(watcher.service) ? 'NOT_SERVING' : undefined);
  }

  async #check(service: string): Promise<HealthCheckResponse> {
    const status = await this.#statusOf(service);
    if (status !== 'SERVICE_UNKNOWN') return { status };
    const known = [...this.#names.keys()].map((name) => `"${name}"`).join(', ');
    throw new JubakoError('NOT_FOUND', `Cannot check the health of "${service}": the services are ${known}`);
  }

  async #list(): Promise<{ readonly statuses: Readonly<Record<string, HealthCheckResponse>> }> {
    const names = [...this.#names.keys()];
    const statuses = await Promise.all(names.map((name) => this.#statusOf(name)));
    return { statuses: Object.fromEntries(names.map((name, i) => [name, { status: statuses[i] as ServingStatus }])) };
  }

  async #statusOf(name: string): Promise<ServingStatus> {
    const isServing = this.#names.get(name);
    if (isServing === undefined) return 'SERVICE_UNKNOWN';
    const serves = !this.#isStopped && (await isServing());
    return serves && !this.#isStopped ? 'SERVING' : 'NOT_SERVING';
  }

  #watch(call: WatchCall): void {
    const watcher: Watcher = { call, service: call.request.service ?? '', told: undefined };
    this.#watchers.add(watcher);
    call.on('cancelled', () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
    void this.#look([watcher]);
    this.#timer ??= setInterval(() => {
      void this.#lookAtAll();
    }, WATCH_INTERVAL_MS).unref();
  }

  async #lookAtAll(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    await this.#look([...this.#watchers]);
    this.#isLooking = false;
  }

  /** Never rejects. */
  async #look(watchers: readonly Watcher[]): Promise<void> {
    const statuses = new Map<string, Promise<ServingStatus>>(); // E1
    await Promise.all(
      watchers.map(async (watcher) => {
        const { call, service } = watcher;
        let asked = statuses.get(service);
        if (asked === undefined) statuses.set(service, (asked = this.#statusOf(service)));
        try {
          const status = await asked;
          if (this.#watchers.has(watcher)) tell(watcher, status);
        } catch (thrown) {
          call.emit('error', this.#refuse(thrown, rpcOf(call)));
        }
      }),
    );
  }
}

function tell(watcher: Watcher, status: ServingStatus = 'SERVICE_UNKNOWN'): void {
  if (status === watcher.told || watcher.call.writableNeedDrain) return; // E2
  watcher.told = status;
  watcher.call.write({ status });
}
