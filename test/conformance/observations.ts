import { appendFileSync } from 'node:fs';
import type { DoorName } from './door.js';

// What the tests have seen at the doors, for the table in CONFORMANCE.md: scripts/conformance/write.mjs names the file.

export type Section = 'answers' | 'refusals' | 'causes' | 'thrown';

export interface Observation {
  readonly section: Section;
  /** Of the catalogue; empty for answers. */
  readonly row: string;
  readonly title: string;
  readonly door: DoorName;
  /** Of HTTP, or of gRPC; a failure within a stream that was a success so far has that of success. */
  readonly status: number;
}

/** Called after it was asserted. */
export function observe(observation: Observation): void {
  const file = process.env['CONFORMANCE_RECORD'];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(observation)}\n`);
}
