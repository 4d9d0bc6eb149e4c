import type {
  ApiManifest,
  BatchManifest,
  Manifest,
  MethodManifest,
  MountManifest,
  RunnerManifest,
  RunnerResources,
} from '../ipc/manifest.js';
import type { ApiDefinition, MethodDefinition, RunnerDefinition, ServiceDefinition } from './define.js';
import type { MountOptions } from './extensions.js';

const DEFAULT_MAX_SIZE = 64;
const DEFAULT_QUEUE_FACTOR = 16;

/** The service as data, with every default filled in. */
export function manifestOf(service: ServiceDefinition): Manifest {
  return {
    name: service.name,
    version: service.version ?? '0',
    apis: Object.entries(service.apis).map(([name, api]): ApiManifest => ({
      name,
      route: routeOf(name, api),
      input: api.input.spec,
      output: api.output.spec,
      ...(api.doc !== undefined && { doc: api.doc }),
      ...(api.example !== undefined && { example: api.example }),
    })),
    runners: allRunners(service).map(toRunnerManifest),
    mounts: Object.entries(service.mounts ?? {}).map(toMountManifest),
    unavailable: [],
  };
}

function toMountManifest([path, mount]: readonly [string, MountOptions]): MountManifest {
  const stripPath = mount.stripPath ?? true;
  if ('upstream' in mount) return { path, upstream: mount.upstream, command: null, stripPath };
  const { command: argv, cwd = '.', env = {}, readyPath = null } = mount;
  return { path, upstream: null, command: { argv, cwd, env, readyPath }, stripPath };
}

/** The runners of the service and those that they call, each once, called ones after their callers. */
export function allRunners(service: Pick<ServiceDefinition, 'runners'>): readonly RunnerDefinition[] {
  const found = new Set<RunnerDefinition>(service.runners);
  for (const runner of found) for (const called of runner.runners ?? []) found.add(called); // grows while it is read
  return [...found];
}

function toRunnerManifest(runner: RunnerDefinition): RunnerManifest {
  return {
    name: runner.name,
    workers: runner.workers ?? 1,
    threads: runner.threads ?? 1,
    placement: runner.placement ?? 'process',
    resources: resourcesOf(runner),
    runners: (runner.runners ?? []).map(({ name }) => name),
    model: runner.model ?? null,
    methods: Object.entries(runner.methods).map(([name, method]): MethodManifest => ({
      name,
      input: method.input.spec,
      output: method.output.spec,
      batch: method.batch === undefined ? null : batchOf(method),
      concurrency: method.concurrency ?? 1,
      idempotent: method.idempotent ?? method.batch !== undefined,
    })),
  };
}

function resourcesOf({ resources }: RunnerDefinition): RunnerResources {
  return {
    cpus: resources?.cpus ?? null,
    devices: resources?.devices ?? [],
    pinned: resources?.pinned ?? false,
    env: resources?.env ?? {},
  };
}

export function routeOf(name: string, api: ApiDefinition): string {
  return api.route ?? `/${name}`;
}

export function batchOf({ batch }: MethodDefinition): BatchManifest {
  const maxSize = batch?.maxSize ?? DEFAULT_MAX_SIZE;
  return {
    maxSize,
    maxQueueSize: batch?.maxQueueSize ?? maxSize * DEFAULT_QUEUE_FACTOR,
    maxLatencyMs: batch?.maxLatencyMs ?? null,
  };
}
