import type { ApiManifest, DescriptorSpec, Manifest } from '../ipc/manifest.js';

/** A line that can be pasted into a shell and calls the first API of the service; undefined without an API. */
export function curlLine(manifest: Manifest, url: string): string | undefined {
  const [api] = manifest.apis;
  if (api === undefined) return undefined;
  const body = JSON.stringify(exampleOf(api)).replaceAll("'", `'\\''`);
  const insecure = url.startsWith('https:') ? '-k ' : '';
  return `curl ${insecure}${url}${api.route} -H 'content-type: application/json' -d '${body}'`;
}

function exampleOf(api: ApiManifest): unknown {
  return api.example === undefined ? smallest(api.input) : api.example;
}

/** A value of the right shape where the service gives no example: zeros for tensors, `{}` for JSON. */
function smallest(spec: DescriptorSpec): unknown {
  switch (spec.kind) {
    case 'json':
      return {};
    case 'tensor':
      return zeros(spec.shape.map((size) => (size === -1 ? 1 : size)));
    case 'tensors':
      return Object.fromEntries(Object.entries(spec.fields).map(([name, field]) => [name, smallest(field)]));
    default:
      return spec satisfies never;
  }
}

function zeros(shape: readonly number[]): unknown {
  const [size, ...rest] = shape;
  return size === undefined ? 0 : Array.from({ length: size }, () => zeros(rest));
}
