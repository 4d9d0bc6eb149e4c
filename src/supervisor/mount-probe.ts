import { get } from 'node:http';
import { connect } from 'node:net';

const HOST = '127.0.0.1';
const PROBE_EVERY_MS = 50;
/** An application that is slow at first may take longer for the one request than for the next. */
const ANSWER_WITHIN_MS = 2000;

/**
 * Waits until an application is there: with `path` until that is answered with a status below 500, else until its port
 * takes a connection. Never rejects; false: the signal came first.
 */
export async function untilAnswering(port: number, path: string | null, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (await (path === null ? takesConnections(port) : answers(port, path))) return !signal.aborted;
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }
  return false;
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port, timeout: ANSWER_WITHIN_MS });
    const end = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => {
      end(true);
    });
    socket.once('timeout', () => {
      end(false);
    });
    socket.once('error', () => {
      end(false);
    });
  });
}

function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: HOST, port, path, agent: false, timeout: ANSWER_WITHIN_MS }, (response) => {
      response.destroy();
      resolve((response.statusCode ?? 500) < 500);
    });
    request.once('timeout', () => {
      request.destroy();
      resolve(false);
    });
    request.once('error', () => {
      resolve(false);
    });
  });
}
