import type { IncomingHttpHeaders } from 'node:http';
import type { ApiInput } from '../descriptor/api-input.js';
import type { Descriptor } from '../descriptor/descriptor.js';
import { parseJson } from '../descriptor/json-value.js';
import { JubakoError } from '../errors.js';
import { quoteLongIntegers } from '../inference/exact-integers.js';
import { asUtf8, parseDisposition } from './content-disposition.js';
import {
  acceptedTypes,
  contentFormOf,
  isJsonFirst,
  readContent,
  refuseOtherCharset,
  type ContentHead,
} from './content-form.js';
import { parseMediaType } from './media-type.js';
import { FORM_TYPE, boundaryOf, readMultipart, type FormPart } from './multipart-reader.js';
import { Body } from './request-body.js';
import { DTYPE_HEADER, SHAPE_HEADER } from './tensor-headers.js';

/** How one body has to be read; known from its head alone, so that a body that cannot be read is refused before it is received. */
export interface RequestForm {
  /** @throws {JubakoError} INVALID_INPUT, TOO_LARGE, UNSUPPORTED_MEDIA */
  read(body: Body): ApiInput;
}

const JSON_FORM: RequestForm = {
  read: (body) => ({ form: 'json', json: parseJson(body.bytes()) }),
};

/** Where all numbers are 64-bit integers: those that JSON.parse would round are read as texts, which their descriptor takes. */
const EXACT_JSON_FORM: RequestForm = {
  read: (body) => {
    const bytes = body.bytes();
    const json = parseJson(bytes);
    const text = bytes.toString('utf8');
    return { form: 'json', json: LONG_INTEGER.test(text) ? JSON.parse(quoteLongIntegers(text)) : json };
  },
};

const LONG_INTEGER = /\d{16}/;

function jsonFormOf({ spec }: Descriptor): RequestForm {
  const specs = spec.kind === 'tensor' ? [spec] : spec.kind === 'tensors' ? Object.values(spec.fields) : [];
  const isExact = specs.length > 0 && specs.every(({ dtype }) => dtype === 'int64' || dtype === 'uint64');
  return isExact ? EXACT_JSON_FORM : JSON_FORM;
}

/** The forms of the requests of one API. */
export class RequestForms {
  readonly #input: Descriptor;
  readonly #isJsonFirst: boolean;
  readonly #jsonForm: RequestForm;

  constructor(input: Descriptor) {
    this.#input = input;
    this.#isJsonFirst = isJsonFirst(input);
    this.#jsonForm = jsonFormOf(input);
  }

  /** @throws {JubakoError} UNSUPPORTED_MEDIA - names what was sent and what is accepted; INVALID_INPUT */
  of(headers: IncomingHttpHeaders): RequestForm {
    const given = headers['content-type'];
    if (given === 'application/json' || given === undefined) {
      if (this.#isJsonFirst) return this.#jsonForm;
    }
    const type = given === undefined ? undefined : parseMediaType(given);
    const { parts, media, spec } = this.#input;
    if (type?.type === FORM_TYPE && (parts !== undefined || media !== undefined)) {
      const boundary = boundaryOf(type);
      return { read: (body) => readForm(this.#input, body, boundary) };
    }
    const fileName = fileNameOf(headers);
    const isMalformed = given !== undefined && type === undefined;
    const form = isMalformed ? undefined : contentFormOf(this.#input, type, fileName !== undefined);
    if (form === undefined) {
      const accepted = acceptedTypes(this.#input);
      throw new JubakoError(
        'UNSUPPORTED_MEDIA',
        `Cannot read a body of content type "${given ?? ''}": this API accepts ${accepted}`,
      );
    }
    if (form === 'json') {
      refuseOtherCharset(type, given);
      return this.#jsonForm;
    }
    const head: ContentHead = { type, fileName, labels: labelsOf(headers) };
    return { read: (body) => readContent(form, spec, body, head) };
  }
}

/** A file's name comes as the standard says for answers; RFC 6266 leaves its use in requests open, and no other header is one. */
function fileNameOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['content-disposition'];
  return given === undefined ? undefined : parseDisposition(asUtf8(given))?.fileName;
}

function labelsOf(headers: IncomingHttpHeaders): ContentHead['labels'] {
  return { dtype: single(headers[DTYPE_HEADER]), shape: single(headers[SHAPE_HEADER]), where: 'header tensor-' };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

/** All named parts where the input is made of such; else the one part that holds it, as forms in pages send a file. */
function readForm(input: Descriptor, body: Body, boundary: string): ApiInput {
  const { parts: fields } = input;
  const parts: Record<string, ApiInput> = {};
  let only: ApiInput | undefined;
  for (const part of readMultipart(body.bytes(), boundary)) {
    const { name } = part;
    if (fields === undefined) {
      if (only !== undefined) throw invalid('it has several parts, this API takes one');
      only = readPart(part, input);
      continue;
    }
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined)
      throw invalid(`it has the part "${name}", the parts are ${Object.keys(fields).join(', ')}`);
    if (Object.hasOwn(parts, name)) throw invalid(`it has the part "${name}" twice`);
    parts[name] = readPart(part, field);
  }
  if (fields !== undefined) return { form: 'parts', parts };
  if (only === undefined) throw invalid('it has no parts, this API takes one');
  return only;
}

function readPart({ name, fileName, type, bytes }: FormPart, field: Descriptor): ApiInput {
  const form = contentFormOf(field, type, fileName !== undefined);
  const given = type?.type ?? '';
  if (form === undefined) {
    throw new JubakoError(
      'UNSUPPORTED_MEDIA',
      `Part "${name}": Cannot read content type "${given}": wanted ${acceptedTypes(field)}`,
    );
  }
  const parameters = type?.parameters ?? {};
  const labels = { dtype: parameters['dtype'], shape: parameters['shape'], where: 'parameter ' };
  try {
    if (form === 'json') refuseOtherCharset(type, given);
    return readContent(form, field.spec, Body.of(bytes), { type, fileName, labels });
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    throw new JubakoError(error.code, `Part "${name}": ${error.message}`, { details: error.details, cause: error });
  }
}

function invalid(why: string): JubakoError {
  return new JubakoError('INVALID_INPUT', `Cannot read the form: ${why}`);
}
