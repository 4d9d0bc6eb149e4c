import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { get } from '../support/http-client.js';
import {
  fixture,
  startPrimary,
  until,
  type Cleanup,
  type LogLine,
  type RunningProcess,
  type StartProcessOptions,
} from '../support/start-primary.js';
import type { Door } from './door.js';
import { openDoors } from './doors.js';
import { GrpcClients } from './grpc-clients.js';

/** What is registered here is undone after the last test of the file, the newest first. */
export const ofFile: Cleanup = {
  after(hook) {
    undo.push(hook);
  },
};
const undo: (() => void | Promise<void>)[] = [];

after(async () => {
  for (const hook of undo.splice(0).reverse()) await hook();
});

const DOUBLE = { api: 'double', model: 'model.double' };

/** A server of the fixture, ready, with all doors open. */
export class ConformanceServer {
  readonly primary: RunningProcess;
  readonly http: string;
  readonly grpc: string;
  readonly clients: GrpcClients;
  readonly doors: readonly Door[];
  /** Pids of all workers at the start, by name. */
  readonly workers: ReadonlyMap<string, number>;

  static async start(
    args: readonly string[] = [],
    { service = 'conformance', ...options }: StartProcessOptions & { readonly service?: string } = {},
  ): Promise<ConformanceServer> {
    const command = ['serve', fixture(service), '--grpc', '--port', '0', '--grpc-port', '0', ...args];
    const primary = startPrimary(ofFile, command, options);
    const { http, grpc } = await primary.ready();
    return new ConformanceServer(primary, http, grpc);
  }

  private constructor(primary: RunningProcess, http: string, grpc: string) {
    this.primary = primary;
    this.http = http;
    this.grpc = grpc;
    this.clients = new GrpcClients(ofFile, grpc);
    this.doors = openDoors(http, this.clients);
    this.workers = new Map(
      this.#lines('worker.ready').map((line) => [String(line['name']), Number(line['workerPid'])]),
    );
    assert.ok(this.workers.size >= 4, `the workers that are ready: ${[...this.workers.keys()].join(', ')}`);
  }

  get httpPort(): number {
    return Number(new URL(this.http).port);
  }

  get grpcPort(): number {
    return Number(new URL(`http://${this.grpc}`).port);
  }

  /** Path of the unix socket of the first worker of a runner. */
  runnerSocket(runner: string): string {
    const { runtimeParent } = this.primary;
    const files = readdirSync(runtimeParent, { recursive: true, encoding: 'utf8' });
    const path = files.find((file) => file.endsWith('.sock') && file.includes(runner));
    assert.ok(path !== undefined, `no socket of "${runner}" in ${files.join(', ')}`);
    return join(runtimeParent, path);
  }

  door(name: Door['name']): Door {
    return this.doors.find((door) => door.name === name) as Door;
  }

  /** All workers of the start live, none has died, and every door still answers a good request. */
  async isUnharmed(): Promise<void> {
    for (const door of this.doors) {
      const { code, value, seen } = await door.ask(DOUBLE, [[1, 2, 3, 4]]);
      assert.equal(code, 'ok', `${door.name}: ${seen}`);
      assert.deepEqual(value, { shape: [1, 4], elements: [2, 4, 6, 8] }, door.name);
    }
    const alive = new Set(this.primary.processes());
    for (const [name, pid] of this.workers) assert.ok(alive.has(pid), `${name} (${pid}) is gone`);
    assert.deepEqual([...this.#lines('worker.died'), ...this.#lines('worker.failed')], []);
    assert.equal(this.primary.stderr, '');
  }

  async metrics(): Promise<string> {
    return (await get(`${this.http}/metrics`)).text;
  }

  /** Waits until /metrics has all these lines at once. */
  async sees(...lines: readonly string[]): Promise<void> {
    await until(async () => {
      const text = await this.metrics();
      return lines.every((line) => text.includes(`\n${line}\n`));
    });
  }

  #lines(event: string): readonly LogLine[] {
    return this.primary.logs.filter((line) => line['event'] === event);
  }
}
