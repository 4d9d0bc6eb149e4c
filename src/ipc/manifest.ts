import type { Dtype } from '../tensor/dtype.js';

// The service as data: what the describer tells the primary, and what the protocol rooms and the link speak about.

/** What the describer tells the primary about a service: data only, no code. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly apis: readonly ApiManifest[];
  readonly runners: readonly RunnerManifest[];
}

export interface ApiManifest {
  readonly name: string;
  /** HTTP path, starts with `/`. */
  readonly route: string;
  readonly input: DescriptorSpec;
  readonly output: DescriptorSpec;
  readonly doc?: string;
  readonly example?: unknown;
}

export interface RunnerManifest {
  readonly name: string;
  /** Worker processes; with `embedded` placement none of its own. */
  readonly workers: number;
  /** Compute threads of each worker; each loads the model. */
  readonly threads: number;
  /** `process`: worker processes of its own; `embedded`: compute threads in every API worker. */
  readonly placement: 'process' | 'embedded';
  readonly resources: RunnerResources;
  /** Names of the runners that its methods call. */
  readonly runners: readonly string[];
  /** Set where the runner is one version of a model of the Open Inference Protocol; else its name and its methods are the models. */
  readonly model: ModelVersion | null;
  readonly methods: readonly MethodManifest[];
}

/** What each worker of a runner gets of the machine. */
export interface RunnerResources {
  /** CPUs for the arithmetic of one compute thread; null: the granted CPUs shared out. */
  readonly cpus: number | null;
  /** Worker i sees device i, counted round: `CUDA_VISIBLE_DEVICES`. Empty: what the environment says. */
  readonly devices: readonly string[];
  /** True: every worker runs on CPUs of its own. */
  readonly pinned: boolean;
  readonly env: Readonly<Record<string, string>>;
}

export interface ModelVersion {
  readonly name: string;
  readonly version: string;
  /** True: a request that names no version means this one. */
  readonly isDefault: boolean;
}

export interface MethodManifest {
  readonly name: string;
  readonly input: DescriptorSpec;
  readonly output: OutputSpec;
  /** Null: every call is a run of its own. */
  readonly batch: BatchManifest | null;
  /** Runs that one compute thread works on at a time. */
  readonly concurrency: number;
  readonly idempotent: boolean;
}

/** Sizes in rows. */
export interface BatchManifest {
  readonly maxSize: number;
  readonly maxQueueSize: number;
  /** Target for queue and compute together, in ms; null: none. */
  readonly maxLatencyMs: number | null;
}

/** A descriptor as data: in the manifest, in `/docs.json`, in the hello of the runner link. */
export type DescriptorSpec = JsonSpec | TensorSpec | TensorsSpec;

/** What a runner's method may give: a value, or values one after another. */
export type OutputSpec = DescriptorSpec | StreamSpec;

export interface StreamSpec {
  readonly kind: 'stream';
  readonly of: DescriptorSpec;
}

export interface JsonSpec {
  readonly kind: 'json';
  /** JSON Schema; `{}` allows anything. */
  readonly schema: JsonSchema;
}

export interface TensorSpec {
  readonly kind: 'tensor';
  readonly dtype: Dtype;
  /** -1 stands for any size; axis 0 is the batch axis. */
  readonly shape: readonly number[];
  readonly allowNonFinite: boolean;
  /** What the Open Inference Protocol calls it where it is the only input or output; else `input` or `output`. */
  readonly name?: string;
}

/** Several named tensors at once; in a method with batches their rows (axis 0) agree. */
export interface TensorsSpec {
  readonly kind: 'tensors';
  readonly fields: Readonly<Record<string, TensorSpec>>;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Where a service is imported from: a file URL that plain Node can import, and the export that holds the service. */
export interface EntryPoint {
  readonly url: string;
  readonly exportName: string;
  /** Source files that the service was made from, for watching and for telling whether it changed. */
  readonly sources: readonly string[];
}
