// Entry of every process that the primary forks: says who it is by `JUBAKO_WORKER`, gets all else by its first message.
import { connectToPrimary } from './ipc/channel.js';
import type { WorkerIdentity } from './ipc/worker-boot.js';
import { hostWorker } from './worker/host-worker.js';
import { ignoreSignals } from './worker/lifecycle.js';

const identity = JSON.parse(process.env['JUBAKO_WORKER'] ?? 'null') as WorkerIdentity | null;
if (identity === null) throw new TypeError('worker.js is started by the primary only');

ignoreSignals();
const channel = connectToPrimary();
switch (identity.role) {
  case 'describer':
    (await import('./worker/describer.js')).runDescriber(channel);
    break;
  case 'runner':
    hostWorker(identity, channel, (await import('./worker/runner-worker.js')).startRunnerWorker);
    break;
  case 'http':
  case 'grpc':
    hostWorker(identity, channel, (await import('./worker/api-worker.js')).startApiWorker);
    break;
  default:
    identity.role satisfies never;
}
