import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  ClientError,
  createClient,
  Table,
  Tensor,
  tensorOf,
  type Client,
  type ClientOptions,
} from '#dist/client/index.js';
import type service from '../fixtures/client/service.js';
import { PNG } from '../support/png.js';
import { fixture, LIMIT, startPrimary, type RunningProcess } from '../support/start-primary.js';

interface Started {
  readonly primary: RunningProcess;
  readonly url: string;
  readonly client: Client<typeof service>;
}

async function start(t: TestContext, options?: ClientOptions, env?: Record<string, string>): Promise<Started> {
  const primary = startPrimary(t, [fixture('client/service.ts')], env === undefined ? {} : { env });
  const { http: url } = await primary.ready();
  return { primary, url, client: createClient<typeof service>(url, options) };
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  const thrown: unknown = await call.then(
    () => assert.fail('it answered'),
    (reason: unknown) => reason,
  );
  assert.ok(thrown instanceof ClientError, String(thrown));
  return thrown.code;
}

test('the typed client calls an API of every kind, and gets what its handler gave', LIMIT, async (t) => {
  const { client } = await start(t);

  await t.test('json', async () => {
    const value = { a: [1, 'zwei', null], text: 'naïve 🎉 \uD800' };
    assert.deepEqual(await client.echo(value), value);
    const { greeting } = await client.greet({ name: 'Ann', loud: true });
    assert.equal(greeting, 'HELLO ANN');
    assert.equal(await codeOf(client.echo(10n)), 'INVALID_INPUT');
  });

  await t.test('tensor', async () => {
    const doubled = await client.double(tensorOf('float32', [2, 2], [1, 2, 3, 0.1]));
    assert.deepEqual(doubled, tensorOf('float32', [2, 2], [2, 4, 6, Math.fround(0.1) * 2]));
    const big = await client.big(tensorOf('int64', [2], [2n ** 62n, -1n]));
    assert.deepEqual([...big.data], [2n ** 62n + 1n, 0n]);
    assert.deepEqual((await client.big(tensorOf('int64', [0], []))).shape, [0]);
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([1, 2]);
    assert.deepEqual([...(await client.double(new Tensor('float32', [1, 2], shared))).data], [2, 4]);
    const words = new Tensor('string', [3], ['a', '', 'naïve']);
    assert.deepEqual(await client.words(words), words);
    assert.equal(await codeOf(client.double(tensorOf('float32', [1, 3], [1, 2, 3]))), 'INVALID_INPUT');
  });

  await t.test('tensors', async () => {
    const pair = { ids: tensorOf('int64', [1, 2], [1n, -(2n ** 63n)]), words: new Tensor('string', [1], ['x']) };
    assert.deepEqual(await client.pair(pair), pair);
  });

  await t.test('text', async () => {
    assert.equal(await client.shout('naïve'), 'NAÏVE');
    assert.equal(await client.shout('\uFEFFbom'), '\uFEFFBOM');
    assert.equal(await client.shout(''), '');
  });

  await t.test('bytes', async () => {
    assert.deepEqual(await client.reverse(new Uint8Array([1, 2, 3])), new Uint8Array([3, 2, 1]));
    assert.deepEqual(await client.reverse(new Blob(['ab'], { type: 'application/json' })), new Uint8Array([98, 97]));
    assert.deepEqual(await client.reverse(new Uint8Array(0)), new Uint8Array(0));
  });

  await t.test('file', async () => {
    const content = new Uint8Array([1, 2]);
    const named = await client.file({ name: 'naïve (1).txt', mediaType: 'text/plain', bytes: content });
    assert.deepEqual(named, { name: 'copy of naïve (1).txt', mediaType: 'text/plain', bytes: content });
    const bare = await client.file({ bytes: content });
    assert.deepEqual(bare, { name: 'copy of file', mediaType: 'application/octet-stream', bytes: content });
    const json = await client.file(new File(['{}'], 'a.json', { type: 'application/json' }));
    assert.deepEqual(json, {
      name: 'copy of a.json',
      mediaType: 'application/json',
      bytes: new Uint8Array([123, 125]),
    });
  });

  await t.test('image', async () => {
    const pixels = await client.pixels(new Blob([PNG], { type: 'image/png' }));
    assert.deepEqual(pixels, tensorOf('uint8', [1, 2, 3], [255, 0, 0, 0, 0, 255]));
    assert.deepEqual(await client.size(PNG), [1, 2, 3]);
    assert.equal(await codeOf(client.size(new Uint8Array([1, 2, 3]))), 'UNSUPPORTED_MEDIA');
  });

  await t.test('table', async () => {
    const rows = [
      { name: 'Ann', id: 2n ** 60n, score: 0.1 },
      { name: 'Bob', id: 2n, score: null },
    ];
    const expected = [
      { name: 'Bob', id: 2n, score: NaN },
      { name: 'Ann', id: 2n ** 60n, score: Math.fround(0.1) },
    ];
    const answer = await client.people(rows);
    assert.ok(answer instanceof Table);
    assert.deepEqual(answer.toRows(), expected);
    assert.ok(answer.columns.id instanceof BigInt64Array);
    const types = { name: 'string', id: 'int64', score: 'float32' } as const;
    assert.deepEqual((await client.people(Table.fromRows(types, rows))).toRows(), expected);
  });

  await t.test('multipart', async () => {
    const rows = tensorOf('float32', [1, 2], [1, 2]);
    const people = [{ name: 'Ann', id: 7, score: 1 }];
    const form = { picture: PNG, note: '\uFEFFnote', rows, people, about: { a: 1 } };
    const answer = await client.form(form);
    assert.deepEqual(answer.rows, rows);
    assert.deepEqual(answer.people.toRows(), [{ name: 'Ann', id: 7n, score: 1 }]);
    assert.deepEqual(answer.told, { shape: [1, 2, 3], note: '\uFEFFnote', about: { a: 1 }, raw: null });
    assert.equal(answer.attached, undefined);
    const attached = new File(['x'], 'naïve.txt', { type: 'text/plain' });
    const whole = await client.form({ ...form, attached, raw: new Uint8Array(5) });
    assert.deepEqual(whole.attached, { name: 'naïve.txt', mediaType: 'text/plain', bytes: new Uint8Array([120]) });
    assert.equal((whole.told as { readonly raw: unknown }).raw, 5);
  });

  await t.test('stream', async () => {
    const tensors: Tensor[] = [];
    for await (const rows of client.count(3)) tensors.push(rows);
    assert.deepEqual(
      tensors.map(({ data }) => [...data]),
      [
        [0, 0.5],
        [1, 1.5],
        [2, 2.5],
      ],
    );
    let letters = '';
    for await (const letter of client.spell('naïve')) letters += letter;
    assert.equal(letters, 'naïve');
    for await (const letter of client.spell('')) assert.fail(`there is no ${letter}`);
  });

  await t.test('names that methods cannot have', async () => {
    // eslint-disable-next-line @typescript-eslint/await-thenable -- that it is none is what is tested
    assert.equal(await client, client);
    assert.equal(await client.$call('then', 1), 2);
    assert.equal(await client['with-dash'](1), 0);
  });
});

