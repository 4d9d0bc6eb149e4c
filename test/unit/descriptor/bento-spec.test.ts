import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bentoSpec, type BentoForm, type Side } from '#dist/descriptor/bento-spec.js';
import type { OutputSpec } from '#dist/descriptor/descriptor.js';
import { bytes, file, image, json, multipart, stream, table, tensor, tensors, text } from '#dist/service/index.js';

const HTTP: BentoForm = { tensors: 'json', streams: 'text', orient: 'records', numpyDtype: (dtype) => dtype };
const GRPC: BentoForm = { ...HTTP, tensors: 'multipart', streams: 'values', orient: 'columns' };

function argsOf(side: Side, { spec }: { readonly spec: OutputSpec }, form = HTTP): unknown {
  return bentoSpec(side, spec, form).args;
}

function idOf(side: Side, { spec }: { readonly spec: OutputSpec }, form = HTTP): string {
  return bentoSpec(side, spec, form).id;
}

test('bentoSpec has a descriptor of BentoML for each kind, and those of each protocol', () => {
  const pair = tensors({ a: tensor('int8', [1]) });
  for (const [descriptor, http, grpc] of [
    [json(), 'JSON', 'JSON'],
    [tensor('int8', [1]), 'NumpyNdarray', 'NumpyNdarray'],
    [pair, 'JSON', 'Multipart'],
    [text(), 'Text', 'Text'],
    [bytes(), 'File', 'File'],
    [file(), 'File', 'File'],
    [image(), 'Image', 'Image'],
    [table(), 'PandasDataFrame', 'PandasDataFrame'],
    [multipart({ pair }), 'Multipart', 'Multipart'],
    [stream(bytes()), 'Text', 'File'],
  ] as const) {
    assert.equal(idOf('output', descriptor), `bentoml.io.${http}`);
    assert.equal(idOf('output', descriptor, GRPC), `bentoml.io.${grpc}`);
  }
  const { pair: inside } = argsOf('input', multipart({ pair }), GRPC) as { pair: { id: string } };
  assert.equal(inside.id, 'bentoml.io.JSON'); // BentoML allows no multipart in a multipart
});

test('bentoSpec names a type of files where clients have to send one, and where they may rely on it', () => {
  const mimeOf = (side: Side, mediaTypes: readonly string[]): unknown =>
    (argsOf(side, file({ mediaTypes })) as { mime_type: unknown }).mime_type;
  assert.equal(mimeOf('input', []), null);
  assert.equal(mimeOf('input', ['audio/*']), null);
  assert.equal(mimeOf('input', ['audio/*', 'audio/ogg']), 'audio/ogg');
  assert.equal(mimeOf('input', ['text/csv', 'text/plain']), 'text/csv');
  assert.equal(mimeOf('output', ['text/csv']), 'text/csv');
  assert.equal(mimeOf('output', ['text/csv', 'text/plain']), null);
  assert.equal(mimeOf('output', ['audio/*', 'audio/ogg']), null);
});

test("bentoSpec names images by what BentoML's client can write without loss, and by what is given", () => {
  assert.deepEqual(argsOf('input', image({ channels: 4, mediaTypes: ['image/jpeg', 'image/gif', 'image/webp'] })), {
    pilmode: 'RGBA',
    mime_type: 'image/webp',
    allowed_mime_types: ['image/jpeg', 'image/gif', 'image/webp'],
  });
  assert.deepEqual(argsOf('output', image({ mediaType: 'image/jpeg' })), {
    pilmode: 'RGB',
    mime_type: 'image/jpeg',
    allowed_mime_types: ['image/jpeg'],
  });
  // Its library does not know this one everywhere, and refuses descriptors that name it.
  assert.deepEqual(argsOf('input', image({ mediaTypes: ['image/avif'] })), {
    kind: 'binaryio',
    mime_type: 'image/avif',
  });
  const { allowed_mime_types: allowed } = argsOf('input', image({ mediaTypes: ['image/avif', 'image/png'] })) as {
    allowed_mime_types: unknown;
  };
  assert.deepEqual(allowed, ['image/png']);
});

test('bentoSpec gives the types of columns, so that texts which look like numbers stay texts', () => {
  const { orient, dtype, enforce_dtype } = argsOf('output', table({ columns: { a: 'string', b: 'int64' } })) as Record<
    string,
    unknown
  >;
  assert.deepEqual([orient, dtype, enforce_dtype], ['records', { a: 'object', b: 'int64' }, true]);
  assert.equal((argsOf('output', table(), GRPC) as Record<string, unknown>)['orient'], 'columns');
});
