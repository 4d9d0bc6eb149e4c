import assert from 'node:assert/strict';
import { test } from 'node:test';
import { build, type BuildFailure } from 'esbuild';

const ROOMS = ['client', 'descriptor', 'tensor', 'errors.js'];
/** The client is a part of pages: what it weighs, they weigh more. Now 32 KiB. */
const MAX_BYTES = 40 * 1024;

async function bundle(contents: string): Promise<{ readonly inputs: readonly string[]; readonly byteLength: number }> {
  const { metafile, outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'esm',
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>');
  return { inputs, byteLength: outputFiles[0]?.contents.byteLength ?? 0 };
}

test('the client is bundled for browsers: nothing of Node, of other packages or of other rooms', async () => {
  const { inputs, byteLength } = await bundle("export * from '#dist/client/index.js';");
  assert.ok(inputs.length > 10);
  const strangers = inputs.filter((path) => !ROOMS.some((room) => path.startsWith(`dist/${room}`)));
  assert.deepEqual(strangers, []);
  assert.ok(byteLength <= MAX_BYTES, `${byteLength} bytes`);
});

test('a bundle for browsers that needs Node is noticed', async () => {
  await assert.rejects(
    bundle("export * from '#dist/http/media-type.js'; import 'node:http';"),
    (thrown: BuildFailure) => /Could not resolve "node:http"/.test(thrown.message),
  );
});
