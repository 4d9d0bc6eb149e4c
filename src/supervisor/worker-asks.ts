import type { TokenBuckets } from '../access/token-buckets.js';
import { JubakoError } from '../errors.js';
import type { FromWorker } from '../ipc/messages.js';
import type { MapConfirmations } from './map-confirmations.js';
import type { MetricsHub } from './metrics-hub.js';
import type { RunnerControl } from './runner-control.js';
import type { WorkerHandle } from './worker-handle.js';

export interface WorkerAsksOptions {
  readonly metrics: MetricsHub;
  readonly confirmations: MapConfirmations;
  /** Undefined: the setting `modelControl` is off. */
  readonly control: RunnerControl | undefined;
  /** Undefined: there is no limit, and no worker asks. */
  readonly tokens: TokenBuckets | undefined;
}

/** Answers what serving workers ask of the primary, and takes what they tell it. */
export class WorkerAsks {
  readonly #options: WorkerAsksOptions;

  constructor(options: WorkerAsksOptions) {
    this.#options = options;
  }

  onMessage(worker: WorkerHandle, message: FromWorker): void {
    const { metrics, confirmations } = this.#options;
    switch (message.type) {
      case 'metrics':
        metrics.add(worker, message.delta, message.collectId);
        return;
      case 'metricsWanted':
        void this.#answerText(worker, message.requestId);
        return;
      case 'countersWanted':
        void this.#answerCounters(worker, message.requestId, message.prefix);
        return;
      case 'modelAsked':
        void this.#askControl(message).then((error) => {
          worker.send({ type: 'modelAnswered', requestId: message.requestId, error: error?.toBody() ?? null });
        });
        return;
      case 'runnerMapTaken':
        confirmations.taken(message.confirmId);
        return;
      case 'tokensWanted':
        this.#giveTokens(worker, message);
        return;
      // How far a worker is, which its handle and its pool take care of.
      case 'online':
      case 'accepting':
      case 'ready':
      case 'bootRefused':
      case 'accepted':
      case 'rejected':
      case 'described':
        return;
      default:
        message satisfies never;
    }
  }

  async #answerText(worker: WorkerHandle, requestId: number): Promise<void> {
    worker.send({ type: 'metricsText', requestId, text: await this.#options.metrics.text() });
  }

  async #answerCounters(worker: WorkerHandle, requestId: number, prefix: string): Promise<void> {
    worker.send({ type: 'counters', requestId, counters: await this.#options.metrics.counters(prefix) });
  }

  #giveTokens(worker: WorkerHandle, { requestId, client, count }: AskForTokens): void {
    const { tokens } = this.#options;
    if (tokens === undefined) throw new TypeError('A worker asked for tokens, and there is no rate limit');
    const grant = tokens.take(client, count, `${worker.name}.${worker.generation}`, performance.now());
    worker.send({ type: 'tokens', requestId, ...grant });
  }

  /** Undefined: done. */
  async #askControl({ action, runners }: AskOfModels): Promise<JubakoError | undefined> {
    const { control } = this.#options;
    try {
      if (control === undefined)
        throw new JubakoError('FORBIDDEN', `Cannot ${action} models: the setting modelControl is off`);
      await (action === 'load' ? control.load(runners) : control.unload(runners));
      return undefined;
    } catch (thrown) {
      return JubakoError.from(thrown);
    }
  }
}

type AskForTokens = Extract<FromWorker, { readonly type: 'tokensWanted' }>;
type AskOfModels = Extract<FromWorker, { readonly type: 'modelAsked' }>;
