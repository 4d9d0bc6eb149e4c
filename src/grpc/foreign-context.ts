import type { CancelTarget } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { HandlerContext } from '../service/define.js';
import type { GrpcServiceContext } from '../service/extensions.js';
import type { Invoker } from '../service/invoke.js';
import { rpcOf, type Rpc } from './rpc-life.js';

/** What the user's own services get of a call: the same as handlers of APIs, as long as the call lasts. */
export function createForeignContext(invoker: Invoker): GrpcServiceContext {
  return {
    contextOf(call) {
      const rpc = rpcOf(call);
      rpc.handlerContext ??= open(rpc, invoker);
      return rpc.handlerContext;
    },
  };
}

/** Ends with the call; and where its limits end it first, the call is answered with that. */
function open(rpc: Rpc, invoker: Invoker): HandlerContext {
  if (rpc.isOver) throw new JubakoError('CLIENT_GONE', `Cannot work for ${rpc.route}: the call is over`);
  const opened = invoker.open(rpc, rpc.isStreaming);
  const limits: CancelTarget = {
    onCancel: (reason) => rpc.call?.end(reason),
  };
  rpc.cancellation.add(limits);
  rpc.onOver = (): void => {
    rpc.cancellation.remove(limits);
    opened.end();
  };
  return opened.context;
}
