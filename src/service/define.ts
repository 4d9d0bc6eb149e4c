import type {
  Descriptor,
  MethodOutputSpec,
  OutputSpec,
  StreamDescriptor,
  TensorFields,
  ValueSpec,
} from '../descriptor/descriptor.js';
import type { Tensor } from '../tensor/index.js';
import type { GrpcExtension, HttpExtension, MountOptions } from './extensions.js';

// What a user writes: plain data with functions in it. Nothing here starts, loads or listens.
// The two halves of `methods` and of `apis` below are one object to the user; TypeScript infers the input types from
// the first half and, with them at hand, the types of the functions in the second.

/** How the calls of a method are gathered into batches. Rows are counted, not requests. */
export interface BatchOptions {
  /**
   * Target for the time in the queue and in the model together, in ms: a batch never waits for more rows where that would
   * break it, and a call that could only be answered later is refused at once with QUEUE_FULL. Default: none.
   */
  readonly maxLatencyMs?: number;
  /** Rows that one run of the model takes at most. Default 64. */
  readonly maxSize?: number;
  /** Rows that may wait; a call beyond is refused with QUEUE_FULL. Default 16 times `maxSize`. */
  readonly maxQueueSize?: number;
}

/** Which calls go first: `high` before `normal` before `low`; those that have waited long go before all. */
export type Priority = 'high' | 'normal' | 'low';

export interface CallOptions {
  /** Default `normal`. */
  readonly priority?: Priority;
}

/** What a model learns about the run beside its input. */
export interface RunContext<Runners = AnyRunners> {
  /** Aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal;
  /** Ids of the requests whose rows are in this run. */
  readonly requestIds: readonly string[];
  /** The runners that this one names in `runners`; deadline and cancellation of the run travel along. */
  readonly runners: Runners;
}

/** What `load` learns about the place where the model will run. */
export interface LoadContext {
  /** Number of the worker process, from 0. */
  readonly worker: number;
  /** Number of the compute thread in its worker, from 0. */
  readonly thread: number;
  /** CPUs that the arithmetic of this thread should use, at least 1: `intraOpNumThreads` and the like. */
  readonly cpus: number;
  /** The device of this worker, from `resources.devices`. */
  readonly device: string | undefined;
}

/** What each worker of a runner gets of the machine. */
export interface ResourceOptions {
  /** CPUs for one compute thread; sets OMP_NUM_THREADS and MKL_NUM_THREADS. Default: the granted CPUs shared out, at least 1. */
  readonly cpus?: number;
  /** Worker i gets device i, counted round, as CUDA_VISIBLE_DEVICES. Default: what the environment says. */
  readonly devices?: readonly string[];
  /** True: each worker runs on CPUs of its own, by `taskset`. Default false. */
  readonly pinned?: boolean;
  /** More variables for the environment of the workers. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface MethodOptions {
  /** Without it every call is a run of its own. Tensors are joined along axis 0; JSON values become a list, a row each. */
  readonly batch?: BatchOptions;
  /** Runs that one compute thread works on at a time, for models that wait for something else. Default 1. */
  readonly concurrency?: number;
  /** True (default where `batch` is given): a call may be repeated on another worker when its runner dies. */
  readonly idempotent?: boolean;
}

/** A method with its types erased, as the runner tier sees it. */
export interface MethodDefinition extends MethodOptions {
  readonly input: Descriptor<unknown, ValueSpec>;
  readonly output: Descriptor<unknown, MethodOutputSpec>;
  readonly run: (model: unknown, input: unknown, context: RunContext) => unknown;
}

/** A runner with its types erased; `In` and `Out` map method names to value types. */
export interface RunnerDefinition<Name extends string = string, In = unknown, Out = unknown> {
  readonly name: Name;
  readonly load: (context: LoadContext) => unknown;
  readonly warmup?: (model: unknown) => unknown;
  readonly workers?: number;
  readonly threads?: number;
  readonly placement?: 'process' | 'embedded';
  readonly resources?: ResourceOptions;
  readonly runners?: readonly RunnerDefinition[];
  /** Set where the runner is one version of a model: what the Open Inference Protocol calls it. */
  readonly model?: { readonly name: string; readonly version: string; readonly isDefault: boolean };
  readonly methods: Readonly<Record<string, MethodDefinition>>;
  /** For types only; never set. */
  readonly '~types'?: { readonly input: In; readonly output: Out };
}

/** What a handler learns beside its input. */
export interface HandlerContext<Runners = AnyRunners> {
  /** `runners.digits.predict(tensor)`: deadline, cancellation and request id of this request travel along. */
  readonly runners: Runners;
  /** Aborted when the client has gone or the deadline has passed. */
  readonly signal: AbortSignal;
  readonly requestId: string;
}

/** A promise, or for a method that streams an async iterable. */
export type AnyRunners = Readonly<
  Record<string, Readonly<Record<string, (input: unknown, options?: CallOptions) => unknown>>>
>;

export interface ApiOptions {
  /** Path of the HTTP route; default `/<name>`. */
  readonly route?: string;
  /** A sentence for `/docs.json`. */
  readonly doc?: string;
  /** A valid input as JSON, for the documentation and the curl line at start. */
  readonly example?: unknown;
}

/** An API with its types erased. */
export interface ApiDefinition extends ApiOptions {
  readonly input: Descriptor;
  readonly output: Descriptor<unknown, OutputSpec>;
  readonly handler: (input: unknown, context: HandlerContext) => unknown;
}

