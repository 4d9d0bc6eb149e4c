// @ts-check
// Both ends of the runner link as the servers use them, for cases that measure without HTTP. Checked against the types of the
// build, since what is inside may change.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Cancellation } from '../../dist/cancellation.js';
import { LinkServer } from '../../dist/link/link-server.js';
import { RunnerLinks } from '../../dist/link/runner-links.js';
import { newTiming } from '../../dist/service/invoke.js';

const READY_WITHIN_MS = 10_000;
/** As long as the ids that are made for requests without one. */
const REQUEST_ID = '3f1b6c1e-8a63-4f0e-9d43-2a7c5be0d1f7';
/** Every request has a deadline, and the link heeds it. */
const DEADLINE_MS = 60_000;
const TIMING = newTiming();
const LOAD = { queuedRows: 0, inFlightRows: 0, waitMs: 0, isFull: false };

const logger = pino({ level: 'warn' }, pino.destination(2));

/**
 * The runner's end, where a scheduler would take the calls: answers each with its own body.
 * @param {string} path - of the socket.
 * @returns {Promise<void>} when it listens.
 */
export function listenEcho(path) {
  const link = new LinkServer({
    token: null,
    logger,
    load: () => LOAD,
    onCall: (call) => {
      call.respond({ head: call.body, parts: [], byteLength: call.body.byteLength }, TIMING);
    },
  });
  link.setReady({ runner: 'echo', worker: 'bench', methods: [{ name: 'echo', idempotent: true, streams: false }] });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => {
    link.handleUpgrade(request, socket, head);
  });
  return new Promise((resolve) => server.listen(path, resolve));
}

/**
 * @param {Readonly<Record<string, readonly string[]>>} map - runner → addresses.
 * @throws where a runner cannot be reached.
 */
export async function connectLinks(map) {
  const links = new RunnerLinks({ map, peer: 'bench', token: null, logger });
  await Promise.race([links.whenReady(), sleep(READY_WITHIN_MS, undefined, { ref: false })]);
  const readiness = links.readiness();
  if (!readiness.ready) throw new Error(`Cannot reach the runner "${readiness.runner}": ${readiness.reason}`);
  return links;
}

/**
 * One request, to be sent over and over: its cancellation, deadline and timing are made once.
 * @param {string} runner
 * @param {string} method
 * @param {unknown} input
 * @returns {import('../../dist/link/runner-links.js').LinkRequest}
 */
export function requestOf(runner, method, input) {
  return {
    runner,
    method,
    input,
    priority: 'normal',

    requestId: REQUEST_ID,
    cancellation: new Cancellation(),
    deadlineAtMs: performance.now() + DEADLINE_MS,
    timing: newTiming(),
  };
}
