import { workerData } from 'node:worker_threads';
import type { RunnerMap } from '../config/addresses.js';
import { JubakoError } from '../errors.js';
import type { RunnerDefinition } from '../service/define.js';
import { loadService } from '../service/load-service.js';
import { allRunners } from '../service/manifest-of.js';
import type { NestedRunners } from './nested-runners.js';
import { toRunFailure } from './run-failure.js';
import { MethodRun, type LoadedMethod, type ThreadJob } from './run-method.js';
import { StreamRun } from './run-stream.js';
import type { JobMessage, PostFromThread, ThreadStart, ToThread } from './thread-messages.js';

// The thread that the model runs in. It may block for as long as a run takes; the main thread goes on reading.
// H1 Every `run` is answered by exactly one `done` or `failed`, every `stream` by exactly one `end` or `failed`, whatever the
//    user's code throws.
// H2 `ready` is posted when the model is warm and every runner that it calls answers.
// H3 The port is this thread's own: what the user's code does with `parentPort` is its own affair.

type ToJob = Exclude<ToThread, { readonly type: 'runnerMap' }>;

class ComputeThread {
  readonly #start: ThreadStart;
  readonly #jobs = new Map<number, ThreadJob>();
  /** What came while the model was loading. */
  readonly #early: ToJob[] = [];
  #methods: ReadonlyMap<string, LoadedMethod> | undefined = undefined;
  #nested: NestedRunners | null = null;
  #map: RunnerMap;

  constructor(start: ThreadStart) {
    this.#start = start;
    this.#map = start.boot.calls?.map ?? {};
  }

  async serve(): Promise<void> {
    const { port } = this.#start;
    process.setSourceMapsEnabled(true); // stacks of the user's code name the user's lines
    port.on('message', (message: ToThread) => {
      if (message.type === 'runnerMap') this.#setMap(message.map);
      else if (this.#methods === undefined) this.#early.push(message);
      else this.#take(message, this.#methods);
    });
    port.unref(); // a `load` that waits for what cannot come ends the thread, instead of never being ready
    let methods: ReadonlyMap<string, LoadedMethod>;
    try {
      methods = await this.#load();
    } catch (thrown) {
      this.#refuse(thrown);
      return;
    }
    this.#methods = methods;
    this.#post({ type: 'ready' });
    for (const message of this.#early) this.#take(message, methods);
  }

  readonly #post: PostFromThread = (message, transfer = []) => {
    this.#start.port.postMessage(message, transfer as ArrayBuffer[]);
  };

  async #load(): Promise<ReadonlyMap<string, LoadedMethod>> {
    const { boot } = this.#start;
    const service = await loadService(boot.entry, boot.runner);
    const runner = allRunners(service).find(({ name }) => name === boot.runner);
    if (runner === undefined)
      throw new JubakoError('SERVICE_INVALID', `Cannot find the runner "${boot.runner}" in the service`);
    this.#nested = await this.#link(runner);
    const model = await runner.load(boot.place);
    await runner.warmup?.(model);
    this.#start.port.ref();
    await this.#nested?.whenReady();
    const methods = new Map<string, LoadedMethod>();
    for (const [name, definition] of Object.entries(runner.methods)) {
      methods.set(name, { definition, label: `${runner.name}.${name}`, model, nested: this.#nested });
    }
    return methods;
  }

  /** Connects while the model loads. Imported here: a runner that calls no other needs no link. */
  async #link(runner: RunnerDefinition): Promise<NestedRunners | null> {
    if (runner.runners === undefined || runner.runners.length === 0) return null;
    const { boot, logLevel } = this.#start;
    if (boot.calls === null)
      throw new TypeError(`The thread of "${runner.name}" was started without the runners that it calls`);
    const { NestedRunners } = await import('./nested-runners.js');
    return new NestedRunners({
      runner,
      calls: { ...boot.calls, map: this.#map },
      logLevel,
      writeLog: (line) => {
        this.#post({ type: 'log', line });
      },
    });
  }

  /** Also while the model loads: a runner that it calls may have moved, and `ready` waits for it. */
  #setMap(map: RunnerMap): void {
    this.#map = map;
    this.#nested?.setMap(map);
  }

  #refuse(thrown: unknown): void {
    const { error, stack } = toRunFailure(thrown);
    const isOurs = thrown instanceof JubakoError;
    const message = isOurs ? error.message : `Cannot load the runner "${this.#start.boot.runner}": ${error.message}`;
    const code = isOurs ? error.code : 'SERVICE_INVALID';
    this.#post({ type: 'loadFailed', error: { code, message, details: { stack } } });
    this.#start.port.close(); // what was posted still arrives
  }

  #take(message: ToJob, methods: ReadonlyMap<string, LoadedMethod>): void {
    switch (message.type) {
      case 'run':
      case 'stream':
        this.#begin(message, methods.get(message.method));
        return;
      case 'pull':
        this.#jobs.get(message.jobId)?.pull(message.count);
        return;
      case 'abort':
        this.#jobs.get(message.jobId)?.abort();
        return;
      default:
        message satisfies never;
    }
  }

  #begin(job: JobMessage, method: LoadedMethod | undefined): void {
    const { jobId } = job;
    if (method === undefined) {
      // The service was another when it was described: one that is made anew at each import.
      const error = new JubakoError(
        'NOT_FOUND',
        `Cannot find the method "${job.method}" in the runner that was loaded`,
      );
      this.#post({ type: 'failed', jobId, ...toRunFailure(error), computeMs: 0 });
      return;
    }
    const post = this.#post;
    const begun = job.type === 'run' ? new MethodRun(method, job, post) : new StreamRun({ method, job, post });
    this.#jobs.set(jobId, begun);
    void begun.finished.then(() => this.#jobs.delete(jobId));
  }
}

await new ComputeThread(workerData as ThreadStart).serve();
