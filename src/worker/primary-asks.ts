import { JubakoError } from '../errors.js';
import type { PrimaryChannel } from '../ipc/channel.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { Metrics } from '../telemetry/metrics.js';

// What a worker asks of its primary.
// A1 A primary that does not answer holds nobody for ever: each question but those about models has a time limit. To load a
//    model takes as long as it takes; if the primary dies, so does this process.

/** A primary that does not answer must not hold a scrape for ever. */
const METRICS_WITHIN_MS = 2000;
/** A request waits for this: about as long as somebody who waits for an answer notices. */
const TOKENS_WITHIN_MS = 250;

type Answer = Extract<ToWorker, { readonly requestId: number }>;
type AnswerOf<Type extends Answer['type']> = Extract<Answer, { readonly type: Type }>;

export class PrimaryAsks {
  readonly #channel: PrimaryChannel;
  readonly #metrics: Metrics;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  constructor(channel: PrimaryChannel, metrics: Metrics) {
    this.#channel = channel;
    this.#metrics = metrics;
  }

  /** Prometheus text of all processes. @throws {JubakoError} NOT_READY - the primary does not answer. */
  async metricsText(): Promise<string> {
    this.#pushCounts();
    const ask = { withinMs: METRICS_WITHIN_MS, what: 'collect the metrics' };
    return (await this.#ask('metricsText', ask, (requestId) => ({ type: 'metricsWanted', requestId }))).text;
  }

  /** See `ProtocolServerOptions.counters`. @throws {JubakoError} NOT_READY - the primary does not answer. */
  async counters(prefix: string): Promise<Readonly<Record<string, number>>> {
    this.#pushCounts();
    const ask = { withinMs: METRICS_WITHIN_MS, what: 'collect the counters' };
    const answer = await this.#ask('counters', ask, (requestId) => ({ type: 'countersWanted', requestId, prefix }));
    return answer.counters;
  }

  /** See `ModelControl`. @throws {JubakoError} why it was not done. */
  async controlModels(action: 'load' | 'unload', runners: readonly string[]): Promise<void> {
    const ask = { withinMs: Infinity, what: `${action} models` };
    const question = (requestId: number): FromWorker => ({ type: 'modelAsked', requestId, action, runners });
    const { error } = await this.#ask('modelAnswered', ask, question);
    if (error !== null) throw JubakoError.fromBody(error);
  }

  /** See `TokenSource`. @throws {JubakoError} NOT_READY - the primary does not answer. */
  tokens(client: string, count: number): Promise<{ readonly granted: number; readonly waitMs: number }> {
    const ask = { withinMs: TOKENS_WITHIN_MS, what: 'count the requests of a client' };
    return this.#ask('tokens', ask, (requestId) => ({ type: 'tokensWanted', requestId, client, count }));
  }

  /** An answer has come. */
  answered(answer: Answer): void {
    this.#waiting.get(answer.requestId)?.(answer);
  }

  /** What was counted before a question is in its answer, however busy this process is by then. */
  #pushCounts(): void {
    this.#channel.send({ type: 'metrics', delta: this.#metrics.takeDelta(), collectId: null });
  }

  #ask<Type extends Answer['type']>(
    _type: Type,
    { withinMs, what }: { readonly withinMs: number; readonly what: string },
    question: (requestId: number) => FromWorker,
  ): Promise<AnswerOf<Type>> {
    const requestId = this.#nextId++;
    return new Promise((resolve, reject) => {
      const onLate = (): void => {
        this.#waiting.delete(requestId);
        const why = `the primary did not answer within ${withinMs} ms`;
        reject(new JubakoError('NOT_READY', `Cannot ${what}: ${why}`));
      };
      const timer = withinMs === Infinity ? undefined : setTimeout(onLate, withinMs);
      this.#waiting.set(requestId, (answer) => {
        clearTimeout(timer);
        this.#waiting.delete(requestId);
        resolve(answer as AnswerOf<Type>);
      });
      this.#channel.send(question(requestId));
    });
  }
}
