import type { ErrorCode } from '../errors.js';
import { VALUES_TYPE } from '../tensor/value-stream.js';
import { ApiDocument, type ReadDocument, type RemoteApi } from './api-document.js';
import { ApiStream } from './api-stream.js';
import { CallLimits, checkTimeout } from './call-limits.js';
import { ClientError } from './client-error.js';
import type { ClientCallOptions, ClientOptions } from './client-types.js';
import { exchange, readText, type ExchangeOptions } from './http-exchange.js';
import { acceptOf, readOutput } from './read-output.js';
import { writeInput } from './write-input.js';

// A service elsewhere: its address, how it is called, what is known of its APIs.

/** Answers that say that an API is not what it was when the document was read. */
const OUTDATED: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'METHOD_NOT_ALLOWED', 'UNSUPPORTED_MEDIA']);

const DOCUMENT_PATH = '/docs.json';
/** Milliseconds that the answer is waited for. */
const TIMEOUT_HEADER = 'x-request-timeout-ms';
/** The server reads no more digits. */
const MAX_TOLD_MS = 999_999_999;

/** One value, and for an API that streams the values one after another. */
export type AnyAnswer = Promise<unknown> & AsyncIterable<unknown>;

export class RemoteService {
  readonly #url: string;
  readonly #options: ClientOptions;
  readonly #exchange: ExchangeOptions;
  readonly #document: ApiDocument;

  /** @throws {JubakoError} INVALID_INPUT - names the option, its value, and what was wanted. */
  constructor(url: string | URL, options: ClientOptions) {
    this.#url = baseUrlOf(url);
    this.#options = options;
    this.#exchange = { fetch: options.fetch ?? globalThis.fetch, retries: checkRetries(options.retries ?? 0) };
    this.#document = new ApiDocument(this.#url + DOCUMENT_PATH);
    checkTimeout(options.timeoutMs);
  }

  /**
   * Whether the API streams is known when the document has been read, so the answer is both until then; the types of the
   * client show only the right one. Awaited, a stream is itself.
   */
  call(name: string, input: unknown, options: ClientCallOptions = {}): AnyAnswer {
    const stream = new ApiStream({
      limits: () => this.#limitsOf(options),
      open: (limits) => this.#openStream(name, input, options, limits),
    });
    const answer = this.#answer(name, input, options, stream, () => {
      answer.catch(() => undefined); // it may be a stream, which fails when it is read: nobody waits for the promise then
    });
    const iterate = (): AsyncIterator<unknown> => {
      answer.catch(() => undefined); // the stream fails with the same reason
      return stream;
    };
    return Object.assign(answer, { [Symbol.asyncIterator]: iterate });
  }

  /** @param onUnknown - called where it fails before it is known whether the API streams. */
  async #answer(
    name: string,
    input: unknown,
    options: ClientCallOptions,
    stream: ApiStream,
    onUnknown: () => void,
  ): Promise<unknown> {
    const limits = this.#limitsOf(options);
    let api: RemoteApi | undefined;
    try {
      limits.startTimer();
      api = await this.#document.find(name, limits, this.#readDocument(options));
      const { output } = api;
      if (output.kind === 'stream') return stream;
      const response = await this.#post(api, input, acceptOf(output), options, limits);
      return await readOutput(output, response, limits);
    } catch (thrown) {
      if (api === undefined) onUnknown();
      throw limits.reasonOr(thrown);
    } finally {
      limits.end();
    }
  }

  async #openStream(name: string, input: unknown, options: ClientCallOptions, limits: CallLimits): Promise<Response> {
    const api = await this.#document.find(name, limits, this.#readDocument(options));
    if (api.output.kind !== 'stream') {
      throw new ClientError('INVALID_INPUT', `Cannot iterate over the answer of API "${name}": it is one value`);
    }
    return this.#post(api, input, VALUES_TYPE, options, limits);
  }

  async #post(
    api: RemoteApi,
    input: unknown,
    accept: string,
    options: ClientCallOptions,
    limits: CallLimits,
  ): Promise<Response> {
    const { body, headers: about } = await writeInput(api, input);
    const headers = this.#headersOf(options, { ...about, accept, ...timeLeft(api, limits) });
    const request = { method: 'POST', url: this.#url + api.route, headers, body } as const;
    try {
      return await exchange(request, this.#exchange, limits);
    } catch (thrown) {
      if (thrown instanceof ClientError && OUTDATED.has(thrown.code)) this.#document.forget();
      throw thrown;
    }
  }

  /** With the headers of the call that needs it first: they may be what lets it in. */
  #readDocument(options: ClientCallOptions): ReadDocument {
    return async (limits) => {
      const headers = this.#headersOf(options, { accept: 'application/json' });
      const url = this.#url + DOCUMENT_PATH;
      return readText(await exchange({ method: 'GET', url, headers }, this.#exchange, limits), limits);
    };
  }

  #limitsOf({ timeoutMs, signal }: ClientCallOptions): CallLimits {
    return new CallLimits(timeoutMs ?? this.#options.timeoutMs, signal);
  }

  #headersOf(options: ClientCallOptions, own: Readonly<Record<string, string>>): Headers {
    const { apiKey, headers = {} } = this.#options;
    const { requestId } = options;
    try {
      const all = new Headers(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` });
      const id = requestId === undefined ? {} : { 'x-request-id': requestId };
      for (const some of [headers, options.headers ?? {}, id, own]) {
        for (const [name, value] of Object.entries(some)) all.set(name, value);
      }
      return all;
    } catch (cause) {
      throw new ClientError('INVALID_INPUT', `Cannot send the headers: ${(cause as Error).message}`, { cause });
    }
  }
}

/** So that the server does not work for nobody. A stream has no end that the client knows: its time counts per value. */
function timeLeft({ output }: RemoteApi, { remainingMs }: CallLimits): Readonly<Record<string, string>> {
  if (output.kind === 'stream' || remainingMs === Infinity) return {};
  return { [TIMEOUT_HEADER]: String(Math.min(MAX_TOLD_MS, Math.max(0, Math.ceil(remainingMs)))) };
}

function baseUrlOf(url: string | URL): string {
  const refuse = (why: string, cause?: unknown): never => {
    throw new ClientError('INVALID_INPUT', `Cannot use "${String(url)}" as the address of a server: ${why}`, { cause });
  };
  // In a page, an address may be relative to it.
  const { location } = globalThis as { readonly location?: { readonly href: string } };
  let parsed: URL;
  try {
    parsed = new URL(url, location?.href);
  } catch (cause) {
    return refuse('it is no URL', cause);
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') refuse('wanted http: or https:');
  if (parsed.username !== '' || parsed.password !== '') refuse('fetch sends no name and password of an address');
  if (parsed.search !== '' || parsed.hash !== '') refuse('wanted neither "?" nor "#"');
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}

function checkRetries(retries: number): number {
  if (Number.isInteger(retries) && retries >= 0) return retries;
  throw new ClientError('INVALID_INPUT', `Cannot use retries ${retries}: wanted a whole number >= 0`);
}
