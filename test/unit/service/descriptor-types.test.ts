import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '@sinclair/typebox';
import { z } from 'zod';
import {
  bytes,
  defineRunner,
  defineService,
  file,
  image,
  json,
  multipart,
  stream,
  Table,
  table,
  tensor,
  text,
  type BlobLike,
  type ClientInput,
  type FileInput,
  type FileValue,
  type ImageTensor,
  type TableRowInput,
  type ValueOf,
} from '#dist/service/index.js';
import { tensorOf, type Tensor } from '#dist/tensor/index.js';

// Compiling this file is most of the test: what descriptors say must reach handlers, and the typed client.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(yes: Same<A, B>): void {
  assert.ok(yes);
}

const PERSON = z.object({ name: z.string(), age: z.number().default(0) });
const FORM = multipart({ photo: image(), doc: file(), note: text(), person: json(PERSON) }, { optional: ['note'] });
const PEOPLE = table({ columns: { name: 'string', id: 'int64', height: 'float32', member: 'bool' } });

test('handlers are given the values of their descriptors, and give them', () => {
  const service = defineService({
    name: 'typed',
    apis: {
      shout: { input: text(), output: text(), handler: (input) => input.toUpperCase() },
      flip: { input: bytes(), output: bytes(), handler: (input) => input.slice().reverse() },
      grey: {
        input: image({ channels: 3 }),
        output: image({ channels: 1 }),
        handler: ({ shape: [height = 0, width = 0], data }) =>
          tensorOf(
            'uint8',
            [height, width, 1],
            data.filter((_, i) => i % 3 === 0),
          ),
      },
      rename: {
        input: file({ mediaTypes: ['text/*'] }),
        output: file(),
        handler: ({ bytes: content, mediaType }) => ({ name: 'b.txt', mediaType, bytes: content }),
      },
      grow: {
        input: PEOPLE,
        output: table({ columns: { height: 'float32' } }),
        handler: ({ columns }) => {
          const ids: BigInt64Array = columns.id;
          const names: readonly string[] = columns.name;
          const members: readonly boolean[] = columns.member;
          assert.ok(ids.length === names.length && names.length === members.length);
          return new Table({ height: 'float32' }, { height: columns.height.map((x) => x + 1) });
        },
      },
      send: {
        input: FORM,
        output: json<string>(),
        handler: ({ photo, doc, note, person }) =>
          `${photo.data.length} ${doc.name} ${note?.length ?? 0} ${person.name} ${person.age.toFixed()}`,
      },
      parsed: {
        input: json(Type.Object({ a: Type.Number() })),
        output: json(z.object({ at: z.date() })),
        handler: ({ a }) => ({ at: new Date(a) }),
      },
      words: {
        input: text(),
        output: stream(text()),
        handler: async function* (input) {
          yield* input.split(' ');
          await Promise.resolve();
        },
      },
    },
  });
  assert.equal(Object.keys(service.apis).length, 8);
});

test('the wrong values do not compile', () => {
  const name = 'wrong';
  const input = text();
  const ages = table({ columns: { age: 'int32' } });
  // @ts-expect-error the output is a text
  defineService({ name, apis: { a: { input, output: text(), handler: (word) => word.length } } });
  // @ts-expect-error an image is uint8
  defineService({ name, apis: { a: { input, output: image(), handler: () => tensorOf('float32', [1, 1, 3], [1]) } } });
  // @ts-expect-error there is no such column
  defineService({ name, apis: { a: { input: ages, output: text(), handler: ({ columns }) => String(columns.b) } } });
  // @ts-expect-error the note may be missing
  defineService({ name, apis: { a: { input: FORM, output: text(), handler: ({ note }) => note.toUpperCase() } } });
  // @ts-expect-error a file has bytes
  defineService({ name, apis: { a: { input, output: file(), handler: () => ({ name: 'a', mediaType: 'a/b' }) } } });
  // @ts-expect-error the types of columns are few
  assert.throws(() => table({ columns: { a: 'int8' } }), { code: 'SERVICE_INVALID' });
  // @ts-expect-error there is no such field
  assert.throws(() => multipart({ a: text() }, { optional: ['b'] }), { code: 'SERVICE_INVALID' });
  const methods = { run: { input: text(), output: text(), run: () => '' } };
  // @ts-expect-error runners take tensors and JSON
  defineRunner({ name, load: () => null, methods });
  // @ts-expect-error no streams of images
  stream(image());
});

test('the typed client takes what is easy to have, where it differs', () => {
  same<ClientInput<ValueOf<ReturnType<typeof text>>>, string>(true);
  same<ClientInput<ValueOf<ReturnType<typeof bytes>>>, Uint8Array | BlobLike>(true);
  same<ClientInput<ImageTensor>, BlobLike | Uint8Array | Tensor<'uint8'>>(true);
  same<ClientInput<FileValue>, FileInput>(true);
  same<ClientInput<Tensor<'float32'>>, Tensor<'float32'>>(true);
  same<ClientInput<Readonly<Record<string, Tensor>>>, Readonly<Record<string, Tensor>>>(true);
  same<ClientInput<string | null>, string | null>(true);

  const person = json(PERSON);
  same<ClientInput<ValueOf<typeof person>>, { name: string; age?: number | undefined }>(true);
  const plain = json(z.object({ a: z.number() }));
  same<ValueOf<typeof plain>, { a: number }>(true);
  const list = json(z.array(z.string()).nullable());
  same<ValueOf<typeof list>, string[] | null>(true);
  const parsed = json(z.string().transform(Number));
  same<ClientInput<ValueOf<typeof parsed>>, string>(true);
  const fallback = json(z.string().default('x'));
  same<ClientInput<ValueOf<typeof fallback>>, string | undefined>(true);
  const open = json();
  same<ValueOf<typeof open>, unknown>(true);
  for (const { spec } of [person, plain, list, parsed, fallback, open]) assert.equal(spec.kind, 'json');

  type People = { readonly name: 'string'; readonly id: 'int64'; readonly height: 'float32'; readonly member: 'bool' };
  same<ClientInput<ValueOf<typeof PEOPLE>>, Table<People> | readonly TableRowInput<People>[]>(true);
  const row: TableRowInput<People> = { name: 'Ann', id: 5, height: null, member: true };
  assert.equal(Table.fromRows(PEOPLE.spec.columns as People, [row]).rows, 1);

  const form: ClientInput<ValueOf<typeof FORM>> = {
    photo: new Blob([]),
    doc: { bytes: new Uint8Array(1) },
    person: { name: 'Ann' },
  };
  assert.ok(form.note === undefined);
});

test('descriptors whose JSON is read on the spot say so', () => {
  const word: string = text().fromJson('a');
  const rows: Tensor<'int32'> = tensor('int32', [-1]).fromJson([1]);
  const people: number = PEOPLE.fromJson([]).rows;
  assert.deepEqual([word, rows.rows, people], ['a', 1, 0]);
});
