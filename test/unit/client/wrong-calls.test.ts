import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import ts from 'typescript';

const FILE = resolve('test/fixtures/client/wrong-calls.ts');
const MARK = '@ts-expect-error';

/** Lines of the file, from 1, that the compiler refuses when it is not told to expect that. */
function refusedLines(): number[] {
  const config = ts.getParsedCommandLineOfConfigFile(resolve('test/fixtures/tsconfig.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) =>
      assert.fail(ts.flattenDiagnosticMessageText(messageText, '\n')),
  });
  assert.ok(config !== undefined);
  const host = ts.createCompilerHost(config.options);
  const readFile = host.readFile.bind(host);
  host.readFile = (name) => (resolve(name) === FILE ? readFile(name)?.replaceAll(MARK, 'refused:') : readFile(name));
  const program = ts.createProgram([FILE], config.options, host);
  const source = program.getSourceFile(FILE);
  assert.ok(source !== undefined);
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  const lines = found.map(({ start = 0 }) => source.getLineAndCharacterOfPosition(start).line + 1);
  return [...new Set(lines)].sort((a, b) => a - b);
}

test('the compiler refuses each wrong call of the typed client, and none of the right ones', () => {
  const text = ts.sys.readFile(FILE)?.split('\n') ?? [];
  const marked = text.flatMap((line, at) => (line.includes(`// ${MARK} `) ? [at + 2] : []));
  assert.ok(marked.length >= 25);
  assert.deepEqual(refusedLines(), marked);
});
