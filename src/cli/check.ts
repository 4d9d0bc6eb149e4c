import { loadConfig } from '../config/load-config.js';
import type { OutputSpec } from '../descriptor/descriptor.js';
import type { MountManifest, RunnerManifest } from '../service/manifest.js';
import { DEFAULT_TARGET, takeSwitch, type Command, type TargetDescription } from './command.js';

export const check: Command = {
  usage: 'check [TARGET] [--json] [flags]',
  summary: 'Load a target as serve would and describe it, without serving.',
  flagsOf: 'serve',
  switches: { json: 'Print the manifest as JSON.' },
  async run({ args, env, io }) {
    const json = takeSwitch(args, 'json');
    const loaded = await loadConfig({ command: 'serve', args: json.rest, env, target: DEFAULT_TARGET });
    const described = await io.describeTarget(loaded.positionals[0] ?? DEFAULT_TARGET, loaded);
    for (const warning of described.warnings) io.printError(`warning: ${warning}`);
    io.print(json.isOn ? JSON.stringify(described.manifest, null, 2) : describe(described));
    return 0;
  },
};

function describe({ manifest, plan }: TargetDescription): string {
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
    ...(manifest.mounts.length === 0 ? [] : ['Mounts:', ...manifest.mounts.map(describeMount)]),
    'On this machine:',
    ...plan.map((line) => `  ${line}`),
  ].join('\n');
}

function describeMount({ path, upstream, command, stripPath }: MountManifest): string {
  const where = command === null ? (upstream ?? '') : command.argv.join(' ');
  const readyPath = command === null ? null : command.readyPath;
  const ready = readyPath === null ? '' : `, ready when ${readyPath} answers`;
  return `  ${path}: ${where}${ready}${stripPath ? '' : `, sees its paths with ${path}`}`;
}

function describeRunner(runner: RunnerManifest): string[] {
  const methods = runner.methods.map(({ name, input, output, batch }) => {
    const batching =
      batch === null ? 'not batched' : `batches of up to ${batch.maxSize} rows, ${batch.maxQueueSize} may wait`;
    return `    ${name}: ${describeSpec(input)} → ${describeSpec(output)}, ${batching}`;
  });
  const workers = `${runner.workers} ${runner.workers === 1 ? 'worker' : 'workers'}`;
  return [`  ${runner.name}: ${runner.placement === 'embedded' ? 'embedded in the API workers' : workers}`, ...methods];
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
    case 'multipart':
      return `form { ${Object.entries(spec.fields)
        .map(([name, field]) => `${name}: ${describeSpec(field)}`)
        .join(', ')} }`;
    case 'text':
    case 'bytes':
    case 'file':
    case 'image':
    case 'table':
      return spec.kind;
    default:
      return spec satisfies never;
  }
}
