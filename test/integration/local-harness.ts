import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { Cancellation } from '#dist/cancellation.js';
import { JubakoError } from '#dist/errors.js';
import { RunnerLinks } from '#dist/link/runner-links.js';
import { LocalRunner, type LocalRunnerOptions } from '#dist/runner/local-runner.js';
import { startRunnerServer, type RunnerServer } from '#dist/runner/runner-server.js';
import type { ServerConfig } from '#dist/config/settings.js';
import type { RunnerTransport } from '#dist/service/bound-runners.js';
import { newTiming, type RunnerCall } from '#dist/service/invoke.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import { Metrics } from '#dist/telemetry/metrics.js';
import service from './local-service.js';

const ENTRY = { url: new URL('./local-service.js', import.meta.url).href, exportName: '', sources: [] };
const MANIFEST = manifestOf(service);
export const NO_CALLS = { map: {}, peer: 'test', token: null, tls: undefined, timeoutMs: 0 };
const PLACE = { worker: 3, cpus: 2, device: undefined };

export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-local-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export interface StartedLocal {
  readonly runner: LocalRunner;
  readonly metrics: Metrics;
  /** Log lines so far. */
  readonly logged: Readonly<Record<string, unknown>>[];
}

/** An embedded runner of `local-service.ts`, loaded. */
export async function startLocal(
  t: TestContext,
  name: string,
  options?: Partial<LocalRunnerOptions>,
): Promise<StartedLocal> {
  const started = startLoading(t, name, options);
  await started.runner.ready;
  return started;
}

/** The same, not yet loaded: a call waits a second at most. */
export function startLoading(t: TestContext, name: string, options: Partial<LocalRunnerOptions> = {}): StartedLocal {
  const metrics = new Metrics();
  const logged: Readonly<Record<string, unknown>>[] = [];
  const logger = pino({}, { write: (line) => logged.push(JSON.parse(line) as Readonly<Record<string, unknown>>) });
  const runner = new LocalRunner({
    entry: ENTRY,
    runner: manifestFor(name),
    place: PLACE,
    calls: NO_CALLS,
    metrics,
    logger,
    ...options,
  });
  t.after(() => runner.close(0));
  return { runner, metrics, logged };
}

export interface StartedServer {
  readonly server: RunnerServer;
  readonly socketPath: string;
  readonly metrics: Metrics;
}

/** A runner of `local-service.ts` behind its own server, in this process for the test, perhaps not yet ready. */
export async function startServer(t: TestContext, name: string): Promise<StartedServer> {
  const socketPath = join(folderOf(t), `${name}.sock`);
  const metrics = new Metrics();
  const logger = pino({ level: 'silent' });
  const server = await startRunnerServer({
    entry: ENTRY,
    runner: manifestFor(name),
    place: PLACE,
    calls: NO_CALLS,
    socketPath,
    tls: undefined,
    worker: `runner-${name}-0`,
    config: { linkToken: null } as ServerConfig,
    logger,
    metrics,
    metricsText: () => Promise.resolve('the metrics'),
  });
  t.after(() => server.drain(0));
  return { server, socketPath, metrics };
}

/** The same, ready, and a link to it. */
export async function startFar(
  t: TestContext,
  name: string,
): Promise<StartedServer & { readonly links: RunnerLinks; readonly address: string }> {
  const started = await startServer(t, name);
  const address = `unix://${started.socketPath}`;
  const logger = pino({ level: 'silent' });
  const links = new RunnerLinks({ map: { [name]: [address] }, peer: 'test', token: null, logger });
  t.after(() => links.close(0));
  await Promise.all([started.server.ready, links.whenReady()]);
  return { ...started, links, address };
}

export function manifestFor(name: string): LocalRunnerOptions['runner'] {
  const manifest = MANIFEST.runners.find((runner) => runner.name === name);
  if (manifest === undefined) throw new TypeError(`There is no runner "${name}"`);
  return manifest;
}

export function callOf(runner: string, method: string, input: unknown, changes: Partial<RunnerCall> = {}): RunnerCall {
  return {
    runner,
    method,
    input,
    priority: 'normal',
    requestId: 'request-1',
    cancellation: new Cancellation(),
    deadlineAtMs: undefined,
    timing: newTiming(),
    ...changes,
  };
}

/** What a call gave, in a form that can be compared: values with their types and bits, failures with all that travels. */
export async function outcomeOf(transport: RunnerTransport, call: RunnerCall): Promise<unknown> {
  return transport.call(call).then((value) => ({ value }), toFailure);
}

export async function streamOutcomeOf(transport: RunnerTransport, call: RunnerCall): Promise<unknown> {
  const values: unknown[] = [];
  try {
    for await (const value of transport.stream(call)) values.push(value);
    return { values };
  } catch (thrown) {
    return { values, ...toFailure(thrown) };
  }
}

function toFailure(thrown: unknown): { readonly failure: unknown } {
  if (!(thrown instanceof JubakoError)) throw thrown;
  return { failure: thrown.toBody() };
}
