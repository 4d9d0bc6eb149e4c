import type { handleUnaryCall } from '@grpc/grpc-js';
import { rpcOf, type Refuse, type Rpc } from './rpc-life.js';

// The only bridge from work to grpc-js: answer, or status; nothing thrown gets past it.

export { rpcOf, Rpc, type Refuse } from './rpc-life.js';
export { bidirectional, serverStreaming } from './streaming.js';

/** What answers one unary RPC: plain where it is known at once, a promise where it is not. Throws JubakoErrors. */
export type UnaryWork<Request, Response> = (request: Request, rpc: Rpc) => Response | Promise<Response>;

export function unary<Request, Response>(
  work: UnaryWork<Request, Response>,
  refuse: Refuse,
): handleUnaryCall<Request, Response> {
  return (call, respond) => {
    const rpc = rpcOf(call);
    const answer = (response: Response): void => {
      respond(null, response);
    };
    const fail = (thrown: unknown): void => {
      if (!rpc.isAnswered) respond(refuse(thrown, rpc));
    };
    try {
      const result = work(call.request, rpc);
      if (result instanceof Promise) result.then(answer, fail);
      else answer(result);
    } catch (thrown) {
      fail(thrown);
    }
  };
}
