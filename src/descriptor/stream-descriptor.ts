import { JubakoError } from '../errors.js';
import type { Descriptor, ItemSpec, StreamDescriptor, StreamSpec } from './descriptor.js';
import { preview } from './preview.js';

/**
 * Values one after another: the output of a method whose `run`, or of an API whose `handler`, is an async generator.
 * `stream(json<Token>())`. The caller gets an async iterable; when it stops reading, the generator ends.
 */
export function stream<T, Of extends ItemSpec>(of: Descriptor<T, Of>): StreamDescriptor<T, Of> {
  return new OfValues(of);
}

class OfValues<T, Of extends ItemSpec> implements StreamDescriptor<T, Of> {
  readonly spec: StreamSpec<Of>;
  readonly of: Descriptor<T, Of>;

  constructor(of: Descriptor<T, Of>) {
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
