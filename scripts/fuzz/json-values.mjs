// JSON values that a schema allows, and what becomes of a value that somebody changed.

const MAX_DEPTH = 4;
const HUGE_TEXT = 20_000;
/** Levels of JSON within JSON: some servers recurse. */
const DEEP = 3_000;

/** Values that have broken parsers, casts and comparisons before. */
export const ODD_VALUES = [
  ...[null, true, false, 0, -0, 1, -1, 0.1, 1e-320, 5e-324, 1e308, -1e308, 1.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 32],
  ...[2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64, 1e20, 1e21, 3.5e38, 65504, 65520, 256, -129],
  ...['', ' ', '0', '-1', 'NaN', 'Infinity', 'null', 'true', 'constructor', '__proto__', 'toString', 'data:,x'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775809', '1e3', '0x10', '007', '+1', 'AAAA', '===='],
  ...['\0', '\ud800', '\udfff\ud800', '😀', '\u2028', '../../etc/passwd', '%00', '${7*7}', '<script>', 'a'.repeat(300)],
  ...[
    [],
    {},
    [[]],
    [{}],
    [[], []],
    [null],
    { a: undefined },
    { length: 3 },
    { data: 'AAAA' },
    { shape: [1], data: [0] },
  ],
  ...[{ shape: [-1, 2], data: [1, 2] }, { shape: [1e9, 1e9], data: '' }, { '': 1 }, { toJSON: 1 }, { then: 1 }],
];

/** A value that `schema` allows, as far as schemas of this project go. @param root - what `$ref` points into. */
export function valueOf(random, schema, root, depth = 0) {
  if (schema === true || schema === undefined) return anyValue(random, depth);
  if (schema.$ref !== undefined) return valueOf(random, resolve(root, schema.$ref), root, depth);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return random.pick(schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return valueOf(random, random.pick(choices), root, depth);
  const type = Array.isArray(schema.type) ? random.pick(schema.type) : schema.type;
  switch (type) {
    case 'object':
      return objectOf(random, schema, root, depth);
    case 'array':
      return arrayOf(random, schema, root, depth);
    case 'string':
      return stringOf(random, schema);
    case 'integer':
      return integerOf(random, schema);
    case 'number':
      return numberOf(random, schema);
    case 'boolean':
      return random.chance(0.5);
    case 'null':
      return null;
    default:
      return anyValue(random, depth);
  }
}

function resolve(root, pointer) {
  return pointer
    .slice(2)
    .split('/')
    .reduce((at, key) => at[decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')], root);
}

function objectOf(random, { properties = {}, required = [], additionalProperties }, root, depth) {
  const value = {};
  for (const [name, schema] of Object.entries(properties)) {
    const isWanted = required.includes(name) || (depth < MAX_DEPTH && random.chance(0.5));
    if (isWanted) value[name] = valueOf(random, schema, root, depth + 1);
  }
  if (additionalProperties !== false && depth < MAX_DEPTH && random.chance(0.4)) {
    const name = safeKey(random);
    if (!Object.hasOwn(value, name)) value[name] = valueOf(random, additionalProperties, root, depth + 1);
  }
  return value;
}

function arrayOf(random, { items, prefixItems = [], minItems = 0, maxItems = minItems + 3 }, root, depth) {
  const most = items === false ? prefixItems.length : depth < MAX_DEPTH ? maxItems : minItems;
  const length = random.between(Math.min(minItems, most), most);
  return Array.from({ length }, (_, at) => valueOf(random, prefixItems[at] ?? items, root, depth + 1));
}

const PATTERNS = { '^[a-z]{1,8}$': (random) => `a${random.text(7, 'abcxyz')}` };

function stringOf(random, { pattern, minLength = 0, maxLength = 20, contentEncoding }) {
  if (contentEncoding === 'base64') return random.bytes(random.below(20)).toString('base64');
  if (pattern?.startsWith('^-?\\d')) return String(random.between(-1_000_000, 1_000_000));
  if (pattern !== undefined) return PATTERNS[pattern]?.(random) ?? 'a';
  const letters = [...random.text(maxLength)]
    .join('')
    .slice(0, maxLength)
    .replace(/[\ud800-\udbff]$/, '');
  return letters.padEnd(minLength, 'x');
}

function integerOf(random, { minimum = -1000, maximum = 1000, multipleOf = 1 }) {
  const edges = [minimum, maximum, 0, 1].filter((edge) => edge >= minimum && edge <= maximum);
  const number = random.chance(0.3) ? random.pick(edges) : random.between(minimum, maximum);
  return Number.isSafeInteger(number) ? number - (number % multipleOf) : 0;
}

function numberOf(random, { minimum = -1e6, maximum = 1e6 }) {
  const edges = [minimum, maximum, 0, 1e-7].filter((edge) => edge >= minimum && edge <= maximum);
  return random.chance(0.3) ? random.pick(edges) : minimum + random.real() * (maximum - minimum);
}

function anyValue(random, depth) {
  if (depth >= MAX_DEPTH || random.chance(0.6)) return random.pick([null, true, 0, -1.5, 1e300, '', 'text', 'é😀']);
  if (random.chance(0.5)) return Array.from({ length: random.below(4) }, () => anyValue(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(4) }, () => [safeKey(random), anyValue(random, depth + 1)]),
  );
}

/** Any but the one that is refused, and the one that stands for tensors in values of ours. */
function safeKey(random) {
  const key = random.text(8);
  return key === '__proto__' || key === '\0' ? 'key' : key;
}

/** A changed copy of `value`, at one to three places. */
export function mutateJson(random, value) {
  let changed = structuredClone(value);
  for (let left = random.between(1, 3); left > 0; left -= 1) changed = mutateAt(random, changed);
  return changed;
}

function mutateAt(random, value) {
  const isContainer = typeof value === 'object' && value !== null;
  const keys = isContainer ? Object.keys(value) : [];
  if (keys.length > 0 && random.chance(0.7)) {
    const key = random.pick(keys);
    value[key] = mutateAt(random, value[key]);
    return value;
  }
  if (!isContainer || random.chance(0.2)) return oddValue(random, value);
  if (Array.isArray(value)) return mutateList(random, value);
  return mutateObject(random, value, keys);
}

function mutateList(random, list) {
  const at = random.below(list.length + 1);
  return random.weighted([
    [2, () => list.toSpliced(at, 1)],
    [2, () => list.toSpliced(at, 0, structuredClone(random.pick(ODD_VALUES)))],
    [1, () => [...list, ...structuredClone(list)]],
    [1, () => list.concat(Array.from({ length: random.below(2000) }, () => structuredClone(list[0] ?? 0)))],
    [1, () => Object.fromEntries(list.entries())],
    [1, () => [list]],
    [1, () => []],
  ])();
}

function mutateObject(random, value, keys) {
  const key = keys.length > 0 ? random.pick(keys) : '';
  return random.weighted([
    [2, () => without(value, key)],
    [2, () => ({ ...value, [random.text(6)]: structuredClone(random.pick(ODD_VALUES)) })],
    [1, () => ({ ...value, [random.pick(['constructor', 'toString', 'hasOwnProperty', 'length', ''])]: 1 })],
    [1, () => ({ ...without(value, key), [`${key} `]: value[key] })],
    [1, () => Object.values(value)],
    [1, () => ({ ...value, ...Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`k${at}`, at])) })],
  ])();
}

