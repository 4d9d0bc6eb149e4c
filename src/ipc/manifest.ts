import type { Dtype } from '../tensor/dtype.js';

// The service as data: what the describer tells the primary, and what the protocol rooms and the link speak about.

/** What the describer tells the primary about a service: data only, no code. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly apis: readonly ApiManifest[];
  readonly runners: readonly RunnerManifest[];
  /** Foreign HTTP applications under paths of the service. */
  readonly mounts: readonly MountManifest[];
  /** Versions of models that the repository has and that could not be described; empty for a service. */
  readonly unavailable: readonly UnavailableModel[];
}

/** A version of a model that isn't served, and why, for people. */
export interface UnavailableModel {
  readonly name: string;
  /** Empty: the model as a whole. */
  readonly version: string;
  readonly reason: string;
}

/** A foreign HTTP application: where it answers, or how it is started. */
export interface MountManifest {
  /** Starts with `/`, ends without one; requests below it go to the application. */
  readonly path: string;
  /** `http://host:port`, or null: `command` says how it is started. */
  readonly upstream: string | null;
  readonly command: MountCommand | null;
  /** True: the application sees its paths without `path`. */
  readonly stripPath: boolean;
}

export interface MountCommand {
  /** Program and arguments; `{port}` in them stands for the port that it shall listen on, as PORT in its environment does. */
  readonly argv: readonly string[];
  /** Relative to the working folder of the server. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Path that it answers below 500 once it is ready; null: ready when its port takes connections. */
  readonly readyPath: string | null;
}

export interface ApiManifest {
  readonly name: string;
  /** HTTP path, starts with `/`. */
  readonly route: string;
  readonly input: DescriptorSpec;
  readonly output: OutputSpec;
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
  readonly input: ValueSpec;
  readonly output: MethodOutputSpec;
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

// Descriptors as data: in the manifest, in `/docs.json`, in the hello of the runner link.

/** What runners take and give: these cross the link. */
export type ValueSpec = JsonSpec | TensorSpec | TensorsSpec;

/** What APIs take and give besides: values that have a media type of their own. */
export type MediaSpec = TextSpec | BytesSpec | FileSpec | ImageSpec | TableSpec;

/** What stands alone, or as one part of a multipart. */
export type PartSpec = ValueSpec | MediaSpec;

export type DescriptorSpec = PartSpec | MultipartSpec;

/** What streams are made of. */
export type ItemSpec = ValueSpec | TextSpec | BytesSpec;

/** What a runner's method may give: a value, or values one after another. */
export type MethodOutputSpec = ValueSpec | StreamSpec<ValueSpec>;

/** The same for an API. */
export type OutputSpec = DescriptorSpec | StreamSpec;

export interface StreamSpec<Of extends ItemSpec = ItemSpec> {
  readonly kind: 'stream';
  readonly of: Of;
}

export interface TextSpec {
  readonly kind: 'text';
  readonly mediaType: string;
  /** In UTF-16 units, as JavaScript counts; null: only the limit of the body. */
  readonly maxLength: number | null;
}

export interface BytesSpec {
  readonly kind: 'bytes';
  /** Of answers; requests may have any. */
  readonly mediaType: string;
  readonly maxBytes: number | null;
}

export interface FileSpec {
  readonly kind: 'file';
  /** `application/pdf`, `audio/*`; empty: any. */
  readonly mediaTypes: readonly string[];
  readonly maxBytes: number | null;
}

/** Decoded, a uint8 tensor of shape [height, width, channels]. */
export interface ImageSpec {
  readonly kind: 'image';
  /** 1: grey, 3: RGB, 4: RGB and alpha. */
  readonly channels: 1 | 3 | 4;
  /** Media types that are read. */
  readonly mediaTypes: readonly string[];
  /** Media type that is written where the client has no wish. */
  readonly mediaType: string;
  /** Width times height; more is refused before it is decoded. */
  readonly maxPixels: number;
}

export interface TableSpec {
  readonly kind: 'table';
  /** Column name → type, in the order that is written; null: whatever the data has. */
  readonly columns: Readonly<Record<string, ColumnType>> | null;
  readonly maxRows: number | null;
}

export type ColumnType = 'string' | 'bool' | 'int32' | 'int64' | 'float32' | 'float64';

/** Named parts of different kinds. */
export interface MultipartSpec {
  readonly kind: 'multipart';
  readonly fields: Readonly<Record<string, PartSpec>>;
  /** Names of fields that may be missing. */
  readonly optional: readonly string[];
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
