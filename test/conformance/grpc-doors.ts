import type { Client, Metadata } from '@grpc/grpc-js';
import { readElements, writeElements } from './elements.js';
import { outputOf, type AskOptions, type DoorForm, type Target, type Told } from './door.js';
import type { Element, Given, ModelTensor } from './forms.js';
import { callStream, type GrpcClients, type StreamedCall } from './grpc-clients.js';
import type { Message } from './protobuf-values.js';

// BentoML's Call, with Jubako's CallStream for what streams; ModelInfer, with ModelStreamInfer for what streams, with typed
// and with raw contents.

export function grpcDoors(clients: GrpcClients): readonly DoorForm[] {
  return [
    { name: 'Bento Call', leadsTo: () => true, ask: (...asked) => callBento(clients, ...asked) },
    {
      name: 'OIP typed',
      leadsTo: ({ model }, given) => model !== undefined && (tensorsOf(given)?.every(isTyped) ?? false),
      ask: (...asked) => infer(clients, 'typed', ...asked),
    },
    {
      name: 'OIP raw',
      leadsTo: ({ model }, given) => model !== undefined && tensorsOf(given) !== undefined,
      ask: (...asked) => infer(clients, 'raw', ...asked),
    },
  ];
}

function tensorsOf({ form, value }: Given): readonly ModelTensor[] | undefined {
  return form.model?.toTensors(value);
}

async function callBento(clients: GrpcClients, target: Target, given: Given, options: AskOptions): Promise<Told> {
  const request = { api_name: target.api, ...given.form.toContent(given.value) };
  const output = outputOf(target, given);
  if (target.isStream !== true) {
    const told = await clients.bentoCall(request, options);
    return told.code === 'ok' ? { ...told, value: await output.sameOfContent(told.value as Message) } : told;
  }
  const told = await callStream(
    (metadata, callOptions) => method(clients.jubako, 'CallStream')(request, metadata, callOptions),
    options,
  );
  return { ...told, value: await Promise.all((told.value as Message[]).map((one) => output.sameOfContent(one))) };
}

type Method = (...args: readonly unknown[]) => StreamedCall;

function method(client: Client, name: string): Method {
  return ((client as unknown as Readonly<Record<string, Method>>)[name] as Method).bind(client);
}

type Contents = 'typed' | 'raw';

async function infer(
  clients: GrpcClients,
  contents: Contents,
  target: Target,
  given: Given,
  options: AskOptions,
): Promise<Told> {
  const request = { model_name: target.model, ...toInputs(contents, tensorsOf(given) ?? []) };
  const sameOf = (response: Message): unknown => outputOf(target, given).model?.sameOfTensors(toTensors(response));
  if (target.isStream !== true) {
    const told = await clients.infer(request, options);
    return told.code === 'ok' ? { ...told, value: await sameOf(told.value as Message) } : told;
  }
  const told = await callStream((metadata: Metadata, callOptions) => {
    const call = method(clients.inference, 'ModelStreamInfer')(metadata, callOptions);
    call.write(request);
    call.end();
    return call;
  }, options);
  const answers = told.value as readonly StreamedAnswer[];
  const failure = answers.find((one) => isFailure(one))?.error_message;
  const values = answers.filter((one) => !isFailure(one));
  const value = await Promise.all(values.map((one) => sameOf(one.infer_response)));
  if (failure === undefined) return { ...told, value };
  return { ...told, code: failure.slice(0, failure.indexOf(':')), message: failure, value };
}

interface StreamedAnswer {
  readonly error_message?: string;
  readonly infer_response: Message;
}

function isFailure({ error_message: text = '' }: StreamedAnswer): boolean {
  return text !== '';
}

/** The field of InferTensorContents for each datatype; FP16 and BF16 have none. */
const LISTS: Readonly<Record<string, string>> = {
  BOOL: 'bool_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

function isTyped({ datatype }: ModelTensor): boolean {
  return LISTS[datatype] !== undefined;
}

function toInputs(contents: Contents, tensors: readonly ModelTensor[]): Message {
  const inputs = tensors.map(({ name, datatype, shape, elements }) => ({
    name,
    datatype,
    shape,
    ...(contents === 'typed' && { contents: { [LISTS[datatype] as string]: elements.map(toWire) } }),
  }));
  if (contents === 'typed') return { inputs };
  return { inputs, raw_input_contents: tensors.map(({ datatype, elements }) => writeElements(datatype, elements)) };
}

function toWire(element: Element): unknown {
  if (typeof element === 'bigint') return String(element);
  return typeof element === 'string' ? Buffer.from(element) : element;
}

interface InferOutput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly string[];
  readonly contents?: Readonly<Record<string, readonly unknown[]>>;
}

function toTensors(response: Message): readonly ModelTensor[] {
  const outputs = (response['outputs'] ?? []) as readonly InferOutput[];
  const raw = response['raw_output_contents'] as readonly Buffer[] | undefined;
  return outputs.map(({ name, datatype, shape, contents }, i) => {
    const typed = (contents?.[LISTS[datatype] ?? ''] ?? []).map((one) => fromWire(datatype, one));
    const elements = raw === undefined ? typed : readElements(datatype, raw[i] as Buffer);
    return { name, datatype, shape: shape.map(Number), elements };
  });
}

function fromWire(datatype: string, element: unknown): Element {
  if (datatype === 'INT64' || datatype === 'UINT64') return BigInt(element as string);
  return element instanceof Uint8Array ? element.toString() : (element as Element);
}
