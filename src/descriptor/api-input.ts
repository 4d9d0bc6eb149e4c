import { JubakoError } from '../errors.js';
import type { Descriptor, Media } from './descriptor.js';

/** An input as its protocol read it, not yet checked: the invoker makes the value of the handler of it. */
export type ApiInput =
  | { readonly form: 'json'; readonly json: unknown }
  /** A value such as a `Tensor` read from a binary body. */
  | { readonly form: 'value'; readonly value: unknown }
  | { readonly form: 'media'; readonly media: Media }
  /** Name → part; for descriptors that have `parts`. */
  | { readonly form: 'parts'; readonly parts: Readonly<Record<string, ApiInput>> };

/**
 * @throws {JubakoError} INVALID_INPUT - names the path, the value and what was wanted. A promise where the value has to be
 * decoded elsewhere, as images have.
 */
export function readInput<T>(descriptor: Descriptor<T>, input: ApiInput): T | Promise<T> {
  switch (input.form) {
    case 'json':
      return descriptor.fromJson(input.json);
    case 'value':
      return descriptor.check(input.value);
    case 'media':
      if (descriptor.media === undefined) throw unreadable(descriptor, `a body of type "${input.media.mediaType}"`);
      return descriptor.media.read(input.media);
    case 'parts':
      if (descriptor.parts === undefined) throw unreadable(descriptor, 'a multipart body');
      return readParts(descriptor, descriptor.parts, input.parts);
    default:
      return input satisfies never;
  }
}

async function readParts<T>(
  descriptor: Descriptor<T>,
  fields: Readonly<Record<string, Descriptor>>,
  parts: Readonly<Record<string, ApiInput>>,
): Promise<T> {
  const names = Object.keys(parts);
  const unknown = names.find((name) => !Object.hasOwn(fields, name));
  if (unknown !== undefined) {
    const known = Object.keys(fields).join(', ');
    throw new JubakoError('INVALID_INPUT', `Cannot accept the part "${unknown}": the parts are ${known}`);
  }
  const values = await Promise.all(
    names.map(async (name) => {
      try {
        return await readInput(fields[name] as Descriptor, parts[name] as ApiInput);
      } catch (thrown) {
        const error = JubakoError.from(thrown);
        throw new JubakoError(error.code, `Part "${name}": ${error.message}`, { details: error.details, cause: error });
      }
    }),
  );
  const all = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  return descriptor.fromParts === undefined ? descriptor.check(all) : descriptor.fromParts(all);
}

function unreadable({ spec }: Descriptor, what: string): JubakoError {
  return new JubakoError('UNSUPPORTED_MEDIA', `Cannot read ${what}: wanted ${spec.kind}`);
}
