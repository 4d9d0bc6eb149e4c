import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { Cancellation } from '../cancellation.js';
import { JubakoError } from '../errors.js';
import type { MethodDefinition, RunContext, RunnerDefinition } from '../service/define.js';
import { loadService } from '../service/load-service.js';
import type { TensorFields } from '../service/descriptor.js';
import { Tensor, copyData, isNumericTensor } from '../tensor/index.js';
import type { FromThread, ThreadBoot, ThreadPayload, ThreadResult, ToThread, WireTensor } from './thread-messages.js';

// The thread that the model runs in. It may block for as long as a run takes; the main thread goes on reading.
// H1 Every `run` is answered by exactly one `done` or `failed`, whatever the user's code throws.

type RunMessage = Extract<ToThread, { readonly type: 'run' }>;

if (parentPort === null) throw new TypeError('compute-thread.js is started as a worker thread only');
await serve(parentPort, workerData as ThreadBoot);

async function serve(port: MessagePort, boot: ThreadBoot): Promise<void> {
  const post = (message: FromThread, transfer: readonly ArrayBuffer[] = []): void => {
    port.postMessage(message, [...transfer]);
  };
  process.setSourceMapsEnabled(true); // stacks of the user's code name the user's lines
  let runner: RunnerDefinition;
  let model: unknown;
  try {
    const service = await loadService(boot.entry);
    const found = service.runners.find(({ name }) => name === boot.runner);
    if (found === undefined)
      throw new JubakoError('SERVICE_INVALID', `Cannot find the runner "${boot.runner}" in the service`);
    runner = found;
    model = await runner.load({ worker: 0, thread: 0, cpus: 1, device: undefined });
    await runner.warmup?.(model);
  } catch (thrown) {
    const { message, stack } = thrown instanceof Error ? thrown : new Error(String(thrown));
    const code = thrown instanceof JubakoError ? thrown.code : 'SERVICE_INVALID';
    const said = thrown instanceof JubakoError ? message : `Cannot load the runner "${boot.runner}": ${message}`;
    post({ type: 'loadFailed', error: { code, message: said, details: { stack } } });
    return;
  }

  const running = new Map<number, Cancellation>();
  port.on('message', (message: ToThread) => {
    if (message.type === 'abort') {
      running.get(message.jobId)?.cancel(new JubakoError('CLIENT_GONE', 'Nobody waits for this batch any more'));
      return;
    }
    const cancellation = new Cancellation();
    running.set(message.jobId, cancellation);
    void runJob(runner, model, message, cancellation, post).finally(() => running.delete(message.jobId));
  });
  post({ type: 'ready' });
}

/** The signal is made when the model asks for it: most never do. */
class ContextOfRun implements RunContext {
  readonly runners = {};
  readonly requestIds: readonly string[];
  readonly #cancellation: Cancellation;

  constructor(cancellation: Cancellation, requestIds: readonly string[]) {
    this.requestIds = requestIds;
    this.#cancellation = cancellation;
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal;
  }
}

async function runJob(
  runner: RunnerDefinition,
  model: unknown,
  job: RunMessage,
  cancellation: Cancellation,
  post: (message: FromThread, transfer?: readonly ArrayBuffer[]) => void,
): Promise<void> {
  const startedAtMs = performance.now();
  const label = `${runner.name}.${job.method}`;
  try {
    const method = runner.methods[job.method];
    if (method === undefined) throw new JubakoError('NOT_FOUND', `Cannot find the method "${label}"`);
    const input = readPayload(job.payload);
    const output = await method.run(model, input, new ContextOfRun(cancellation, job.requestIds));
    const result = writeResult(method, output, job.rows, label);
    const transfer =
      result.kind === 'tensors' ? result.tensors.flatMap(buffersOf) : [result.text.buffer as ArrayBuffer];
    post({ type: 'done', jobId: job.jobId, result, computeMs: performance.now() - startedAtMs }, transfer);
  } catch (thrown) {
    const error = JubakoError.from(thrown, 'USER_CODE');
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    post({
      type: 'failed',
      jobId: job.jobId,
      error: error.toBody(),
      stack,
      computeMs: performance.now() - startedAtMs,
    });
  }
}

function readPayload(payload: ThreadPayload): unknown {
  if (payload.kind === 'json')
    return JSON.parse(Buffer.from(payload.text.buffer, payload.text.byteOffset, payload.text.byteLength).toString());
  const [first] = payload.tensors;
  if (first?.name === '') return toTensor(first);
  return Object.fromEntries(payload.tensors.map((wire) => [wire.name, toTensor(wire)]));
}

function toTensor(wire: WireTensor): Tensor {
  return new Tensor(wire.dtype, wire.shape, wire.data as never);
}

/** Checks what the model gave and copies it into buffers of its own, since the model may go on using its own. */
function writeResult(method: MethodDefinition, output: unknown, rows: number, label: string): ThreadResult {
  if (method.output.spec.kind === 'json') return writeJson(method, output, rows, label);
  const checked = checkOutput(method, output, label) as Tensor | TensorFields;
  const named: readonly (readonly [string, Tensor])[] =
    checked instanceof Tensor ? [['', checked]] : Object.entries(checked);
  const tensors = named.map(([name, tensor]): WireTensor => {
    if (method.batch !== undefined && tensor.rows !== rows) {
      throw new JubakoError(
        'USER_CODE',
        `${label} gave ${tensor.rows} rows${name === '' ? '' : ` of "${name}"`} for a batch of ${rows}`,
      );
    }
    const data = isNumericTensor(tensor) ? copyData(tensor) : [...(tensor.data as readonly string[])];
    return { name, dtype: tensor.dtype, shape: tensor.shape, data };
  });
  return { kind: 'tensors', tensors };
}

function writeJson(method: MethodDefinition, output: unknown, rows: number, label: string): ThreadResult {
  const items: readonly unknown[] = method.batch === undefined ? [output] : checkList(output, rows, label);
  let text = '';
  const lengths: number[] = [];
  for (const item of items) {
    const json = JSON.stringify(method.output.toJson(checkOutput(method, item, label)));
    lengths.push(Buffer.byteLength(json));
    text += json;
  }
  let end = 0;
  const ends = lengths.map((length) => (end += length));
  const bytes = new Uint8Array(end); // not from Buffer's pool: it is transferred
  new TextEncoder().encodeInto(text, bytes);
  return { kind: 'json', text: bytes, ends };
}

function checkList(output: unknown, rows: number, label: string): readonly unknown[] {
  if (Array.isArray(output) && output.length === rows) return output;
  const given = Array.isArray(output) ? `a list of ${output.length}` : `a ${typeof output}`;
  throw new JubakoError(
    'USER_CODE',
    `${label} gave ${given} for a batch of ${rows}: wanted a list with one value per row`,
  );
}

function checkOutput(method: MethodDefinition, value: unknown, label: string): unknown {
  try {
    return method.output.check(value);
  } catch (thrown) {
    throw new JubakoError(
      'USER_CODE',
      `${label} gave an output that does not fit its descriptor: ${JubakoError.from(thrown).message}`,
      { cause: thrown },
    );
  }
}

function buffersOf(wire: WireTensor): readonly ArrayBuffer[] {
  return ArrayBuffer.isView(wire.data) ? [wire.data.buffer as ArrayBuffer] : [];
}
