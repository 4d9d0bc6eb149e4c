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
  readonly workers: number;
  readonly methods: readonly MethodManifest[];
}

export interface MethodManifest {
  readonly name: string;
  readonly input: DescriptorSpec;
  readonly output: DescriptorSpec;
  /** Null: every call is a run of its own. Sizes in rows. */
  readonly batch: { readonly maxSize: number; readonly maxQueueSize: number } | null;
  readonly idempotent: boolean;
}

/** A descriptor as data: in the manifest, in `/docs.json`, in the hello of the runner link. */
export type DescriptorSpec = JsonSpec | TensorSpec | TensorsSpec;

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
}

/** Several named tensors at once; their rows (axis 0) agree. */
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
