import type { Form, Given } from './forms.js';

// The doors of a server, and one way to ask at each of them: a case is written once.
// O1 An answer is told in the words of the catalogue, whatever the door; `status` alone is the door's own.

/** What is asked: an API, and the method of a runner that stands beside it; absent where there is none. */
export interface Target {
  readonly api: string;
  readonly model?: string;
  /** Of the answer, or of each of them; default: the form of what is given. */
  readonly output?: Form;
  /** True: it answers by a stream. */
  readonly isStream?: boolean;
}

export interface AskOptions {
  readonly requestId?: string;
  /** The client's own limit, where the door has one. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Headers of HTTP, metadata of gRPC. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** O1 */
export interface Told {
  /** `ok`, or the code of the failure; '' where the door gave none. */
  readonly code: string;
  /** Of HTTP, or of gRPC. */
  readonly status: number;
  readonly message: string;
  readonly requestId: string;
  readonly retryAfter: string | undefined;
  /** What `Form.same` would give; of a stream a list of such, up to where it failed. */
  readonly value: unknown;
  /** All that the client got to see, as text. */
  readonly seen: string;
}

export type Protocol = 'http' | 'grpc';

/** The columns of CONFORMANCE.md. */
export const DOOR_NAMES = [
  'API JSON',
  'API media',
  'API value',
  'OIP JSON',
  'OIP binary',
  'Bento Call',
  'OIP typed',
  'OIP raw',
] as const;
export type DoorName = (typeof DOOR_NAMES)[number];

export interface Door {
  readonly name: DoorName;
  readonly protocol: Protocol;
  /** True: it leads to this target, and takes such values. */
  leadsTo(target: Target, value: unknown): boolean;
  /** @param value - a `Given`, or what `givenOf` makes one of. */
  ask(target: Target, value: unknown, options?: AskOptions): Promise<Told>;
}

/** What both protocols' doors are made of. */
export interface DoorForm {
  readonly name: DoorName;
  readonly leadsTo: (target: Target, given: Given) => boolean;
  readonly ask: (target: Target, given: Given, options: AskOptions) => Promise<Told>;
}

export function outputOf({ output }: Target, given: Given): Form {
  return output ?? given.form;
}
