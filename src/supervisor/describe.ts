import { fork } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadedConfig } from '../config/load-config.js';
import { JubakoError } from '../errors.js';
import type { EntryPoint, Manifest } from '../ipc/manifest.js';
import type { FromWorker, ToWorker } from '../ipc/messages.js';
import type { DescriberBoot, WorkerIdentity } from '../ipc/worker-boot.js';
import { RuntimeDir } from '../net/runtime-dir.js';
import { childEnv } from './child-env.js';
import { readMachine } from './machine.js';
import { planLines } from './plan-lines.js';
import { makePlan } from './plan.js';
import { checkAffinity } from './start-checks.js';

/** Long enough for any import; a service whose top level waits for something that never comes must not hang the start. */
const DESCRIBE_TIMEOUT_MS = 60_000;

export interface Description {
  readonly manifest: Manifest;
  readonly entry: EntryPoint;
  /** What was left out and why, a sentence each. */
  readonly warnings: readonly string[];
}

/** What `jubako check` shows. */
export interface TargetDescription {
  readonly manifest: Manifest;
  readonly warnings: readonly string[];
  /** What `serve` would start here, a line for each pool. */
  readonly plan: readonly string[];
}

/**
 * Loads the service in a process of its own and asks it what it is: whatever its code does, this process is untouched.
 * @throws {JubakoError} SERVICE_INVALID - with the service's own message and stack.
 */
export function describe(boot: DescriberBoot, signal?: AbortSignal): Promise<Description> {
  const identity: WorkerIdentity = { role: 'describer', name: 'describer' };
  const child = fork(fileURLToPath(new URL('../worker.js', import.meta.url)), [], {
    env: childEnv({ JUBAKO_WORKER: JSON.stringify(identity) }),
    execArgv: [], // an inspector port of the primary is not for this process
  });
  const request: ToWorker = { type: 'describe', boot };
  return new Promise<Description>((resolveDescription, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new JubakoError(
          'SERVICE_INVALID',
          `Cannot load the service "${boot.target}": its module did not finish within ${DESCRIBE_TIMEOUT_MS / 1000} s`,
        ),
      );
    }, DESCRIBE_TIMEOUT_MS);
    child.on('message', (message) => {
      const answer = message as FromWorker;
      if (answer.type === 'online') child.send(request, () => undefined); // a failure shows as exit or error
      if (answer.type === 'described') resolveDescription(answer);
      if (answer.type !== 'bootRefused') return;
      reject(JubakoError.fromBody(answer.error));
    });
    signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    child.on('error', (cause) => {
      reject(new JubakoError('INTERNAL', `Cannot start the describer: ${cause.message}`, { cause }));
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      reject(
        new JubakoError(
          'SERVICE_INVALID',
          `Cannot load the service "${boot.target}": its process ended by ${signal === null ? `code ${code ?? ''}` : `signal ${signal}`}`,
        ),
      );
    });
  });
}

/** Describes and plans without serving, for `jubako check`. */
export async function describeTarget(target: string, loaded: LoadedConfig): Promise<TargetDescription> {
  const { config, serviceFile = null } = loaded;
  const runtimeDir = RuntimeDir.create(config.runtimeDir, process.env);
  try {
    const workingDir = resolve(config.workingDir ?? '.');
    const strict = config.strictModels;
    const { manifest, warnings } = await describe({
      target,
      serviceFile,
      workingDir,
      runtimeDir: runtimeDir.path,
      strict,
    });
    const plan = makePlan({ command: 'serve', config, manifest, machine: readMachine(config, process.env) });
    await checkAffinity(plan);
    return { manifest, warnings, plan: planLines(plan).map(({ text }) => text) };
  } finally {
    runtimeDir.remove();
  }
}
