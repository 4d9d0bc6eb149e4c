import { JubakoError } from '../errors.js';
import type { Rpc, UnaryWork } from './rpc.js';

/** Counts the RPCs that work is done for; those beyond the limit are refused at once. Health and metadata never come here. */
export class Admission {
  readonly #limit: number;
  #inFlight = 0;

  /** @param maxConcurrency - 0: no limit. */
  constructor(maxConcurrency: number) {
    this.#limit = maxConcurrency === 0 ? Infinity : maxConcurrency;
  }

  guard<Request, Response>(work: (request: Request, rpc: Rpc) => Promise<Response>): UnaryWork<Request, Response> {
    return (request, rpc) => {
      this.#take();
      const result = work(request, rpc);
      result.then(this.#leave, this.#leave);
      return result;
    };
  }

  /** For work that is no promise, such as a stream. @returns what to call once, when it is over. @throws {JubakoError} QUEUE_FULL */
  enter(): () => void {
    this.#take();
    return this.#leave;
  }

  #take(): void {
    if (this.#inFlight >= this.#limit) {
      throw new JubakoError(
        'QUEUE_FULL',
        `Cannot take the request: ${this.#inFlight} are being worked on, the limit is ${this.#limit}`,
      );
    }
    this.#inFlight += 1;
  }

  readonly #leave = (): void => {
    this.#inFlight -= 1;
  };
}
