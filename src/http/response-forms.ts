import type { Descriptor, Media, MediaForm } from '../descriptor/descriptor.js';
import { JubakoError } from '../errors.js';
import { bytesOf, encodeValue, type NumericDtype, type Tensor } from '../tensor/index.js';
import { VALUE_TYPE } from '../tensor/value-stream.js';
import { answerCompressed } from './compress.js';
import { attachment } from './content-disposition.js';
import { isJsonFirst } from './content-form.js';
import { JSON_TYPE, type Exchange } from './exchange.js';
import { formatParameters } from './media-type.js';
import { FORM_TYPE } from './multipart-reader.js';
import { writeMultipart } from './multipart-writer.js';
import { chooseOffer } from './negotiate.js';
import { BINARY_TYPE, isBinaryTensor } from './tensor-headers.js';

// The forms in which the output of an API can go: JSON always, and what its descriptor offers besides.

/** Up to here a copy costs less than a write of its own. */
const JOINED_BYTES = 16 * 1024;

interface Offer {
  /** What `Accept` is held against; with a `*` where each value has a type of its own. */
  readonly type: string;
  /** @throws {JubakoError} USER_CODE - the output can't be written. */
  answer(exchange: Exchange, output: unknown): void | Promise<void>;
}

export class ResponseForms {
  readonly #offers: readonly Offer[];

  constructor(api: string, output: Descriptor) {
    this.#offers = offersOf(api, output);
  }

  /**
   * Answers with an output, which the invoker has checked, in the form that the client likes best.
   * @throws {JubakoError} USER_CODE - it can't be written; or rejects with it.
   */
  answer(exchange: Exchange, output: unknown): void | Promise<void> {
    return chooseOffer(exchange.request.headers.accept, this.#offers).answer(exchange, output);
  }
}

function offersOf(api: string, output: Descriptor): readonly Offer[] {
  const { media, parts, spec } = output;
  const offers: Offer[] = [
    ...(media === undefined ? [] : media.gives.map((type) => mediaOffer(api, media, type))),
    ...(isBinaryTensor(spec) ? [TENSOR_OFFER] : []),
    ...(parts === undefined ? [] : [formOffer(api, parts)]),
    valueOffer(api),
  ];
  const json = jsonOffer(api, output);
  // Forms first where the output is a form: BentoML's clients expect it, and name nothing.
  const isFirst = isJsonFirst(output) && spec.kind !== 'multipart';
  return isFirst ? [json, ...offers] : [...offers, json];
}

function jsonOffer(api: string, output: Descriptor): Offer {
  return {
    type: 'application/json',
    answer: (exchange, value) => {
      const json = written(api, 'JSON', () => output.toJson(value));
      if (!(json instanceof Promise)) return answerCompressed(exchange, JSON_TYPE, toText(api, json));
      return json.then(
        (later: unknown) => answerCompressed(exchange, JSON_TYPE, toText(api, later)),
        (thrown: unknown) => Promise.reject(unwritable(api, 'JSON', thrown)),
      );
    },
  };
}

function toText(api: string, json: unknown): string {
  const text = written(api, 'JSON', () => JSON.stringify(json) as string | undefined);
  return text ?? 'null';
}

const TENSOR_OFFER: Offer = {
  type: BINARY_TYPE,
  answer: (exchange, value) => {
    const tensor = value as Tensor<NumericDtype>;
    const headers = ['Tensor-Dtype', tensor.dtype, 'Tensor-Shape', tensor.shape.join(',')];
    exchange.answer(200, BINARY_TYPE, bytesOf(tensor), headers);
  },
};

function valueOffer(api: string): Offer {
  return {
    type: VALUE_TYPE,
    answer: (exchange, value) => {
      const { head, parts, byteLength } = written(api, VALUE_TYPE, () => encodeValue(value));
      if (byteLength <= JOINED_BYTES) exchange.answer(200, VALUE_TYPE, Buffer.concat([head, ...parts], byteLength));
      else exchange.answerPieces(VALUE_TYPE, [head, ...parts]);
    },
  };
}

function mediaOffer(api: string, form: MediaForm, type: string): Offer {
  const answer = (exchange: Exchange, { mediaType, parameters, fileName, bytes }: Media): void | Promise<void> => {
    const headers = fileName === undefined ? [] : ['Content-Disposition', attachment(fileName)];
    return answerCompressed(exchange, `${mediaType}${formatParameters(parameters)}`, bytes, { headers });
  };
  return {
    type,
    answer: (exchange, value) => {
      const media = written(api, type, () => form.write(value, type));
      if (media instanceof Promise) {
        return media.then(
          (later) => answer(exchange, later),
          (thrown: unknown) => Promise.reject(unwritable(api, type, thrown)),
        );
      }
      return answer(exchange, media);
    },
  };
}

function formOffer(api: string, fields: Readonly<Record<string, Descriptor>>): Offer {
  return {
    type: FORM_TYPE,
    answer: async (exchange, value) => {
      const values = value as Readonly<Record<string, unknown>>;
      const parts: Record<string, Media> = {};
      try {
        for (const [name, field] of Object.entries(fields)) {
          if (values[name] !== undefined) parts[name] = await partOf(name, field, values[name]);
        }
      } catch (thrown) {
        throw unwritable(api, FORM_TYPE, thrown);
      }
      const { contentType, bytes } = writeMultipart(parts);
      exchange.answer(200, contentType, bytes);
    },
  };
}

/** In its usual form. Bytes get a file name, which makes readers of forms leave them as they are. */
async function partOf(name: string, field: Descriptor, value: unknown): Promise<Media> {
  const [usual] = field.media?.gives ?? [];
  if (field.media === undefined || usual === undefined || isJsonFirst(field)) {
    const text = JSON.stringify(await field.toJson(value)) as string | undefined;
    return { mediaType: 'application/json', bytes: Buffer.from(text ?? 'null') };
  }
  const media = await field.media.write(value, usual);
  return media.mediaType.startsWith('text/') ? media : { fileName: name, ...media };
}

function written<T>(api: string, form: string, write: () => T): T {
  try {
    return write();
  } catch (thrown) {
    throw unwritable(api, form, thrown);
  }
}

function unwritable(api: string, form: string, thrown: unknown): JubakoError {
  const { message } = JubakoError.from(thrown);
  return new JubakoError('USER_CODE', `Cannot write the output of API "${api}" as ${form}: ${message}`, {
    cause: thrown,
  });
}
