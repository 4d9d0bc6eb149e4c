import type { DescriptorSpec, OutputSpec } from '../descriptor/descriptor.js';
import { CallLimits } from './call-limits.js';
import { ClientError } from './client-error.js';

// What the server says about its APIs: routes and descriptors, from `x-jubako` of the operations in `/docs.json`.
// D1 Read once, for whichever call comes first; those that come meanwhile wait for the same answer. A failure is not kept.
// D2 A caller that gives up ends the reading only where nobody else waits for it.
// D3 Answers that may mean that it is outdated cost one more request a minute: handlers give NOT_FOUND for reasons of their own.

const KEPT_MS = 60_000;

export interface RemoteApi {
  readonly name: string;
  readonly route: string;
  readonly input: DescriptorSpec;
  readonly output: OutputSpec;
}

type RemoteApis = ReadonlyMap<string, RemoteApi>;

interface Reading {
  readonly apis: Promise<RemoteApis>;
  readonly limits: CallLimits;
  /** Calls that wait for it. */
  waiting: number;
  isDone: boolean;
}

/** Reads the text of the document. */
export type ReadDocument = (limits: CallLimits) => Promise<string>;

export class ApiDocument {
  readonly #url: string;
  readonly #now: () => number;
  #reading: Reading | undefined;
  #readAtMs = 0;

  /** @param url - of the document, for messages. */
  constructor(url: string, now: () => number = () => performance.now()) {
    this.#url = url;
    this.#now = now;
  }

  /**
   * @param read - called where the document is not known yet.
   * @throws {ClientError} NOT_FOUND - the service has no such API; INTERNAL - no document of Jubako; what `read` throws.
   */
  async find(name: string, limits: CallLimits, read: ReadDocument): Promise<RemoteApi> {
    const apis = await this.#apis(limits, read);
    const api = apis.get(name);
    if (api !== undefined) return api;
    this.forget(); // it may be newer than the document
    const known = [...apis.keys()].join(', ');
    throw new ClientError('NOT_FOUND', `Cannot call API "${name}": in ${this.#url} are ${known}`);
  }

  /** What is known may be wrong: the next call reads anew, unless it has just been read (D3). */
  forget(): void {
    if (this.#reading?.isDone === true && this.#now() - this.#readAtMs > KEPT_MS) this.#reading = undefined;
  }

  async #apis(limits: CallLimits, read: ReadDocument): Promise<RemoteApis> {
    const reading = (this.#reading ??= this.#start(read));
    reading.waiting += 1;
    try {
      return await limits.race(reading.apis);
    } finally {
      reading.waiting -= 1;
      // It has failed (D1), or nobody waits for it any more (D2).
      if (reading.waiting === 0 && !reading.isDone) {
        if (this.#reading === reading) this.#reading = undefined;
        reading.limits.leave();
      }
    }
  }

  #start(read: ReadDocument): Reading {
    const limits = new CallLimits(undefined, undefined);
    const apis = read(limits).then((text) => readApis(text, this.#url));
    const reading: Reading = { apis, limits, waiting: 0, isDone: false };
    apis.then(
      () => {
        reading.isDone = true;
        this.#readAtMs = this.#now();
      },
      () => undefined, // told to those who wait
    );
    return reading;
  }
}

function readApis(text: string, url: string): RemoteApis {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new ClientError('INTERNAL', `Cannot read ${url}: it is no JSON`, { cause });
  }
  const apis = new Map<string, RemoteApi>();
  for (const [route, item] of Object.entries(fieldOf(document, 'paths') ?? {})) {
    const about = fieldOf(fieldOf(item, 'post'), 'x-jubako');
    const api = fieldOf(about, 'api');
    const input = fieldOf(about, 'input');
    const output = fieldOf(about, 'output');
    if (typeof api !== 'string' || !isSpec(input) || !isSpec(output)) continue; // what else the server has
    apis.set(api, { name: api, route, input: input as DescriptorSpec, output: output as OutputSpec });
  }
  if (apis.size > 0) return apis;
  throw new ClientError('INTERNAL', `Cannot read ${url}: none of its operations has "x-jubako", as Jubako writes it`);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function isSpec(value: unknown): boolean {
  return typeof fieldOf(value, 'kind') === 'string';
}
