// What most cases do: two servers, up at the same time, measured in turn by the same closed loop.
import { startLoad } from './load.mjs';
import { stopAll } from './servers.mjs';
import { interleave } from './statistics.mjs';

/**
 * @param effort - `{ rounds, warmUpMs, measureMs }`
 * @param starts - `[startJubako, startPlain]`, each giving a promise of a server.
 * @param plan - of the load client, without port, pids and time.
 * @returns the rounds, side a Jubako; of CPU `apiCpuUs` (processes that speak HTTP), `allCpuUs`, `clientCpuUs`.
 */
export async function compareClosedLoops({ rounds, warmUpMs, measureMs }, starts, plan) {
  const load = startLoad();
  try {
    const [jubako, plain] = [await starts[0](), await starts[1]()];
    const { path, bodies, headers } = plan;
    await Promise.all([jubako, plain].map((server) => server.untilComplete(path, bodies[0], headers)));
    const measure = (server, ms) => measureServer(load, server, { ...plan, measureMs: ms });
    await measure(jubako, warmUpMs);
    await measure(plain, warmUpMs);
    return await interleave(
      rounds,
      () => measure(jubako, measureMs),
      () => measure(plain, measureMs),
    );
  } finally {
    load.stop();
    await stopAll();
  }
}

export async function measureServer(load, server, plan) {
  const pids = { api: server.httpPids, runner: server.runnerPids, all: server.pids };
  const { cpuUs, ...rest } = await load.measure({ ...plan, port: server.port, pids });
  return { ...rest, apiCpuUs: cpuUs.api, runnerCpuUs: cpuUs.runner, allCpuUs: cpuUs.all };
}

/**
 * The same over gRPC, of a server of Jubako or one of `startPlain`.
 * @param plan - of the client of grpc-load.mjs, with `method` (of a loaded service) and `message` instead of path and request.
 */
export async function measureGrpc(load, server, { method, message, ...plan }) {
  const api = server.grpcPort === undefined ? server.pids : server.grpcPids;
  const { cpuUs, ...rest } = await load.measure({
    ...plan,
    path: method.path,
    request: method.requestSerialize(message),
    port: server.grpcPort ?? server.port,
    pids: { api, runner: server.runnerPids, all: server.pids },
  });
  return { ...rest, apiCpuUs: cpuUs.api, runnerCpuUs: cpuUs.runner, allCpuUs: cpuUs.all };
}
