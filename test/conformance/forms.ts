import type { Message } from './protobuf-values.js';

// A value in every form in which a door takes and gives it: a case is written once.
// F1 `same` is what is compared: plain, and the same whichever door the value came by.

/** Bytes with the headers that say what they are. */
export interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** A tensor as the Open Inference Protocol speaks of it. */
export interface ModelTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** 64-bit integers as bigint. */
  readonly elements: readonly Element[];
}

export type Element = number | bigint | string | boolean;

/** The forms of one kind of value. */
export interface Form<T = unknown> {
  /** F1 */
  same(value: T): unknown;
  toJson(value: T): unknown;
  sameOfJson(json: unknown): unknown;
  /** What application/vnd.jubako.value holds. */
  toPlain(value: T): unknown;
  sameOfPlain(plain: unknown): unknown;
  /** Of Request, Response and Part of BentoML's API. */
  toContent(value: T): Message;
  sameOfContent(content: Message): unknown;
  /** Where there is a body of a type of its own; asked for by `accept`. */
  readonly media?: {
    readonly accept: string;
    toBody(value: T): Body;
    sameOfBody(body: Body): unknown;
  };
  /** Where models take such values. */
  readonly model?: {
    toTensors(value: T): readonly ModelTensor[];
    sameOfTensors(tensors: readonly ModelTensor[]): unknown;
  };
}

/** A value that knows its forms. */
export class Given {
  readonly form: Form;
  readonly value: unknown;
  /** True: JSON has no words for it. */
  readonly beyondJson: boolean;

  constructor(form: Form, value: unknown, { beyondJson = false } = {}) {
    this.form = form;
    this.value = value;
    this.beyondJson = beyondJson;
  }

  get same(): unknown {
    return this.form.same(this.value);
  }
}

export function given<T>(form: Form<T>, value: T, options?: { readonly beyondJson?: boolean }): Given {
  return new Given(form, value, options);
}
