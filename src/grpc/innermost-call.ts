import { ServerInterceptingCall, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { bindRpc, type Rpc } from './rpc-life.js';
import type { TracedCall } from './traced-call.js';

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0];

/**
 * Stands between the interceptors of the user and the handler: binds the metadata that the handler gets, which may be
 * other than what came, and ends the call with what an interceptor throws while the handler sends (traced-call T3).
 */
export class InnermostCall extends ServerInterceptingCall implements Listener {
  readonly #next: ServerInterceptingCallInterface;
  readonly #rpc: Rpc;
  readonly #outermost: TracedCall;
  #listener: Listener | undefined;

  constructor(next: ServerInterceptingCallInterface, rpc: Rpc, outermost: TracedCall) {
    super(next);
    this.#next = next;
    this.#rpc = rpc;
    this.#outermost = outermost;
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    this.#guard(() => {
      this.#next.start(this);
    });
  }

  override startRead(): void {
    this.#guard(() => {
      this.#next.startRead();
    });
  }

  override sendMetadata(metadata: Metadata): void {
    this.#guard(() => {
      this.#next.sendMetadata(metadata);
    });
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#guard(() => {
      this.#next.sendMessage(message, callback);
    });
  }

  override sendStatus(status: Parameters<ServerInterceptingCallInterface['sendStatus']>[0]): void {
    this.#guard(() => {
      this.#next.sendStatus(status);
    });
  }

  onReceiveMetadata(metadata: Metadata): void {
    bindRpc(metadata, this.#rpc);
    this.#guard(() => this.#listener?.onReceiveMetadata(metadata));
  }

  onReceiveMessage(message: unknown): void {
    this.#guard(() => this.#listener?.onReceiveMessage(message));
  }

  onReceiveHalfClose(): void {
    this.#guard(() => this.#listener?.onReceiveHalfClose());
  }

  onCancel(): void {
    this.#guard(() => this.#listener?.onCancel());
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (thrown) {
      this.#outermost.end(thrown);
    }
  }
}
