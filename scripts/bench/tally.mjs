// Reads what tally.ts counts.

/** @returns `{ runs, rows }` so far; nothing else may be on its way to the model. */
export async function readTally(port) {
  const response = await fetch(`http://127.0.0.1:${port}/tally`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: 'null',
  });
  if (response.status !== 200) throw new Error(`Cannot read the tally of port ${port}: ${await response.text()}`);
  return response.json();
}

/** @returns what `measure` gives, and the mean rows of a batch meanwhile. */
export async function withBatchRows(port, measure) {
  const before = await readTally(port);
  const measured = await measure();
  const after = await readTally(port);
  return { ...measured, batchRows: (after.rows - before.rows) / (after.runs - before.runs) };
}
