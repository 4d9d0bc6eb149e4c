// Other model servers with a hop between HTTP and model, as the bench starts them: 2 API processes (where there is such a
// choice), 1 process with the model, no access log.
// P1 Of batch size and wait each has what made it fastest with that model; peers/README.md says what was tried.
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_FOLDER } from './peer-install.mjs';
import { freePort, startCommand } from './servers.mjs';
import { temporaryFolder } from './temporary-folder.mjs';

/** Batches by model: rows at most, and how long they wait for them. */
const UNBATCHED = { rows: 1, waitMs: 0 };
const MAX_ROWS = 64;
const SHORT_WAIT = { rows: MAX_ROWS, waitMs: 1 };
const LONG_WAIT = { rows: MAX_ROWS, waitMs: 10 };
/** BentoML learns by itself how long to wait. */
const LEARNED = { rows: MAX_ROWS, waitMs: 0 };

/** A Python process takes its time to start. */
const OTHERS_WITHIN_MS = 2_000;

const bodyOfRow = (row) => JSON.stringify([row]);

export const PEERS = [
  {
    name: 'LitServe',
    folder: 'litserve',
    batches: { echo: UNBATCHED, mlp: SHORT_WAIT, accelerator: LONG_WAIT },
    path: '/predict',
    bodyOfRow,
    commandOf: (programs, port) => [
      join(programs, 'python'),
      join(PEERS_FOLDER, 'litserve_service.py'),
      '--port',
      `${port}`,
    ],
    environmentOf: async () => ({}),
  },
  {
    name: 'MLServer',
    folder: 'mlserver',
    batches: { echo: UNBATCHED, mlp: SHORT_WAIT, accelerator: LONG_WAIT },
    path: '/v2/models/bench/infer',
    bodyOfRow: (row) =>
      JSON.stringify({ inputs: [{ name: 'input', shape: [1, row.length], datatype: 'FP32', data: row }] }),
    commandOf: (programs, _port, folder) => [join(programs, 'mlserver'), 'start', folder],
    environmentOf: async (port, folder, { rows, waitMs }) => ({
      MLSERVER_HOST: '127.0.0.1',
      MLSERVER_HTTP_PORT: `${port}`,
      MLSERVER_GRPC_PORT: `${await freePort()}`,
      MLSERVER_METRICS_PORT: `${await freePort()}`,
      MLSERVER_METRICS_DIR: folder,
      MLSERVER_ENVIRONMENTS_DIR: folder,
      MLSERVER_PARALLEL_WORKERS: '1',
      MLSERVER_DEBUG: 'false',
      MLSERVER_MODEL_NAME: 'bench',
      MLSERVER_MODEL_IMPLEMENTATION: 'mlserver_service.Model',
      MLSERVER_MODEL_MAX_BATCH_SIZE: `${rows}`,
      MLSERVER_MODEL_MAX_BATCH_TIME: `${waitMs / 1000}`,
    }),
  },
  {
    name: 'BentoML',
    folder: 'bentoml',
    batches: { echo: LEARNED, mlp: LEARNED, accelerator: LEARNED },
    path: '/predict',
    bodyOfRow,
    commandOf: (programs, port) => [
      ...[join(programs, 'bentoml'), 'serve', 'bentoml_service:svc', '--production', '--api-workers', '2'],
      ...['--host', '127.0.0.1', '--port', `${port}`, '--working-dir', PEERS_FOLDER],
    ],
    environmentOf: async (_port, folder) => ({
      BENTOML_HOME: folder,
      BENTOML_CONFIG: join(PEERS_FOLDER, 'bentoml.yaml'),
      BENTOML_DO_NOT_TRACK: 'True',
    }),
  },
];

/** `name version`, as pinned. */
export function versionOf({ name, folder }) {
  const [, version] = /==(\S+)/.exec(readFileSync(join(PEERS_FOLDER, `${folder}.txt`), 'utf8'));
  return `${name} ${version}`;
}

/**
 * @param programs - the folder that `installPeer` gave.
 * @param model - 'echo', 'mlp' or 'accelerator'. @param env - what the model needs.
 * @returns the server, when it has answered `body` and its workers are up. @throws with what the peer has said.
 */
export async function startPeer(peer, programs, model, env, body) {
  const folder = temporaryFolder();
  const batches = peer.batches[model];
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'w');
  let server;
  try {
    server = await startCommand(async (port) => ({
      command: peer.commandOf(programs, port, folder),
      env: {
        ...env,
        ...(await peer.environmentOf(port, folder, batches)),
        BENCH_MODEL: model,
        BENCH_MAX_BATCH_SIZE: `${batches.rows}`,
        BENCH_BATCH_WAIT_MS: `${batches.waitMs}`,
        PYTHONPATH: PEERS_FOLDER,
        PYTHONDONTWRITEBYTECODE: '1',
      },
      cwd: folder,
      output: [log, log],
    }));
    await server.untilComplete(peer.path, body, {}, OTHERS_WITHIN_MS);
    return server;
  } catch (thrown) {
    await server?.stop();
    throw new Error(`${thrown.message}: ${lastLineOf(logFile)}`, { cause: thrown });
  } finally {
    closeSync(log);
  }
}

function lastLineOf(file) {
  return readFileSync(file, 'utf8').trim().split('\n').at(-1) || 'it said nothing';
}
