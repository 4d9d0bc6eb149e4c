import { JubakoError } from '../errors.js';
import type { MethodManifest } from '../service/manifest.js';
import type { Refusal, RefusalCause } from '../batching/batch-planner.js';

/** Why a call is not taken, in words. */
export function refusalError(refusal: Refusal, method: MethodManifest, rows: number, queuedRows: number): JubakoError {
  const { cause, waitMs } = refusal;
  const what = `${rows} ${rows === 1 ? 'row' : 'rows'} of "${method.name}"`;
  const about = waitMs === undefined ? '' : `, about ${Math.ceil(waitMs)} ms of work`;
  switch (cause) {
    case 'full':
      return new JubakoError('QUEUE_FULL', `Cannot queue ${what}: ${queuedRows} rows wait already${about}`);
    case 'late':
      return new JubakoError(
        'QUEUE_FULL',
        `Cannot answer ${what} in time: ${queuedRows} rows wait already${about}, maxLatencyMs is ${method.batch?.maxLatencyMs ?? 0}`,
      );
    case 'deadline':
      return new JubakoError(
        'DEADLINE_EXCEEDED',
        `Cannot answer ${what} before its deadline: ${queuedRows} rows wait already${about}`,
      );
    default:
      return cause satisfies never;
  }
}

/** Why a call that had been taken is given up before it ran. */
export function tooLateError(cause: RefusalCause, method: MethodManifest): JubakoError {
  if (cause === 'deadline')
    return new JubakoError(
      'DEADLINE_EXCEEDED',
      `Cannot run "${method.name}": the deadline of the call passed in the queue, or is too near for a run`,
    );
  return new JubakoError(
    'QUEUE_FULL',
    `Cannot answer "${method.name}" within its maxLatencyMs of ${method.batch?.maxLatencyMs ?? 0}: it would keep calls waiting that can still be in time`,
  );
}
