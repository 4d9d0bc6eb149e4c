// What the models of the simulation really cost. Times of one batch of n rows, in ms, without the hop to the thread.

export type Cost = (rows: number) => number;

/** To the compute thread and back, in every batch of every policy. */
export const HOP_MS = 0.1;

/** The accelerator of the benchmarks: a fixed part, and little for each row. */
export const accelerator: Cost = (rows) => 10 + 0.1 * rows;

/** A small network on a CPU. */
export const smallModel: Cost = (rows) => 0.05 + 0.005 * rows;

/** onnxruntime on one CPU thread, 1024-2048-2048-1000 (33 MB): measured at 1, 8, 32 and 64 rows. */
export const cpuNetwork: Cost = interpolate([
  [1, 2.44],
  [8, 3.64],
  [32, 8.23],
  [64, 14.6],
]);

/** A device that works in tiles of 16 rows: 17 rows cost what 32 do. */
export const tiledDevice: Cost = (rows) => 4 + 1.5 * Math.ceil(rows / 16);

function interpolate(points: readonly (readonly [rows: number, ms: number])[]): Cost {
  return (rows) => {
    let at = 1;
    while (at < points.length - 1 && (points[at]?.[0] ?? Infinity) < rows) at += 1;
    const [lowRows, lowMs] = points[at - 1] ?? [0, 0];
    const [highRows, highMs] = points[at] ?? [1, 0];
    return lowMs + ((highMs - lowMs) * (rows - lowRows)) / (highRows - lowRows);
  };
}
