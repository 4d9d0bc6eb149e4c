// The network that the mlp cases run on all sides, in a temporary folder, and rows for it.
import { join } from 'node:path';
import { seededRandom } from '../seeded-random.mjs';
import { writeMlp } from './onnx-file.mjs';
import { temporaryFolder } from './temporary-folder.mjs';

export const COLUMNS = 1024;
const SIZES = [COLUMNS, 2048, 2048, 10];
const ROW_SEED = 7;

let file;

export const MLP_TEXT = `an MLP ${SIZES.join('-')} with ReLU, 25 MB of random float32 weights`;

/** Written at the first call, removed at the end of this process. @returns the environment of whoever runs it. */
export function mlpEnvironment() {
  if (file === undefined) {
    file = join(temporaryFolder(), 'mlp.onnx');
    writeMlp(file, SIZES);
  }
  return { BENCH_MLP_FILE: file };
}

/** `count` rows of -1 to 1, with the four decimals that a client would send. */
export function mlpRows(count) {
  const random = seededRandom(ROW_SEED);
  const row = () => Array.from({ length: COLUMNS }, () => Number((2 * random() - 1).toFixed(4)));
  return Array.from({ length: count }, row);
}