function without(value, key) {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
}

function oddValue(random, value) {
  if (typeof value === 'number' && random.chance(0.4)) {
    return random.pick([-value, value + 0.5, value * 1e300, value + 1, String(value), [value], value * 2 ** 40]);
  }
  if (typeof value === 'string' && random.chance(0.4)) {
    return random.pick([
      value.slice(1),
      `${value}=`,
      ` ${value}`,
      `${value}\0`,
      value.repeat(50),
      [...value],
      { data: value },
      'x'.repeat(HUGE_TEXT),
      value.replace(/./, '-'),
    ]);
  }
  return structuredClone(random.pick(ODD_VALUES));
}

/** JSON text of `value` as some other writer would have it: spaces, escapes, exponents, keys twice. */
export function jsonText(random, value) {
  const text = JSON.stringify(value) ?? 'null';
  return random.weighted([
    [6, () => text],
    [1, () => JSON.stringify(value, null, random.between(1, 4)) ?? 'null'],
    [1, () => `\n\t ${text}\r\n`],
    [1, () => text.replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)],
  ])();
}

/** Text that is no JSON, or JSON that nobody wants. */
export function brokenJson(random, text) {
  return random.weighted([
    [1, () => text.slice(0, random.below(text.length + 1))],
    [1, () => `${text}${random.pick([',', '}', ']', '1', 'x', text, '//', '\0', '\ufeff'])}`],
    [1, () => text.replace(/"/, "'")],
    [1, () => text.replace(/\d/, random.pick(['NaN', 'Infinity', '01', '1.', '.5', '+1', '1e', '0x1', '1e999', '-']))],
    [1, () => text.replace(/,/, random.pick([',,', ';', ' ']))],
    [1, () => `\ufeff${text}`],
    [1, () => text.replace(/\{/, '{"__proto__":{"x":1},')],
    [1, () => text.replace(/\{/, '{"a":1,"a":2,')],
    [1, () => `${'['.repeat(random.below(DEEP))}${text}`],
    [1, () => `${'['.repeat(DEEP)}${text}${']'.repeat(DEEP)}`],
    [1, () => `{"a":${'{"b":'.repeat(DEEP)}1${'}'.repeat(DEEP)}}`],
    [1, () => text.replace(/"/, '"\\u00')],
    [1, () => text.replace(/"/, '"\\ud800')],
    [1, () => text.replace(/\d+/, (digits) => digits.repeat(400))],
    [1, () => text.replace(/"/, '"\n')],
    [1, () => ''],
  ])();
}
