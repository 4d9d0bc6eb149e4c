export type Message = Readonly<Record<string, unknown>>;

/** Any JSON value as google.protobuf.Value. */
export function toValue(value: unknown): Message {
  if (value === null) return { nullValue: 0 };
  if (typeof value === 'number') return { numberValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  const fields = Object.entries(value as object).map(([key, item]) => [key, toValue(item)] as const);
  return { structValue: { fields: Object.fromEntries(fields) } };
}

/** The JSON value of a google.protobuf.Value as the loader gives it. */
export function fromValue(value: Message | undefined): unknown {
  if (value === undefined) return undefined;
  const held = value[value['kind'] as string] as Message;
  if (value['kind'] === 'nullValue') return null;
  if (value['kind'] === 'listValue') return ((held['values'] ?? []) as Message[]).map(fromValue);
  if (value['kind'] !== 'structValue') return held;
  const fields = Object.entries((held['fields'] ?? {}) as Record<string, Message>);
  return Object.fromEntries(fields.map(([key, item]) => [key, fromValue(item)]));
}
