// Records when requests reach a server on this machine: over HTTP, from the closed-loop client of the benchmarks, while a
// stand-in for a model (5 ms a run and 0.05 ms a row, at most 64) answers them. The simulation replays the result.
// Usage: node scripts/simulate/record.mjs FILE CONNECTIONS:MS [CONNECTIONS:MS …]; the phases follow one another.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { format } from 'prettier';
import { startLoad } from '../bench/load.mjs';

const MAX_SIZE = 64;
const BODY = JSON.stringify({ values: Array.from({ length: 16 }, (_, i) => i / 16) });

const [file, ...words] = process.argv.slice(2);
const phases = words.map((word) => word.split(':').map(Number));
if (file === undefined || phases.length === 0 || phases.flat().some((number) => !(number > 0))) {
  process.stderr.write('Usage: node scripts/simulate/record.mjs FILE CONNECTIONS:MS [CONNECTIONS:MS …]\n');
  process.exit(64);
}

const arrivedAtMs = [];
let waiting = [];
let isBusy = false;
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    arrivedAtMs.push(performance.now());
    waiting.push(response);
    setImmediate(step);
  });
});
server.listen(0, '127.0.0.1', async () => {
  const load = startLoad();
  for (const [connections, measureMs] of phases) {
    await load.measure({ port: server.address().port, path: '/', bodies: [BODY], connections, measureMs, pids: {} });
  }
  load.stop();
  server.close();
  server.closeAllConnections();
  const firstMs = arrivedAtMs[0] ?? 0;
  const atUs = arrivedAtMs.map((atMs) => Math.round((atMs - firstMs) * 1000));
  const about = `HTTP requests, ${phases.map(([connections, ms]) => `${connections} connections for ${ms} ms`).join(', then ')}`;
  const gapsUs = atUs.map((at, i) => at - (atUs[i - 1] ?? 0));
  writeFileSync(file, await format(JSON.stringify({ about, gapsUs }), { parser: 'json', printWidth: 120 }));
});

function step() {
  if (isBusy || waiting.length === 0) return;
  isBusy = true;
  const batch = waiting.slice(0, MAX_SIZE);
  waiting = waiting.slice(MAX_SIZE);
  setTimeout(
    () => {
      isBusy = false;
      for (const response of batch) response.end('{"ok":true}');
      step();
    },
    5 + 0.05 * batch.length,
  );
}
