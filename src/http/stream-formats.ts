import type { Descriptor, ItemSpec, StreamDescriptor } from '../descriptor/descriptor.js';
import { JubakoError } from '../errors.js';
import { VALUES_TYPE, encodeEnd, encodeError, encodeItem } from '../tensor/value-stream.js';
import { errorText } from './error-answer.js';
import type { Piece } from './streamed-answer.js';
import { BINARY_TYPE } from './tensor-headers.js';

// The forms in which the values of an API that streams can go. Each has a word for a failure after the first value, save the
// raw ones, whose answers break off instead.

export interface StreamFormat {
  /** Media type in lower case; what `Accept` is held against. */
  readonly type: string;
  /** As it stands in `Content-Type`. */
  readonly contentType: string;
  /** Further headers: name, value … */
  readonly headers: readonly string[];
  /** Sent while no value comes, so that nobody between takes the connection for dead. */
  readonly keepAlive?: string;
  /**
   * @param number - counted from 1.
   * @throws {JubakoError} USER_CODE - the value can't be written.
   */
  item(value: unknown, number: number): Piece;
  /** After the last value; undefined: nothing. */
  readonly end: Piece | undefined;
  /** Undefined: it has no word for it. */
  failure(error: JubakoError, requestId: string): Piece | undefined;
}

/** Nobody between may keep a stream, nginx least of all. */
const NOT_KEPT: readonly string[] = ['Cache-Control', 'no-cache', 'X-Accel-Buffering', 'no'];
const TEXT_TYPE = 'text/plain';

/** The usual one first. */
export function streamFormats(api: string, { of }: StreamDescriptor): readonly StreamFormat[] {
  const formats = [new LineFormat(api, of), new EventFormat(api, of), new ValueFormat(api)];
  return [...formats, ...rawFormats(of.spec)];
}

/** Newline-delimited JSON: a value a line. */
class LineFormat implements StreamFormat {
  readonly type = 'application/x-ndjson';
  readonly contentType = this.type;
  readonly headers = NOT_KEPT;
  readonly end = undefined;
  readonly #api: string;
  readonly #of: Descriptor;

  constructor(api: string, of: Descriptor) {
    this.#api = api;
    this.#of = of;
  }

  item(value: unknown): string {
    return `${jsonText(this.#api, this.#of, value)}\n`;
  }

  failure(error: JubakoError, requestId: string): string {
    return `${errorText(error, requestId)}\n`;
  }
}

/**
 * Server-sent events. `Last-Event-ID` is not looked at: a stream is the answer to one request and can't be taken up again, the
 * ids only count. `retry` stands with failures after which another try makes sense.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
class EventFormat implements StreamFormat {
  readonly type = 'text/event-stream';
  readonly contentType = this.type;
  readonly headers = NOT_KEPT;
  readonly keepAlive = ':\n\n';
  readonly end = 'event: end\ndata:\n\n';
  readonly #api: string;
  readonly #of: Descriptor;

  constructor(api: string, of: Descriptor) {
    this.#api = api;
    this.#of = of;
  }

  item(value: unknown, number: number): string {
    const text = this.#of.spec.kind === 'text' ? (value as string) : jsonText(this.#api, this.#of, value);
    return `id: ${number}\n${dataLines(text)}\n`;
  }

  failure(error: JubakoError, requestId: string): string {
    const { retryAfterSeconds } = error;
    const retry = retryAfterSeconds === undefined ? '' : `retry: ${retryAfterSeconds * 1000}\n`;
    return `event: error\n${retry}${dataLines(bodyText(error, requestId))}\n`;
  }
}

const LINE_BREAK = /\r\n|\r|\n/;

function dataLines(text: string): string {
  if (!LINE_BREAK.test(text)) return `data: ${text}\n`;
  const lines = text.split(LINE_BREAK);
  return lines.map((line) => `data: ${line}\n`).join('');
}

/** Frames of value-stream.ts, for our own clients. */
class ValueFormat implements StreamFormat {
  readonly type = VALUES_TYPE;
  readonly contentType = this.type;
  readonly headers = NOT_KEPT;
  readonly end = encodeEnd();
  readonly #api: string;

  constructor(api: string) {
    this.#api = api;
  }

  item(value: unknown): Piece {
    try {
      return encodeItem(value);
    } catch (thrown) {
      throw unwritable(this.#api, VALUES_TYPE, thrown);
    }
  }

  failure(error: JubakoError, requestId: string): Uint8Array {
    return encodeError(bodyText(error, requestId));
  }
}

/** Texts and bytes one behind the other, with nothing between. */
function rawFormats(spec: ItemSpec): readonly StreamFormat[] {
  if (spec.kind !== 'text' && spec.kind !== 'bytes') return [];
  const isText = spec.kind === 'text';
  const types = new Set([spec.mediaType, isText ? TEXT_TYPE : BINARY_TYPE]);
  return [...types].map((type) => ({
    type,
    contentType: isText ? `${type}; charset=utf-8` : type,
    // Browsers would hold the beginning back to guess what it is.
    headers: [...NOT_KEPT, 'X-Content-Type-Options', 'nosniff'],
    item: (value) => value as Piece,
    end: undefined,
    failure: () => undefined,
  }));
}

/** `{"code":…,"message":…,"requestId":…,"details":…}`: what stands in the error of an answer. */
function bodyText(error: JubakoError, requestId: string): string {
  const { error: body } = JSON.parse(errorText(error, requestId)) as { readonly error: unknown };
  return JSON.stringify(body);
}

function jsonText(api: string, of: Descriptor, value: unknown): string {
  try {
    return JSON.stringify(of.toJson(value)) ?? 'null';
  } catch (thrown) {
    throw unwritable(api, 'JSON', thrown);
  }
}

function unwritable(api: string, form: string, thrown: unknown): JubakoError {
  const { message } = JubakoError.from(thrown);
  return new JubakoError('USER_CODE', `Cannot write a value of API "${api}" as ${form}: ${message}`, { cause: thrown });
}
