// Which versions of a model are served. Pure.

/** `latest`: the highest n. */
export type VersionPolicy =
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'specific'; readonly versions: readonly number[] };

export interface ChosenVersions {
  /** Highest first. */
  readonly served: readonly number[];
  /** Asked for by `specific`, and not there. */
  readonly missing: readonly number[];
}

/** `3` → 3; undefined for what is no version: versions are whole numbers from 1 without leading zeros, as in Triton. */
export function parseVersion(folder: string): number | undefined {
  return /^[1-9]\d{0,14}$/.test(folder) ? Number(folder) : undefined;
}

export function chooseVersions(policy: VersionPolicy, available: readonly number[]): ChosenVersions {
  const highestFirst = [...new Set(available)].sort((a, b) => b - a);
  switch (policy.kind) {
    case 'latest':
      return { served: highestFirst.slice(0, policy.count), missing: [] };
    case 'all':
      return { served: highestFirst, missing: [] };
    case 'specific':
      return {
        served: highestFirst.filter((version) => policy.versions.includes(version)),
        missing: [...new Set(policy.versions)].filter((version) => !highestFirst.includes(version)),
      };
    default:
      return policy satisfies never;
  }
}
