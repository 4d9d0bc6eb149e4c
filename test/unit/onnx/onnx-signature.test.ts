import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JubakoError } from '#dist/errors.js';
import { readOnnxSignature } from '#dist/onnx/onnx-signature.js';
import {
  ONNX_TYPE,
  bytes,
  identityModel,
  matMulModel,
  message,
  number,
  onnxFile,
  text,
  varint,
  type OnnxDimension,
  type OnnxGraph,
  type OnnxValue,
} from '../../support/onnx-models.js';
import { repositoryFile, tempFolder, type Cleanup } from '../../support/start-primary.js';

const SERVED = [
  ...(['float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64'] as const),
  ...(['string', 'bool', 'float16', 'float64', 'uint32', 'uint64'] as const),
];

/** A function that writes bytes into one file again and again and reads its signature. */
function reader(t: Cleanup): (content: Uint8Array) => ReturnType<typeof readOnnxSignature> {
  const file = join(tempFolder(t), 'model.onnx');
  return (content) => {
    writeFileSync(file, content);
    return readOnnxSignature(file);
  };
}

const node = { op: 'Identity', inputs: ['x'], outputs: ['y'] };

function graph(given: Partial<OnnxGraph>): Buffer {
  const shape = ['n', 2];
  return onnxFile({ inputs: [{ name: 'x', shape }], outputs: [{ name: 'y', shape }], nodes: [node], ...given });
}

const dimension = fc.oneof(
  fc.nat(4096),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  fc.constant(null),
);
const port = fc.record({
  name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((name) => name !== '__proto__'),
  type: fc.constantFrom(...SERVED),
  shape: fc.array(dimension, { maxLength: 6 }),
});
const ports = fc.uniqueArray(port, { minLength: 1, maxLength: 5, selector: ({ name }) => name });

describe('readOnnxSignature', () => {
  test('gives names, dtypes and shapes as they are in the file, whatever weights lie between', (t) => {
    const read = reader(t);
    const weights = fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 5 });
    fc.assert(
      fc.property(ports, ports, weights, (inputs, outputs, blobs) => {
        const initializers = blobs.map((data, i) => ({
          name: `\0weight ${i}`, // no input has such a name
          type: 'uint8' as const,
          dims: [data.length],
          data,
        }));
        const signature = read(onnxFile({ inputs, outputs, nodes: [node], initializers }));
        const expected = (list: readonly OnnxValue[]): unknown =>
          list.map(({ name, type, shape }) => ({ name, dtype: type, shape }));
        assert.deepEqual(signature.inputs, expected(inputs));
        assert.deepEqual(signature.outputs, expected(outputs));
      }),
      { numRuns: 200 },
    );
  });

  test('reads the model of the digits example', () => {
    assert.deepEqual(readOnnxSignature(repositoryFile('examples/digits/digits.onnx')), {
      inputs: [{ name: 'pixels', dtype: 'float32', shape: ['rows', 64] }],
      outputs: [{ name: 'probabilities', dtype: 'float32', shape: ['rows', 10] }],
      weightFiles: [],
    });
  });

  test('leaves out inputs that are weights with a name', (t) => {
    const data = new Uint8Array(16);
    const signature = reader(t)(
      graph({
        inputs: [
          { name: 'W', shape: [2, 2] },
          { name: 'x', shape: ['n', 2] },
        ],
        initializers: [{ name: 'W', type: 'float32', dims: [2, 2], data }],
      }),
    );
    assert.deepEqual(
      signature.inputs.map(({ name }) => name),
      ['x'],
    );
  });

  test('leaves out inputs that are sparse weights', (t) => {
    const plain = graph({
      inputs: [
        { name: 'S', shape: [2, 2] },
        { name: 'x', shape: ['n', 2] },
      ],
    });
    // A second part of the graph: protobuf joins the parts of a message.
    const sparse = message(7, message(15, message(1, text(8, 'S'))));
    assert.equal(reader(t)(Buffer.concat([plain, sparse])).inputs.length, 1);
  });

  test('takes sizes that say nothing for unknown ones', (t) => {
    const { inputs } = reader(t)(graph({ inputs: [{ name: 'x', shape: [-1, '', null, 0, 7] }] }));
    assert.deepEqual(inputs[0]?.shape, [null, null, null, 0, 7]);
  });

  test('names the files that hold weights', (t) => {
    const entry = (key: string, value: string): Buffer => message(13, text(1, key), text(2, value));
    const tensor = message(5, text(8, 'W'), entry('offset', '0'), entry('location', 'model.onnx.data'));
    const signature = reader(t)(Buffer.concat([graph({}), message(7, tensor, tensor)]));
    assert.deepEqual(signature.weightFiles, ['model.onnx.data']);
  });

  test('reads a file of 8 GB by its head alone', (t) => {
    const file = join(tempFolder(t), 'large.onnx');
    const weightBytes = 2 ** 33;
    const head = graph({});
    // Graph with a weight of 8 GiB in front of what the file really holds, as a sparse file.
    const tensorHead = Buffer.concat([text(8, 'W'), varint((9 << 3) | 2), varint(weightBytes)]);
    const initializer = Buffer.concat([varint((5 << 3) | 2), varint(tensorHead.length + weightBytes), tensorHead]);
    const front = Buffer.concat([varint((7 << 3) | 2), varint(initializer.length + weightBytes), initializer]);
    const fd = openSync(file, 'w');
    writeSync(fd, front, 0, front.length, 0);
    ftruncateSync(fd, front.length + weightBytes);
    writeSync(fd, head, 0, head.length, front.length + weightBytes);
    closeSync(fd);
    assert.equal(readOnnxSignature(file).inputs[0]?.name, 'x');
  });
});

