import type { ApiInput } from '#dist/descriptor/api-input.js';

/** The JSON, value, media or parts that a protocol read. */
export function contentOf(input: ApiInput): unknown {
  switch (input.form) {
    case 'json':
      return input.json;
    case 'value':
      return input.value;
    case 'media':
      return input.media;
    case 'parts':
      return input.parts;
    default:
      return input satisfies never;
  }
}
