import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import sharp from 'sharp';
import { service as kinds } from '../support/kinds-service.js';
import { fails, invalid, plainOf, startBento, valueOf, type Bento } from './grpc-bento-harness.js';
import { callUnary, type HarnessOptions, type Message } from './grpc-harness.js';
import type { TestContext } from 'node:test';

const BLOB = Buffer.from([0, 255, 10, 128]);
const PIXELS = Buffer.from([1, 2, 3, 4, 5, 6]);

function start(t: TestContext, config: HarnessOptions['config'] = {}): Promise<Bento> {
  return startBento(t, { service: kinds, config });
}

function png(channels: 3 | 4 = 3): Promise<Buffer> {
  return sharp(PIXELS.subarray(0, 2 * channels), { raw: { width: 2, height: 1, channels } })
    .png()
    .toBuffer();
}

async function pixelsOf(file: Message): Promise<Buffer> {
  return sharp(file['content'] as Buffer)
    .raw()
    .toBuffer();
}

function without(object: Message, ...keys: readonly string[]): Message {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

describe('Call with a text API', () => {
  test('takes text, UTF-8 bytes and json, and answers text', async (t) => {
    const { ask } = await start(t);
    const wanted = { text: { value: 'Grüße' }, content: 'text' };
    assert.deepEqual(await ask('words', { text: { value: 'Grüße' } }), wanted);
    assert.deepEqual(await ask('words', { serialized_bytes: Buffer.from('Grüße') }), wanted);
    assert.deepEqual(await ask('words', { json: valueOf('Grüße') }), wanted);
    assert.deepEqual(await ask('words', { text: {} }), { text: { value: '' }, content: 'text' });
  });

  test('refuses what is too long or no UTF-8, and every other content by its name', async (t) => {
    const { ask } = await start(t);
    await assert.rejects(ask('page', { text: { value: 'long' } }), fails(status.RESOURCE_EXHAUSTED, 'TOO_LARGE', /3/));
    await assert.rejects(ask('words', { serialized_bytes: Buffer.from([0xff]) }), invalid(/UTF-8/));
    const wanted = invalid(/"words": it is file; wanted text, serialized_bytes \(UTF-8\) or json/);
    await assert.rejects(ask('words', { file: { content: BLOB } }), wanted);
    await assert.rejects(ask('words', {}), invalid(/"words": it is empty; wanted text/));
  });
});

describe('Call with an API of bytes', () => {
  test('takes bytes, a file of any kind and base64, and answers bytes', async (t) => {
    const { ask } = await start(t);
    const wanted = { serialized_bytes: BLOB, content: 'serialized_bytes' };
    assert.deepEqual(await ask('blob', { serialized_bytes: BLOB }), wanted);
    assert.deepEqual(await ask('blob', { file: { kind: 'image/png', content: BLOB } }), wanted);
    assert.deepEqual(await ask('blob', { file: { content: BLOB } }), wanted);
    assert.deepEqual(await ask('blob', { json: valueOf(BLOB.toString('base64')) }), wanted);
    await assert.rejects(
      ask('blob', { text: { value: 'x' } }),
      invalid(/it is text; wanted serialized_bytes, file or json/),
    );
  });
});

describe('Call with a file API', () => {
  test('hands the kind on as the media type and gives it back, also where it says nothing', async (t) => {
    const { ask } = await start(t);
    const file = (kind: string): Message => ({ kind, content: BLOB });
    assert.deepEqual((await ask('document', { file: file('text/csv') }))['file'], {
      ...file('text/csv'),
      _kind: 'kind',
    });
    const untold = { ...file('application/octet-stream'), _kind: 'kind' };
    // As BentoML's clients write it.
    assert.deepEqual((await ask('document', { file: file('appliction/octet-stream') }))['file'], untold);
    assert.deepEqual((await ask('document', { file: { content: BLOB } }))['file'], untold);
    assert.deepEqual((await ask('document', { serialized_bytes: BLOB }))['file'], untold);
    const json = { name: 'a.csv', mediaType: 'text/csv', data: BLOB.toString('base64') };
    assert.deepEqual((await ask('document', { json: valueOf(json) }))['file'], { ...file('text/csv'), _kind: 'kind' });
    assert.equal(((await ask('sound', { file: file('Audio/OGG; x=1') }))['file'] as Message)['kind'], 'audio/ogg');
  });

  test('refuses kinds that the API does not take', async (t) => {
    const { ask } = await start(t);
    const unfit = (details: RegExp): ReturnType<typeof fails> =>
      fails(status.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA', details);
    await assert.rejects(
      ask('report', { file: { kind: 'image/png', content: BLOB } }),
      unfit(/image\/png.*application\/pdf/),
    );
    await assert.rejects(ask('report', { file: { content: BLOB } }), unfit(/application\/pdf/));
    await assert.rejects(ask('report', { serialized_bytes: BLOB }), unfit(/application\/pdf/));
  });
});

describe('Call with an image API', () => {
  test('decodes what it takes and encodes what it gives in its own type', async (t) => {
    const { ask } = await start(t);
    const content = await png();
    for (const request of [
      { file: { kind: 'image/png', content } },
      { file: { content } },
      { serialized_bytes: content },
      { json: valueOf(content.toString('base64')) },
    ]) {
      const answer = await ask('picture', request);
      const file = answer['file'] as Message;
      assert.equal(file['kind'], 'image/png');
      assert.deepEqual(await pixelsOf(file), PIXELS);
    }
    const sprite = (await ask('sprite', { file: { content } }))['file'] as Message;
    assert.equal(sprite['kind'], 'image/webp');
  });

  test('refuses what is no such image', async (t) => {
    const { ask } = await start(t);
    const unfit = (details: RegExp): ReturnType<typeof fails> =>
      fails(status.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA', details);
    await assert.rejects(ask('picture', { file: { kind: 'text/plain', content: BLOB } }), unfit(/text\/plain/));
    await assert.rejects(ask('picture', { serialized_bytes: BLOB }), unfit(/wanted image\/png/));
    await assert.rejects(ask('scan', { file: { content: await png() } }), unfit(/image\/jpeg/));
    await assert.rejects(
      ask('picture', { dataframe: {} }),
      invalid(/it is dataframe; wanted file, serialized_bytes or json/),
    );
  });
});

describe('Call with a table API', () => {
  const COLUMNS = {
    name: { string_values: ['Ann', ''] },
    member: { bool_values: [true, false] },
    age: { int32_values: [-5, 7] },
    id: { int64_values: ['9007199254740993', '-9223372036854775808'] },
    height: { float_values: [1.5, -0.25] },
    weight: { double_values: [0.1, 1e300] },
  };
  const dataframe = (columns: Message): Message => ({
    column_names: Object.keys(columns),
    columns: Object.values(columns),
  });
  const ask = async (bento: Bento, api: string, columns: Message): Promise<Message> =>
    (await bento.ask(api, { dataframe: dataframe(columns) }))['dataframe'] as Message;

  test('echoes every type of column exactly, in the order of the API', async (t) => {
    const bento = await start(t);
    assert.deepEqual(await ask(bento, 'people', COLUMNS), dataframe(COLUMNS));
    const { name, ...others } = COLUMNS;
    assert.deepEqual(await ask(bento, 'people', { ...others, name }), dataframe(COLUMNS));
    const rows = [{ name: 'Ann', member: true, age: -5, id: '9007199254740993', height: 1.5, weight: 0.1 }];
    const first = Object.entries(COLUMNS).map(([column, series]) => {
      const [[field, list]] = Object.entries(series) as [[string, unknown[]]];
      return [column, { [field]: list.slice(0, 1) }] as const;
    });
    const answer = await bento.ask('people', { json: valueOf(rows) });
    assert.deepEqual(answer['dataframe'], dataframe(Object.fromEntries(first)));
  });

  test('takes a column from any list that its type can hold exactly', async (t) => {
    const bento = await start(t);
    const given = {
      ...COLUMNS,
      age: { int64_values: ['-5', '7'] },
      id: { int32_values: [1, 2] },
      height: { double_values: [1.5, -0.25] },
      weight: { int64_values: ['3', '4'] },
    };
    const wanted = { ...COLUMNS, id: { int64_values: ['1', '2'] }, weight: { double_values: [3, 4] } };
    assert.deepEqual(await ask(bento, 'people', given), dataframe(wanted));
    for (const [column, series, why] of [
      ['age', { int64_values: ['1', '2147483648'] }, /row 1 of column "age" in int64_values.*2147483648/],
      ['age', { double_values: [1, 1.5] }, /row 1 of column "age" in double_values.*1\.5/],
      ['id', { string_values: ['x', 'y'] }, /row 0 of column "id" in string_values/],
      ['name', { int32_values: [1, 2] }, /row 0 of column "name" in int32_values must be a text/],
      ['height', { double_values: [1e300, 0] }, /row 0 of column "height"/],
      ['weight', { int64_values: ['9007199254740993', '0'] }, /row 0 of column "weight"/],
      ['height', { float_values: [Infinity, 0] }, /infinity in row 0 of column "height"/],
    ] as const)
      await assert.rejects(ask(bento, 'people', { ...COLUMNS, [column]: series }), invalid(why));
  });

  test('takes the types from the lists where the API leaves them open, and files of CSV', async (t) => {
    const bento = await start(t);
    assert.deepEqual(await ask(bento, 'open', COLUMNS), dataframe(COLUMNS));
    const csv = { kind: 'text/csv', content: Buffer.from('a,b\r\n1,x\r\n') };
    const answer = (await bento.ask('open', { file: csv }))['dataframe'];
    assert.deepEqual(answer, dataframe({ a: { string_values: ['1'] }, b: { string_values: ['x'] } }));
    assert.deepEqual(await ask(bento, 'open', {}), {});
    assert.deepEqual(await ask(bento, 'open', { none: {} }), dataframe({ none: {} }));
  });

  test('takes a series for a table of one column', async (t) => {
    const bento = await start(t);
    const ages = { int64_values: ['9007199254740993'] };
    const answer = (await bento.ask('ages', { series: ages }))['dataframe'];
    assert.deepEqual(answer, dataframe({ age: ages }));
    await assert.rejects(
      bento.ask('people', { series: ages }),
      invalid(/one column without a name; wanted dataframe with the columns name, member, age/),
    );
    await assert.rejects(bento.ask('open', { series: ages }), invalid(/wanted dataframe with any columns/));
  });

  test('refuses columns that are no table', async (t) => {
    const bento = await start(t);
    const five = without(COLUMNS, 'weight');
    const other = { ...COLUMNS, more: { int32_values: [1, 2] } };
    for (const [columns, why] of [
      [five, /no column "weight"/],
      [other, /column "more"; the columns are name/],
      [{ ...COLUMNS, age: { int32_values: [1] } }, /"age" has 1 rows, "name" has 2/],
      [{ ...COLUMNS, age: {} }, /"age" has 0 rows/],
      [
        { ...COLUMNS, age: { int32_values: [1, 2], bool_values: [true, true] } },
        /column "age".* in .*_values and in .*_values; wanted one list/,
      ],
      [{ '': { int32_values: [1] } }, /name ""/],
    ] as const)
      await assert.rejects(ask(bento, 'people', columns), invalid(why));
    const crooked = { column_names: ['a'], columns: [] };
    await assert.rejects(bento.ask('open', { dataframe: crooked }), invalid(/1 column_names and 0 columns/));
    const twice = { column_names: ['a', 'a'], columns: [{ int32_values: [1] }, { int32_values: [1] }] };
    await assert.rejects(bento.ask('open', { dataframe: twice }), invalid(/"a" is there twice/));
    await assert.rejects(bento.ask('open', { ndarray: {} }), invalid(/it is ndarray; wanted dataframe, series, file/));
  });
});

describe('Call with a multipart API', () => {
  const ids = { dtype: 'DTYPE_INT64', shape: [1, 2], int64_values: ['5', '-6'] };
  const person = {
    column_names: ['name', 'member', 'age', 'id', 'height', 'weight'],
    columns: [
      { string_values: ['Ann'] },
      { bool_values: [true] },
      { int32_values: [5] },
      { int64_values: ['9007199254740993'] },
      { float_values: [1.5] },
      { double_values: [0.1] },
    ],
  };

  test('takes each part as an API of its kind would, and gives each in its own form', async (t) => {
    const { ask } = await start(t);
    const parts = {
      tree: { json: valueOf({ name: 'root', children: [{ name: 'leaf' }] }) },
      numbers: { ndarray: { dtype: 'DTYPE_FLOAT', shape: [1, 2], float_values: [1, 2] } },
      people: { dataframe: person },
      words: { text: { value: 'ä' } },
      blob: { serialized_bytes: BLOB },
      document: { file: { kind: 'text/csv', content: BLOB } },
      picture: { file: { content: await png() } },
      ids: { json: valueOf({ ids: [[5, -6]], mask: [[true, false]] }) },
    };
    const answer = (await ask('form', { multipart: { fields: parts } }))['multipart'] as Message;
    const { picture, tree, ids: pair, ...rest } = answer['fields'] as Record<string, Message>;
    assert.deepEqual(plainOf(tree?.['json'] as Message), { name: 'root', children: [{ name: 'leaf' }] });
    assert.deepEqual(plainOf(pair?.['json'] as Message), { ids: [[5, -6]], mask: [[true, false]] });
    assert.deepEqual(await pixelsOf(picture?.['file'] as Message), PIXELS);
    const given = without(parts, 'tree', 'ids', 'picture');
    const document = { file: { ...parts.document.file, _kind: 'kind' } };
    const wanted = Object.entries({ ...given, document }).map(([name, part]) => {
      return [name, { ...part, representation: Object.keys(part)[0] }] as const;
    });
    assert.deepEqual(rest, Object.fromEntries(wanted));
  });

  test('leaves optional parts out, refuses missing, unknown and unfit ones', async (t) => {
    const { ask, calls } = await start(t);
    const parts = {
      tree: { json: valueOf({ name: 'root' }) },
      numbers: { ndarray: { shape: [1, 2], float_values: [1, 2] } },
      words: { text: { value: 'w' } },
    };
    const send = async (fields: Message): Promise<string[]> => {
      const answer = await ask('plain', { multipart: { fields } });
      return Object.keys((answer['multipart'] as Message)['fields'] as Message).sort();
    };
    assert.deepEqual(await send(parts), ['numbers', 'tree', 'words']);
    assert.deepEqual(await send({ ...parts, note: { text: { value: '' } } }), ['note', 'numbers', 'tree', 'words']);
    assert.equal(calls[0]?.input.form, 'parts');
    const two = without(parts, 'words');
    await assert.rejects(send(two), invalid(/"words" is missing/));
    await assert.rejects(
      send({ ...parts, more: { text: {} } }),
      invalid(/the part "more"; wanted tree, numbers, words, note/),
    );
    await assert.rejects(
      send({ ...parts, words: { ndarray: ids } }),
      invalid(/the part "words": it is ndarray; wanted text/),
    );
    await assert.rejects(send({ ...parts, words: {} }), invalid(/the part "words": it is empty; wanted text/));
    await assert.rejects(send({ ...parts, tree: { json: valueOf({}) } }), invalid(/Part "tree": .*name/));
    await assert.rejects(ask('plain', { ndarray: ids }), invalid(/it is ndarray; wanted multipart or json/));
    await assert.rejects(ask('words', { multipart: {} }), invalid(/it is multipart; wanted text/));
  });
});

describe('protocolVersion v1alpha1', () => {
  test('names the kinds of files by its enum, and leaves unset what has no name', async (t) => {
    const { ask } = await start(t, { protocolVersion: 'v1alpha1' });
    const file = (kind: string): Message => ({ kind, content: BLOB });
    const answered = async (api: string, given: Message): Promise<unknown> =>
      ((await ask(api, { file: given }))['file'] as Message)['kind'];
    assert.equal(await answered('report', file('FILE_TYPE_PDF')), 'FILE_TYPE_PDF');
    assert.equal(await answered('document', file('FILE_TYPE_SVG')), 'FILE_TYPE_SVG');
    assert.equal(await answered('document', file('FILE_TYPE_BYTES')), 'FILE_TYPE_BYTES');
    assert.equal(await answered('document', { content: BLOB }), 'FILE_TYPE_BYTES');
    assert.equal(await answered('picture', { kind: 'FILE_TYPE_PNG', content: await png() }), 'FILE_TYPE_PNG');
    const json = { mediaType: 'audio/ogg', data: BLOB.toString('base64') };
    assert.deepEqual((await ask('document', { json: valueOf(json) }))['file'], { content: BLOB });
    const unfit = fails(status.INVALID_ARGUMENT, 'UNSUPPORTED_MEDIA', /image\/png.*application\/pdf/);
    await assert.rejects(ask('report', { file: file('FILE_TYPE_PNG') }), unfit);
  });
});

describe('ServiceMetadata', () => {
  test('describes every kind by the descriptor that BentoML has for it', async (t) => {
    const { client } = await start(t);
    const { response } = await callUnary(client, 'ServiceMetadata', {});
    const apis = new Map((response['apis'] as Message[]).map((api) => [api['name'], api]));
    const descriptor = (api: string, side: 'input' | 'output'): unknown => {
      const { descriptor_id: id, attributes } = apis.get(api)?.[side] as { descriptor_id: string; attributes: Message };
      const plain = plainOf({ kind: 'structValue', structValue: attributes }) as { args: unknown };
      return [id.replace('bentoml.io.', ''), plain.args];
    };
    const jsonArgs = { has_pydantic_model: false, has_json_encoder: false };
    const fileArgs = (mime: string | null): unknown => ['File', { kind: 'binaryio', mime_type: mime }];
    assert.deepEqual(descriptor('words', 'input'), ['Text', {}]);
    assert.deepEqual(descriptor('blob', 'input'), fileArgs(null));
    assert.deepEqual(descriptor('document', 'output'), fileArgs(null));
    assert.deepEqual(descriptor('report', 'output'), fileArgs('application/pdf'));
    assert.deepEqual(descriptor('sound', 'input'), fileArgs('audio/wav'));
    const allowed = ['image/png', 'image/jpeg', 'image/webp'];
    assert.deepEqual(descriptor('picture', 'input'), [
      'Image',
      { pilmode: 'RGB', mime_type: 'image/png', allowed_mime_types: allowed },
    ]);
    assert.deepEqual(descriptor('scan', 'input'), [
      'Image',
      { pilmode: 'L', mime_type: 'image/jpeg', allowed_mime_types: ['image/jpeg', 'image/tiff'] },
    ]);
    assert.deepEqual(descriptor('sprite', 'output'), [
      'Image',
      { pilmode: 'RGBA', mime_type: 'image/webp', allowed_mime_types: ['image/webp'] },
    ]);
    const frame = {
      orient: 'columns',
      columns: ['age'],
      dtype: { age: 'int64' },
      shape: null,
      enforce_dtype: true,
      enforce_shape: false,
      default_format: 'json',
    };
    assert.deepEqual(descriptor('ages', 'input'), ['PandasDataFrame', frame]);
    assert.deepEqual(descriptor('open', 'input'), [
      'PandasDataFrame',
      { ...frame, columns: null, dtype: null, enforce_dtype: false },
    ]);
    const [id, parts] = descriptor('form', 'input') as [string, Record<string, { id: string; args: unknown }>];
    assert.equal(id, 'Multipart');
    assert.deepEqual(parts['words'], { id: 'bentoml.io.Text', args: {} });
    assert.deepEqual(parts['ids'], { id: 'bentoml.io.JSON', args: jsonArgs }); // there is no multipart in a multipart
    assert.deepEqual(descriptor('tokens', 'output'), ['Text', {}]);
    assert.deepEqual(descriptor('events', 'output'), ['JSON', jsonArgs]);
  });
});