test('failures of a real server keep their codes and ids, before and inside a stream', LIMIT, async (t) => {
  const { client } = await start(t);
  const crash = await client.crash(null, { requestId: 'my-id' }).catch((thrown: unknown) => thrown);
  assert.ok(crash instanceof ClientError);
  assert.deepEqual([crash.code, crash.status, crash.requestId], ['USER_CODE', 500, 'my-id']);
  assert.doesNotMatch(crash.message, /secret/);

  const seen: number[] = [];
  const read = async (): Promise<void> => {
    for await (const n of client.fail(2, { requestId: 'my-stream' })) seen.push(n);
  };
  const failure: unknown = await read().catch((thrown: unknown) => thrown);
  assert.ok(failure instanceof ClientError);
  assert.deepEqual(seen, [0, 1]);
  assert.deepEqual(
    [failure.code, failure.message, failure.requestId, failure.details],
    ['INVALID_INPUT', 'Cannot go on', 'my-stream', [2]],
  );
});

test('a client that goes stops what the server does: by abort, by time, by reading no further', LIMIT, async (t) => {
  const { primary, client } = await start(t);
  const controller = new AbortController();
  const hanging = client.hang(null, { signal: controller.signal });
  await primary.nextLog({ event: 'hang.began' });
  controller.abort('enough');
  assert.equal(await hanging.catch((thrown: unknown) => thrown), 'enough');
  await primary.nextLog({ event: 'hang.ended' });

  assert.equal(await codeOf(client.hang(null, { timeoutMs: 1000 })), 'DEADLINE_EXCEEDED');
  await primary.nextLog({ event: 'hang.ended' });

  for await (const n of client.endless(null)) if (n === 3) break;
  await primary.nextLog({ event: 'endless.left' });
});

test('apiKey lets a client in where keys are asked for', LIMIT, async (t) => {
  const { url, client } = await start(
    t,
    { apiKey: 'the-right-key-of-two' },
    { JUBAKO_API_KEYS: 'the-other-key-of-two,the-right-key-of-two' },
  );
  assert.equal(await client.echo(1), 1);
  const wrong = createClient<typeof service>(url, { apiKey: 'the-wrong-key-of-all' });
  assert.equal(await codeOf(wrong.echo(1)), 'UNAUTHENTICATED');
  const byHeader = createClient<typeof service>(url, { headers: { 'x-api-key': 'the-other-key-of-two' } });
  assert.equal(await byHeader.echo(2), 2);
});
