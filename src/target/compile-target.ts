import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Message, Plugin } from 'esbuild';
import { JubakoError } from '../errors.js';
import type { EntryPoint } from '../ipc/manifest.js';
import type { ServiceFile } from './resolve-target.js';

// C1 TypeScript is compiled once, by the describer; workers and compute threads import plain JavaScript. A loader in each
//    of them would cost each of them its start-up time and memory (DECISIONS.md).
// C2 Only the user's own files are compiled together; packages are imported from where they lie, `jubako` from here, so
//    that a service and its server never hold two copies of one module.
// C3 A compiled file believes that it still lies where its source lies: `import.meta.url` and the like are kept.

const TYPESCRIPT = /\.[cm]?ts$/;
const OWN_ENTRY = new URL('../index.js', import.meta.url).href;

/**
 * Makes the target importable by plain Node. JavaScript is left as it is; TypeScript becomes one file in `outDir`.
 * @throws {JubakoError} SERVICE_INVALID - with file, line and column of the first syntax or resolution errors.
 */
export async function compileTarget(target: ServiceFile, outDir: string): Promise<EntryPoint> {
  const { file, exportName } = target;
  if (!TYPESCRIPT.test(extname(file))) return { url: pathToFileURL(file).href, exportName, sources: [file] };
  const esbuild = await import('esbuild');
  try {
    const result = await esbuild.build({
      entryPoints: [file],
      absWorkingDir: dirname(file),
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'node',
      target: `node${process.versions.node}`,
      conditions: [], // without it esbuild adds "module", a condition that Node does not know
      sourcemap: 'inline',
      outfile: join(outDir, 'service.mjs'),
      banner: {
        js: `import { createRequire as __jubakoRequire } from 'node:module';const require = __jubakoRequire(${JSON.stringify(file)});`,
      },
      define: {
        'import.meta.url': '__jubakoUrl',
        'import.meta.dirname': '__jubakoDirname',
        'import.meta.filename': '__jubakoFilename',
        __dirname: '__jubakoDirname',
        __filename: '__jubakoFilename',
      },
      plugins: [keepPackagesOutside(), keepPlaces()],
      logLevel: 'silent',
    });
    const [output] = result.outputFiles;
    if (output === undefined) throw new TypeError('esbuild gave no output');
    const name = `service-${createHash('sha256').update(output.contents).digest('hex').slice(0, 16)}.mjs`;
    const compiled = join(outDir, name);
    await writeFile(compiled, output.contents, { mode: 0o600 });
    const sources = Object.keys(result.metafile.inputs).map((input) =>
      resolve(dirname(file), input.replace(/^[\w-]+:/, '')),
    );
    return { url: pathToFileURL(compiled).href, exportName, sources };
  } catch (thrown) {
    const errors = (thrown as { errors?: readonly Message[] }).errors;
    if (errors === undefined) throw thrown;
    throw new JubakoError('SERVICE_INVALID', `Cannot compile ${file}: ${errors.map(formatMessage).join('; ')}`, {
      cause: thrown,
    });
  } finally {
    await esbuild.stop();
  }
}

function formatMessage({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}

/** Bare imports stay imports, by the absolute place that they resolve to from the importing file (C2). */
function keepPackagesOutside(): Plugin {
  return {
    name: 'keep-packages-outside',
    setup(build): void {
      build.onResolve({ filter: /^jubako$/ }, () => ({ path: OWN_ENTRY, external: true }));
      build.onResolve({ filter: /^[^./#]/ }, async (args) => {
        const { path: specifier, kind, resolveDir, importer } = args;
        if (args.pluginData === 'inner' || kind === 'entry-point') return undefined;
        if (specifier.startsWith('node:')) return { path: specifier, external: true };
        const resolved = await build.resolve(specifier, { kind, resolveDir, importer, pluginData: 'inner' });
        if (resolved.errors.length > 0) return { errors: resolved.errors, warnings: resolved.warnings };
        // Built-ins without `node:` come back as they are; a workspace package in TypeScript has to be compiled too.
        if (!resolved.path.startsWith('/')) return { path: specifier, external: true };
        if (TYPESCRIPT.test(resolved.path)) return { path: resolved.path };
        return { path: kind === 'require-call' ? resolved.path : pathToFileURL(resolved.path).href, external: true };
      });
      build.onResolve({ filter: /\.node$/ }, (args) => ({ path: resolve(args.resolveDir, args.path), external: true }));
    },
  };
}

/** Each compiled file starts with its own place (C3), on its first line so that line numbers hold. */
function keepPlaces(): Plugin {
  return {
    name: 'keep-places',
    setup(build): void {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        const loader = TYPESCRIPT.test(path) ? 'ts' : 'js';
        if (!/import\.meta|__dirname|__filename/.test(source)) return { contents: source, loader };
        const constants =
          `const __jubakoUrl=${JSON.stringify(pathToFileURL(path).href)},` +
          `__jubakoDirname=${JSON.stringify(dirname(path))},__jubakoFilename=${JSON.stringify(path)};`;
        return { contents: constants + source.replace(/^#!.*/, ''), loader };
      });
    },
  };
}
