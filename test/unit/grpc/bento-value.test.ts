import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import type { Value } from '#dist/grpc/bento-messages.js';
import { MAX_VALUE_DEPTH, fromValue, toStruct, toValue } from '#dist/grpc/bento-value.js';

/** A Value as the decoder gives it: each with its kind. */
function decoded(value: Value): Value {
  const [kind] = Object.keys(value) as [NonNullable<Value['kind']>];
  if (value.listValue !== undefined) {
    const { values = [] } = value.listValue;
    return { kind, listValue: { values: values.map(decoded) } };
  }
  if (value.structValue !== undefined) {
    const entries = Object.entries(value.structValue.fields ?? {}).map(([key, item]) => [key, decoded(item)] as const);
    return { kind, structValue: { fields: Object.fromEntries(entries) } };
  }
  return { kind, ...value };
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

describe('toValue and fromValue', () => {
  test('give a JSON value back as it was', () => {
    const value = { a: [1, -2.5, 'ä', '', true, false, null, [], {}], b: { c: { constructor: 0 } } };
    assert.deepEqual(fromValue(decoded(toValue(value))), value);
    for (const plain of [0, 1e308, '', 'x', true, null, [], {}])
      assert.deepEqual(fromValue(decoded(toValue(plain))), plain);
  });
});

describe('toValue', () => {
  test('writes what JSON.stringify would', () => {
    const value = {
      date: new Date(0),
      none: undefined,
      list: [undefined, NaN, Infinity],
      floats: Float32Array.of(1),
      call: () => 1,
    };
    assert.deepEqual(fromValue(decoded(toValue(value))), JSON.parse(JSON.stringify(value)));
    for (const none of [undefined, NaN, -Infinity, (): number => 1]) assert.deepEqual(toValue(none), { nullValue: 0 });
  });

  test('writes what JSON.stringify would, whatever a handler gives', () => {
    class Point {
      readonly x = 1;
      readonly #y = 2;
      get y(): number {
        return this.#y;
      }
    }
    const odd = [new Point(), new Date(0), { toJSON: () => 'own' }, new Map([[1, 2]]), Symbol('s'), undefined, -0, 1n];
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.oneof(fc.constantFrom(...odd), fc.double(), fc.string(), fc.boolean(), fc.constant(null)),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('toJSON', 'length', '0')), tie('value'), { maxKeys: 3 }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (given) => {
        let text: string | undefined;
        try {
          text = JSON.stringify(given);
        } catch {
          assert.throws(() => toValue(given), TypeError);
          return;
        }
        if (text?.includes('"__proto__":') === true) return; // which fromValue refuses
        assert.deepEqual(fromValue(decoded(toValue(given))), text === undefined ? null : JSON.parse(text));
      }),
    );
  });

  test('refuses what JSON.stringify refuses', () => {
    const self: unknown[] = [];
    self.push(self);
    assert.throws(() => toValue(self), TypeError);
    assert.throws(() => toValue([1n]), TypeError);
  });

  test('refuses more levels than a protobuf decoder takes', () => {
    toValue(nested(MAX_VALUE_DEPTH));
    assert.throws(
      () => toValue(nested(MAX_VALUE_DEPTH + 1)),
      (thrown) => thrown instanceof JubakoError && thrown.message.includes('more than 49 levels'),
    );
  });

  test('repairs half a surrogate pair, which has no UTF-8', () => {
    assert.deepEqual(toValue('a\ud800'), { stringValue: 'a\ufffd' });
    const { fields = {} } = toStruct({ '\udc00': '\ud800' });
    assert.deepEqual(Object.entries(fields), [['\ufffd', { stringValue: '\ufffd' }]]);
    assert.deepEqual(toValue('\u{1f600}'), { stringValue: '\u{1f600}' });
  });

  test('keeps the key "__proto__" a key', () => {
    const { fields = {} } = toStruct(JSON.parse('{"__proto__":1}') as Record<string, unknown>);
    assert.deepEqual(Object.keys(fields), ['__proto__']);
  });
});

describe('fromValue', () => {
  test('reads a value without a kind as null, and lists and structs without elements', () => {
    assert.equal(fromValue({}), null);
    assert.equal(fromValue({ kind: 'nullValue', nullValue: 'NULL_VALUE' }), null);
    assert.deepEqual(fromValue({ kind: 'listValue', listValue: {} }), []);
    assert.deepEqual(fromValue({ kind: 'structValue', structValue: {} }), {});
  });

  test('refuses numbers that JSON does not have, and the key "__proto__"', () => {
    for (const number of [NaN, Infinity, -Infinity]) {
      const list: Value = { kind: 'listValue', listValue: { values: [{ kind: 'numberValue', numberValue: number }] } };
      assert.throws(() => fromValue(list), {
        code: 'INVALID_INPUT',
        message: new RegExp(`number ${number}; wanted fin`),
      });
    }
    const fields = JSON.parse('{"__proto__":{"kind":"boolValue","boolValue":true}}') as Record<string, Value>;
    assert.throws(() => fromValue({ kind: 'structValue', structValue: { fields } }), {
      code: 'INVALID_INPUT',
      message: /"__proto__" is not allowed/,
    });
  });
});
