import { loadConfig } from '../config/load-config.js';
import type { OutputSpec } from '../service/descriptor.js';
import type { Manifest, RunnerManifest } from '../service/manifest.js';
import { DEFAULT_TARGET, takeSwitch, type Command } from './command.js';

export const check: Command = {
  usage: 'check [TARGET] [--json] [flags]',
  summary: 'Load a target as serve would and describe it, without serving.',
  flagsOf: 'serve',
  switches: { json: 'Print the manifest as JSON.' },
  async run({ args, env, io }) {
    const json = takeSwitch(args, 'json');
    const loaded = await loadConfig({ command: 'serve', args: json.rest, env, target: DEFAULT_TARGET });
    const manifest = await io.describeTarget(loaded.positionals[0] ?? DEFAULT_TARGET, loaded);
    io.print(json.isOn ? JSON.stringify(manifest, null, 2) : describe(manifest));
    return 0;
  },
};

function describe(manifest: Manifest): string {
  const apis = manifest.apis.map(
    (api) => `  ${api.name}: POST ${api.route}, ${describeSpec(api.input)} → ${describeSpec(api.output)}`,
  );
  const runners = manifest.runners.flatMap(describeRunner);
  return [
    `${manifest.name} ${manifest.version}`,
    'APIs:',
    ...(apis.length === 0 ? ['  none'] : apis),
    'Runners:',
    ...(runners.length === 0 ? ['  none'] : runners),
  ].join('\n');
}

function describeRunner(runner: RunnerManifest): string[] {
  const methods = runner.methods.map(({ name, input, output, batch }) => {
    const batching =
      batch === null ? 'not batched' : `batches of up to ${batch.maxSize} rows, ${batch.maxQueueSize} may wait`;
    return `    ${name}: ${describeSpec(input)} → ${describeSpec(output)}, ${batching}`;
  });
  return [`  ${runner.name}: ${runner.workers} ${runner.workers === 1 ? 'worker' : 'workers'}`, ...methods];
}

function describeSpec(spec: OutputSpec): string {
  switch (spec.kind) {
    case 'json':
      return 'JSON';
    case 'tensor':
      return `${spec.dtype}[${spec.shape.map((size) => (size === -1 ? '?' : size)).join(', ')}]`;
    case 'tensors':
      return `{ ${Object.entries(spec.fields)
        .map(([name, field]) => `${name}: ${describeSpec(field)}`)
        .join(', ')} }`;
    case 'stream':
      return `stream of ${describeSpec(spec.of)}`;
    default:
      return spec satisfies never;
  }
}
