import { JubakoError } from '../errors.js';
import type { Frame } from './frame.js';
import type { ServerHello } from './hello.js';

// What a runner's end says to a caller: of calls that it does not begin, and of frames that it cannot take.

export function draining(hello: ServerHello): JubakoError {
  return new JubakoError('DRAINING', `Cannot begin a call: ${nameOf(hello)} is draining`);
}

export function tooManyCalls(hello: ServerHello): JubakoError {
  return new JubakoError(
    'QUEUE_FULL',
    `Cannot begin a call: ${nameOf(hello)} has ${hello.maxInFlight} calls of this connection`,
  );
}

export function tooManyBytes(hello: ServerHello, bytes: number): JubakoError {
  return new JubakoError(
    'QUEUE_FULL',
    `Cannot begin a call of ${bytes} bytes: ${nameOf(hello)} takes ${hello.maxInFlightBytes} bytes of this connection`,
  );
}

export function tooLarge(what: string, bytes: number, hello: ServerHello): JubakoError {
  return new JubakoError(
    'TOO_LARGE',
    `Cannot send ${what}: it has ${bytes} bytes, the link carries ${hello.maxFrameBytes}`,
  );
}

export function unknownMethod(index: number, hello: ServerHello): JubakoError {
  return new JubakoError(
    'LINK_PROTOCOL',
    `Cannot call method ${index}: runner "${hello.runner}" has ${hello.methods.length}`,
  );
}

export function unexpected(frame: Frame, when: string): JubakoError {
  return new JubakoError('LINK_PROTOCOL', `Cannot take a frame of kind ${frame.kind} ${when}`);
}

function nameOf(hello: ServerHello): string {
  return `worker "${hello.worker}" of runner "${hello.runner}"`;
}
