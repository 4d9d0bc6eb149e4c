import { JubakoError } from '../errors.js';
import type { Descriptor, StreamDescriptor, StreamSpec } from './descriptor.js';
import { preview } from './json-descriptor.js';

/**
 * Values one after another: the output of a method whose `run` is an async generator. `stream(json<Token>())`.
 * The caller gets an async iterable; when it stops reading, the generator ends.
 */
export function stream<T>(of: Descriptor<T>): StreamDescriptor<T> {
  return new OfValues(of);
}

class OfValues<T> implements StreamDescriptor<T> {
  readonly spec: StreamSpec;
  readonly of: Descriptor<T>;

  constructor(of: Descriptor<T>) {
    this.of = of;
    this.spec = { kind: 'stream', of: of.spec };
  }

  prepare(): void {
    this.of.prepare?.();
  }

  fromJson(): never {
    throw new TypeError('A stream has no single JSON value: read its values by `of`');
  }

  toJson(): never {
    throw new TypeError('A stream has no single JSON value: write its values by `of`');
  }

  /** That it can be iterated; each value is checked when it comes. */
  check(value: unknown): AsyncIterable<T> {
    if (isAsyncIterable(value)) return value as AsyncIterable<T>;
    throw new JubakoError(
      'INVALID_INPUT',
      `Cannot accept ${preview(value)}: wanted an async iterable, as an async generator function returns it`,
    );
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** True for what `stream()` made. */
export function isStreamDescriptor(descriptor: {
  readonly spec: { readonly kind: string };
}): descriptor is StreamDescriptor {
  return descriptor.spec.kind === 'stream';
}