/** A service; `In` and `Out` map API names to value types and feed the typed client. */
export interface ServiceDefinition<In = unknown, Out = unknown> {
  readonly name: string;
  readonly version?: string;
  /** Those that the APIs call; the runners that these call need not be named. */
  readonly runners: readonly RunnerDefinition[];
  readonly apis: Readonly<Record<string, ApiDefinition>>;
  readonly http?: HttpExtension;
  readonly grpc?: GrpcExtension;
  readonly mounts?: Readonly<Record<string, MountOptions>>;
  /** For types only; never set. */
  readonly '~types'?: { readonly input: In; readonly output: Out };
}

// `any` is the one bound that accepts every RunnerDefinition<Name, In, Out> without changing what is inferred.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type AnyRunnerDefinition = RunnerDefinition<string, any, any>;

/** `{ digits: { predict(input: Tensor<'float32'>): Promise<Tensor<'float32'>> } }` from the runner definitions. */
export type RunnersOf<List extends readonly AnyRunnerDefinition[]> = {
  readonly [R in List[number] as R['name']]: R extends RunnerDefinition<string, infer In, infer Out>
    ? { readonly [M in keyof In & keyof Out]: (input: In[M], options?: CallOptions) => Returned<Out[M]> }
    : never;
};

/** A stream is there at once and fails while it is read; everything else is a promise. */
type Returned<T> = [T] extends [AsyncIterable<unknown>] ? T : Promise<T>;

const SERVICE = Symbol.for('jubako.service');

type MaybePromise<T> = T | Promise<T>;

/** What a run sees of a value: in a batch of JSON values a list of them, tensors are joined and stay tensors. */
type Batched<T, Batch> = unknown extends Batch ? T : T extends Tensor | TensorFields ? T : readonly T[];

/** Declares a runner: a model and the methods that run on it, in processes of their own. */
export function defineRunner<
  const Name extends string,
  Model,
  In,
  Out,
  Batch,
  const List extends readonly AnyRunnerDefinition[] = readonly [],
>(definition: {
  readonly name: Name;
  /** In each compute thread: opens the model and returns it. */
  readonly load: (context: LoadContext) => Model | Promise<Model>;
  /** Called once after `load`, before the worker counts as ready. Default: none. */
  readonly warmup?: (model: Model) => unknown;
  /** Worker processes; the setting `runnerWorkers` wins over it. Default 1. */
  readonly workers?: number;
  /** Compute threads of each worker, each with a model of its own. Default 1. */
  readonly threads?: number;
  /** `embedded`: no process of its own, but a compute thread in every API worker. Default `process`. */
  readonly placement?: 'process' | 'embedded';
  readonly resources?: ResourceOptions;
  /** Runners that the methods call by `context.runners`. */
  readonly runners?: List;
  readonly methods: { readonly [K in keyof In]: MethodOptions & { readonly input: Descriptor<In[K], ValueSpec> } } & {
    readonly [K in keyof Batch]: { readonly batch?: Batch[K] };
  } & {
    readonly [K in keyof Out]: {
      readonly output:
        Descriptor<Out[K], ValueSpec> | (Descriptor<Out[K], MethodOutputSpec> & StreamDescriptor<unknown, ValueSpec>);
      /**
       * With `batch`: tensors joined along axis 0, or a list of JSON values; as many rows must come back. The input is the
       * run's own until its promise settles, then its memory is used again: copy what you keep.
       */
      readonly run: (
        model: Model,
        input: K extends keyof In & keyof Batch ? Batched<In[K], Batch[K]> : never,
        context: RunContext<RunnersOf<List>>,
      ) => MaybePromise<K extends keyof Batch ? Batched<NoInfer<Out[K]>, NoInfer<Batch[K]>> : never>;
    };
  };
}): RunnerDefinition<Name, In, Out> {
  return definition as unknown as RunnerDefinition<Name, In, Out>;
}

/** Declares the service: the APIs that HTTP and gRPC offer, and the runners that they may call. */
export function defineService<const List extends readonly AnyRunnerDefinition[], In, Out>(definition: {
  readonly name: string;
  readonly version?: string;
  readonly runners?: List;
  /** Fastify plugins: routes and hooks of your own beside the APIs. */
  readonly http?: HttpExtension<RunnersOf<List>>;
  /** gRPC services and interceptors of your own beside the APIs. */
  readonly grpc?: GrpcExtension<RunnersOf<List>>;
  /** Path → a foreign HTTP application, in any language, that answers below it. */
  readonly mounts?: Readonly<Record<string, MountOptions>>;
  readonly apis: { readonly [K in keyof In]: ApiOptions & { readonly input: Descriptor<In[K]> } } & {
    readonly [K in keyof Out]: {
      readonly output: Descriptor<Out[K]> | (Descriptor<Out[K], OutputSpec> & StreamDescriptor);
      /** With a stream as output an async generator: it goes on only as fast as the client reads, and ends when the client goes. */
      readonly handler: (
        input: K extends keyof In ? In[K] : never,
        context: HandlerContext<RunnersOf<List>>,
      ) => MaybePromise<NoInfer<Out[K]>>;
    };
  };
}): ServiceDefinition<In, Out> {
  const service = { runners: [], ...definition, [SERVICE]: true };
  return service as unknown as ServiceDefinition<In, Out>;
}

/** True for what `defineService` made, also when it came from another copy of this package. */
export function isServiceDefinition(value: unknown): value is ServiceDefinition {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[SERVICE] === true;
}
