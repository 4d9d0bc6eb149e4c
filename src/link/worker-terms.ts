import { JubakoError } from '../errors.js';
import { frameBytes } from './frame.js';
import { REQUEST_META_BYTES } from './frame-meta.js';
import type { LinkMethod, ServerHello } from './hello.js';
import type { OutgoingCall } from './outgoing-call.js';

/** Longest request id in a frame, for the first size check. */
const ID_BYTES = 3 * 1024;

/** What a runner worker has agreed to by its hello. */
export class WorkerTerms {
  readonly methods: readonly LinkMethod[];
  readonly maxFrameBytes: number;
  readonly #maxInFlight: number;
  readonly #maxInFlightBytes: number;
  readonly #indexes = new Map<string, number>();

  constructor(hello: ServerHello) {
    this.methods = hello.methods;
    this.maxFrameBytes = hello.maxFrameBytes;
    this.#maxInFlight = hello.maxInFlight;
    this.#maxInFlightBytes = hello.maxInFlightBytes;
    hello.methods.forEach((method, index) => this.#indexes.set(method.name, index));
  }

  /** @param inFlight - `{ size, bytes }` of the calls that it has; one alone is taken whatever its size. */
  takes(inFlight: { readonly size: number; readonly bytes: number }, bytes: number): boolean {
    if (inFlight.size === 0) return true;
    return inFlight.size < this.#maxInFlight && inFlight.bytes + bytes <= this.#maxInFlightBytes;
  }

  /** The index of a method that answers in the form of the call: by items or by one value. */
  methodIndex({ request: { method }, reader }: OutgoingCall): number | undefined {
    const index = this.#indexes.get(method);
    return index !== undefined && this.methods[index]?.streams === (reader !== undefined) ? index : undefined;
  }

  /** @throws {JubakoError} TOO_LARGE */
  checkSize({ request, value }: OutgoingCall): void {
    if (value.byteLength + ID_BYTES <= this.maxFrameBytes) return;
    const { runner, method, requestId } = request;
    const totalBytes = frameBytes(REQUEST_META_BYTES + Buffer.byteLength(requestId), value.byteLength);
    if (totalBytes <= this.maxFrameBytes) return;
    throw new JubakoError(
      'TOO_LARGE',
      `Cannot call ${runner}.${method}: the input has ${totalBytes} bytes, the runner takes ${this.maxFrameBytes}`,
    );
  }
}

/** Why no worker was found for a call: the runner lacks its method, or has it in the other form. */
export function noMethod({ request, reader }: OutgoingCall, methods: readonly LinkMethod[]): JubakoError {
  const { runner, method } = request;
  const cannot = `Cannot ${reader === undefined ? 'call' : 'stream'} ${runner}.${method}`;
  if (methods.some(({ name }) => name === method)) {
    const form = reader === undefined ? 'a stream of values' : 'one value, not with a stream';
    return new JubakoError('NOT_FOUND', `${cannot}: it answers with ${form}`);
  }
  const known = methods.map(({ name }) => name).join(', ');
  return new JubakoError('NOT_FOUND', `${cannot}: runner "${runner}" has the methods ${known}`);
}
