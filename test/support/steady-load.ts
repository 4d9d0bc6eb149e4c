import { keepAliveAgent, post } from './http-client.js';
import type { Cleanup } from './start-primary.js';

/** Clients that call without a pause, each on a connection that stays open, until they are told to stop. */
export class SteadyLoad {
  /** What was answered, each once, in the order in which it first was. */
  readonly answers = new Set<unknown>();
  readonly failures: string[] = [];
  answered = 0;
  #isOver = false;
  readonly #done: Promise<unknown>;

  constructor(t: Cleanup, url: string, clients = 4) {
    const agent = keepAliveAgent();
    t.after(() => {
      this.#isOver = true;
      agent.destroy();
    });
    this.#done = Promise.all(
      Array.from({ length: clients }, async () => {
        while (!this.#isOver) {
          try {
            const answer = await post(url, 1, { agent });
            this.answered += 1;
            if (answer.status === 200) this.answers.add(answer.json);
            else this.failures.push(answer.text);
          } catch (error) {
            this.failures.push(String(error));
          }
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}
