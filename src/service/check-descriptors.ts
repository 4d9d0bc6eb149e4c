import type { DescriptorSpec, ItemSpec, OutputSpec, ValueSpec } from '../descriptor/descriptor.js';

// Which descriptors may stand where: JavaScript services have no types that would say so.

export type Refuse = (why: string) => never;

/** What runners take and give, and what streams are made of: the types say the same, or this does not compile. */
const FITS: {
  readonly [K in DescriptorSpec['kind']]: {
    readonly link: K extends ValueSpec['kind'] ? true : false;
    readonly item: K extends ItemSpec['kind'] ? true : false;
  };
} = {
  json: { link: true, item: true },
  tensor: { link: true, item: true },
  tensors: { link: true, item: true },
  text: { link: false, item: true },
  bytes: { link: false, item: true },
  file: { link: false, item: false },
  image: { link: false, item: false },
  table: { link: false, item: false },
  multipart: { link: false, item: false },
};
const LINK_KINDS = kindsThat('link');
const ITEM_KINDS = kindsThat('item');
const ALL_KINDS = Object.keys(FITS);

/** Names of form fields, which stand in headers and in the maps of gRPC. */
const FIELD = /^[\w.-]{1,63}$/;

/** @param what - for messages: `method "digits.predict": its input`. */
export function checkMethodInput(descriptor: unknown, what: string, refuse: Refuse): void {
  checkKind(descriptor, LINK_KINDS, what, refuse);
}

export function checkMethodOutput(descriptor: unknown, what: string, refuse: Refuse): void {
  checkOutput(descriptor, LINK_KINDS, LINK_KINDS, what, refuse);
}

export function checkApiInput(descriptor: unknown, what: string, refuse: Refuse): void {
  checkFields(checkKind(descriptor, ALL_KINDS, what, refuse), what, refuse);
}

export function checkApiOutput(descriptor: unknown, what: string, refuse: Refuse): void {
  checkOutput(descriptor, ALL_KINDS, ITEM_KINDS, what, refuse);
}

function checkOutput(
  descriptor: unknown,
  kinds: readonly string[],
  items: readonly string[],
  what: string,
  refuse: Refuse,
): void {
  const spec = checkKind(descriptor, [...kinds, 'stream'], what, refuse);
  if (spec.kind === 'stream')
    checkKind((descriptor as { of?: unknown }).of, items, `${what}: each value of it`, refuse);
  checkFields(spec, what, refuse);
}

function checkKind(descriptor: unknown, kinds: readonly string[], what: string, refuse: Refuse): OutputSpec {
  const wanted = `wanted ${kinds.map((kind) => `${kind}()`).join(', ')}`;
  if (!isDescriptor(descriptor)) return refuse(`${what} is no descriptor: ${wanted}`);
  const { spec } = descriptor;
  return kinds.includes(spec.kind) ? spec : refuse(`${what} is ${spec.kind}(): ${wanted}`);
}

function isDescriptor(value: unknown): value is { readonly spec: OutputSpec } {
  if (typeof value !== 'object' || value === null) return false;
  const { spec, check, fromJson, toJson } = value as Readonly<Record<string, unknown>>;
  return typeof spec === 'object' && spec !== null && [check, fromJson, toJson].every((f) => typeof f === 'function');
}

function checkFields(spec: OutputSpec, what: string, refuse: Refuse): void {
  if (spec.kind !== 'multipart') return;
  const names = Object.keys(spec.fields);
  if (names.length === 0) refuse(`${what} is multipart() without fields`);
  const wrong = names.find((name) => !FIELD.test(name) || name === '__proto__');
  if (wrong !== undefined) refuse(`${what} has the field "${wrong}", wanted 1 to 63 letters, digits, ".", "_" or "-"`);
}

function kindsThat(fit: 'link' | 'item'): readonly string[] {
  return Object.entries(FITS).flatMap(([kind, fits]) => (fits[fit] ? [kind] : []));
}
