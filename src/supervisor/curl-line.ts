import type { ApiManifest, DescriptorSpec, Manifest, TensorSpec } from '../ipc/manifest.js';
import { DTYPES, type Dtype } from '../tensor/dtype.js';

/** Above this an example would fill the terminal; a tensor is then sent as bytes. */
const MAX_ELEMENTS = 256;

/** A line that can be pasted into a shell and calls the first API of the service; undefined without an API. */
export function curlLine(manifest: Manifest, url: string): string | undefined {
  const [api] = manifest.apis;
  if (api === undefined) return undefined;
  const curl = `curl ${url.startsWith('https:') ? '-k ' : ''}${url}${api.route}`;
  const { input } = api;
  const binary = api.example === undefined && input.kind === 'tensor' ? toBinary(input) : undefined;
  if (binary !== undefined) return `head -c ${binary.bytes} /dev/zero | ${curl} ${binary.headers} --data-binary @-`;
  const body = JSON.stringify(exampleOf(api)).replaceAll("'", `'\\''`);
  return `${curl} -H 'content-type: application/json' -d '${body}'`;
}

function exampleOf(api: ApiManifest): unknown {
  return api.example === undefined ? smallest(api.input) : api.example;
}

/** A large tensor of zeros as bytes; undefined where a JSON text does. */
function toBinary({ dtype, shape }: TensorSpec): { readonly bytes: number; readonly headers: string } | undefined {
  const sizes = shape.map(oneIfAny);
  const elements = sizes.reduce((product, size) => product * size, 1);
  if (elements <= MAX_ELEMENTS || dtype === 'string') return undefined;
  const headers = `-H 'content-type: application/octet-stream' -H 'tensor-shape: ${sizes.join(',')}'`;
  return { bytes: elements * DTYPES[dtype].bytes, headers };
}

/** A value of the right shape where the service gives no example: zeros for tensors, `{}` for JSON. */
function smallest(spec: DescriptorSpec): unknown {
  switch (spec.kind) {
    case 'json':
      return {};
    case 'tensor':
      return fill(spec.shape.map(oneIfAny), ZEROS[spec.dtype] ?? 0);
    case 'tensors':
      return Object.fromEntries(Object.entries(spec.fields).map(([name, field]) => [name, smallest(field)]));
    case 'multipart':
      return Object.fromEntries(Object.entries(spec.fields).map(([name, field]) => [name, smallest(field)]));
    case 'text':
    case 'bytes':
      return '';
    case 'file':
    case 'image':
      return { data: '' };
    case 'table':
      return [];
    default:
      return spec satisfies never;
  }
}

const ZEROS: Partial<Record<Dtype, unknown>> = { string: '', bool: false };

function oneIfAny(size: number): number {
  return size === -1 ? 1 : size;
}

function fill(shape: readonly number[], value: unknown): unknown {
  const [size, ...rest] = shape;
  return size === undefined ? value : Array.from({ length: size }, () => fill(rest, value));
}
