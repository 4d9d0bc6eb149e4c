import type { Socket } from 'node:net';
import type { FromWorker, ToWorker } from './messages.js';

/** The worker's end of the control channel. */
export interface PrimaryChannel {
  send(message: FromWorker): void;
  /** Resolves when the message has left this process; for the last one before an exit. */
  sendLast(message: FromWorker): Promise<void>;
  /** Called once: tells the primary that it may speak. */
  onMessage(listener: (message: ToWorker, socket: Socket | undefined) => void): void;
  /** The primary has died or let go. */
  onGone(listener: () => void): void;
}

/** @throws {TypeError} this process was not forked by a primary. */
export function connectToPrimary(): PrimaryChannel {
  const send = process.send?.bind(process);
  if (send === undefined) throw new TypeError('worker.js is started by the primary only');
  return {
    send(message) {
      // Without a channel nobody is left to be told; `onGone` ends this process.
      if (process.connected) send(message, undefined, undefined, () => undefined);
    },
    sendLast(message) {
      return new Promise((resolve) => {
        if (!process.connected) resolve();
        else
          send(message, undefined, undefined, () => {
            resolve();
          });
      });
    },
    onMessage(listener) {
      process.on('message', (message, handle) => {
        listener(message as ToWorker, handle as Socket | undefined);
      });
      this.send({ type: 'online' });
    },
    onGone(listener) {
      process.on('disconnect', listener);
    },
  };
}
