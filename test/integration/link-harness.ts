import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { pino, type Logger } from 'pino';
import { LinkServer, type IncomingCall, type LinkLoad, type LinkServerHello } from '#dist/link/link-server.js';
import { Cancellation } from '#dist/cancellation.js';
import { RunnerLinks, type LinkRequest, type RunnerLinksOptions } from '#dist/link/runner-links.js';
import { encodeJsonText, encodeValue, peekValue } from '#dist/tensor/index.js';
import { newTiming } from '#dist/service/invoke.js';

export const silent = pino({ level: 'silent' });
export const TIMING = { queueMs: 1, batchMs: 0.5, computeMs: 2, batchRows: 4 };
export const IDLE: LinkLoad = { queuedRows: 0, inFlightRows: 0, waitMs: -1, isFull: false };

export interface RunnerOptions {
  /** Of the unix socket; default: a new one. */
  readonly path?: string;
  /** A port in its place. */
  readonly port?: 'tcp' | TlsOptions;
  readonly token?: string;
  readonly logger?: Logger;
  readonly isReady?: boolean;
  readonly hello?: Partial<LinkServerHello>;
  readonly load?: () => LinkLoad;
  readonly onCall?: (call: IncomingCall) => void;
}

export interface TestRunner {
  readonly address: string;
  readonly path: string;
  readonly link: LinkServer;
  readonly hello: LinkServerHello;
  /** Calls that arrived, in order. */
  readonly calls: IncomingCall[];
  /** Cuts its connections and stops to listen, as a process that dies. */
  kill(): Promise<void>;
}

export function echo(call: IncomingCall): void {
  const value = peekValue(call.body);
  if (value.form === 'json') call.respond(encodeJsonText(value.text), TIMING);
  else call.respond(encodeValue(value.form === 'tensor' ? value.tensor : value.decode()), TIMING);
}

/** Sends the numbers from 0 to below `count` as the caller takes them. */
export function sendNumbers(call: IncomingCall, count: number): void {
  let next = 0;
  const send = (): void => {
    while (call.credit > 0 && next < count) call.sendItem(encodeValue(next++));
    if (next === count) call.end(TIMING);
  };
  call.onCredit = send;
  send();
}

export function socketPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'jubako-link-'));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  return join(folder, 'runner.sock');
}

/** A runner behind node:http on a unix socket; its methods are `echo` (idempotent), `once` (not), and `items` and `lines`, which stream (likewise). */
export async function startRunner(t: TestContext, options: RunnerOptions = {}): Promise<TestRunner> {
  const path = options.path ?? socketPath(t);
  const calls: IncomingCall[] = [];
  const link = new LinkServer({
    token: options.token ?? null,
    logger: options.logger ?? silent,
    load: options.load ?? (() => IDLE),
    onCall: (call) => {
      calls.push(call);
      (options.onCall ?? echo)(call);
    },
  });
  const hello = {
    runner: 'digits',
    worker: 'runner-digits-0',
    methods: [
      { name: 'echo', idempotent: true, streams: false },
      { name: 'once', idempotent: false, streams: false },
      { name: 'items', idempotent: true, streams: true },
      { name: 'lines', idempotent: false, streams: true },
    ],
    ...options.hello,
  };
  if (options.isReady !== false) link.setReady(hello);
  const { port } = options;
  const server = typeof port === 'object' ? createTlsServer(port) : createServer();
  server.on('upgrade', (request, socket, head) => {
    link.handleUpgrade(request, socket, head);
  });
  await new Promise<void>((resolve) => {
    if (port === undefined) server.listen(path, resolve);
    else server.listen(0, '127.0.0.1', resolve);
  });
  const kill = async (): Promise<void> => {
    link.close();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  t.after(kill);
  const address =
    port === undefined
      ? `unix://${path}`
      : `${port === 'tcp' ? 'tcp' : 'tls'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { address, path, link, hello, calls, kill };
}

export function connect(
  t: TestContext,
  addresses: readonly string[],
  options: Partial<RunnerLinksOptions> = {},
): RunnerLinks {
  const links = new RunnerLinks({
    map: { digits: addresses },
    peer: 'http-0',
    token: null,
    logger: silent,
    ...options,
  });
  t.after(() => links.close(0));
  return links;
}

export function request(input: unknown, changes: Partial<LinkRequest> = {}): LinkRequest {
  return {
    runner: 'digits',
    method: 'echo',
    input,
    priority: 'normal',
    requestId: 'request-1',
    cancellation: new Cancellation(),
    deadlineAtMs: undefined,
    timing: newTiming(),
    ...changes,
  };
}

export function isCode(code: string, message?: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    const error = thrown as { code?: unknown; message: string };
    return error.code === code && (message === undefined || message.test(error.message));
  };
}

/** Resolves at the n-th call of what it returns. */
export function countdown(n: number): { readonly done: Promise<void>; readonly hit: () => void } {
  let left = n;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (finish = resolve));
  const hit = (): void => {
    left -= 1;
    if (left === 0) finish();
  };
  return { done, hit };
}