describe('readOnnxSignature refuses', () => {
  const cases: readonly { readonly what: string; readonly content: Uint8Array; readonly says: RegExp }[] = [
    { what: 'an empty file', content: new Uint8Array(), says: /it has no graph/ },
    { what: 'text', content: Buffer.from('<!DOCTYPE html><html></html>'), says: /damaged or no ONNX file: byte \d/ },
    {
      what: 'a Git LFS pointer',
      content: Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
      says: /Git LFS pointer; run `git lfs pull`/,
    },
    { what: 'a message without a graph', content: number(1, 8), says: /it has no graph/ },
    { what: 'a number for a graph', content: number(7, 1), says: /a number where a part of the model belongs/ },
    { what: 'a model without inputs', content: graph({ inputs: [] }), says: /it has no inputs/ },
    { what: 'a model without outputs', content: graph({ outputs: [] }), says: /it has no outputs/ },
    {
      what: 'two inputs of one name',
      content: graph({
        inputs: [
          { name: 'x', shape: [1] },
          { name: 'x', shape: [1] },
        ],
      }),
      says: /two inputs are named "x"/,
    },
    {
      what: 'a name that no object can have as a key',
      content: graph({ inputs: [{ name: '__proto__', shape: [1] }] }),
      says: /its input "__proto__" has a name that cannot be used/,
    },
    {
      what: 'an input without a shape',
      content: graph({ inputs: [{ name: 'x', shape: undefined }] }),
      says: /its input "x" has no shape in the file/,
    },
    {
      what: 'an output that is a sequence',
      content: graph({ outputs: [{ name: 'y', shape: [1], kind: 'sequence' }] }),
      says: /its output "y" is a sequence; wanted a tensor/,
    },
    {
      what: 'an input that is a map',
      content: graph({ inputs: [{ name: 'x', shape: [1], kind: 'map' }] }),
      says: /its input "x" is a map; wanted a tensor/,
    },
    {
      what: 'an input that is optional',
      content: graph({ inputs: [{ name: 'x', shape: [1], kind: 'optional' }] }),
      says: /its input "x" is an optional value/,
    },
    {
      what: 'an input that is a sparse tensor',
      content: graph({ inputs: [{ name: 'x', shape: [1], kind: 'sparse' }] }),
      says: /its input "x" is a sparse tensor/,
    },
    {
      what: 'an input without a type',
      content: Buffer.concat([graph({}), message(7, message(11, text(1, 'z')))]),
      says: /its input "z" is of no type/,
    },
    ...(['complex64', 'bfloat16', 'uint4', 'float8'] as const).map((type) => ({
      what: `a tensor of ${type}`,
      content: identityModel(type, ['n', 2]),
      says: new RegExp(`its input "x" is a tensor of ${type}.*; wanted float32, uint8`),
    })),
    {
      what: 'a dtype that is not known',
      content: graph({ inputs: [{ name: 'x', type: 99, shape: [1] }] }),
      says: /its input "x" is a tensor of elements of type 99/,
    },
    {
      what: 'a name that is not UTF-8',
      content: message(7, message(11, bytes(1, Uint8Array.of(0xff, 0xfe)))),
      says: /text at byte 6 is not UTF-8/,
    },
    {
      what: 'more inputs than any model has',
      content: message(7, ...Array.from({ length: 4097 }, (_, i) => message(11, text(1, `x${i}`)))),
      says: /more than 4096 inputs or outputs/,
    },
    {
      what: 'more dimensions than any tensor has',
      content: graph({ inputs: [{ name: 'x', shape: new Array<OnnxDimension>(65).fill(1) }] }),
      says: /more than 64 dimensions/,
    },
  ];
  for (const { what, content, says } of cases) {
    test(`${what}, and names the file`, (t) => {
      const read = reader(t);
      assert.throws(() => read(content), {
        code: 'SERVICE_INVALID',
        message: /^Cannot read the model .*model\.onnx: /,
      });
      assert.throws(() => read(content), { message: says });
    });
  }

  test('a file that is missing, and a folder', (t) => {
    const folder = tempFolder(t);
    const missing = join(folder, 'none.onnx');
    assert.throws(() => readOnnxSignature(missing), { code: 'SERVICE_INVALID', message: /none\.onnx: ENOENT/ });
    assert.throws(() => readOnnxSignature(folder), { code: 'SERVICE_INVALID', message: /it is no file/ });
  });

  test('a length that only a file of another size could have, without allocating it', (t) => {
    const read = reader(t);
    for (const length of [2 ** 20, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53, 2n ** 63n, 2n ** 64n - 1n]) {
      const lie = Buffer.concat([varint((1 << 3) | 2), varint(length)]);
      assert.throws(() => read(message(7, message(11, lie))), { message: /makes no sense/ });
    }
  });

  test('a file of nothing but tiny fields after a bounded number of them', (t) => {
    const fields = Buffer.alloc(11_000_000, number(1, 0));
    assert.throws(() => reader(t)(message(7, fields)), { message: /it has more than 5000000 parts/ });
  });

  test('nothing but with SERVICE_INVALID, whatever is cut off or changed', (t) => {
    const read = reader(t);
    const models = [
      readFileSync(repositoryFile('examples/digits/digits.onnx')),
      matMulModel(3, 2, [1, 2, 3, 4, 5, 6]),
      identityModel('int64', ['batch', 4]),
    ];
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), to: fc.nat(255) });
    const mutation = fc.record({
      model: fc.nat(models.length - 1),
      keep: fc.double({ min: 0, max: 1, noNaN: true }),
      changes: fc.array(change, { maxLength: 8 }),
    });
    fc.assert(
      fc.property(mutation, ({ model, keep, changes }) => {
        const whole = models[model] ?? Buffer.alloc(0);
        const content = Uint8Array.from(whole.subarray(0, Math.ceil(keep * whole.length)));
        for (const { at, to } of changes) content[Math.floor(at * (content.length - 1))] = to;
        try {
          const { inputs, outputs } = read(content);
          for (const { dtype } of [...inputs, ...outputs]) assert.ok(dtype in ONNX_TYPE);
        } catch (thrown) {
          assert.ok(thrown instanceof JubakoError);
          assert.equal(thrown.code, 'SERVICE_INVALID');
          assert.match(thrown.message, /^Cannot read the model /);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
