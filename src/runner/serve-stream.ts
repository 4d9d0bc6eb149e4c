import type { ServedCall } from '../link/incoming-call.js';
import { encodeSlices, sliceResult } from './assemble-batch.js';
import type { Lane, LaneJob } from '../compute/lane.js';

/** Runs a method that streams: its items go to the caller, whose credit is what the model may give. */
export function serveStream(
  lane: Lane,
  job: LaneJob,
  served: ServedCall,
): { readonly done: Promise<{ readonly computeMs: number }>; readonly abort: () => void } {
  const running = lane.stream(job, (item) => {
    served.sendItem(encodeSlices([sliceResult(item, 0, 1, false)]));
  });
  served.onCredit = (count): void => {
    running.pull(count);
  };
  if (served.credit > 0) running.pull(served.credit);
  return {
    done: running.done,
    abort: () => {
      running.abort();
    },
  };
}
