import type { Command } from './command.js';

/** Name → its file, loaded only when it is run or described: the start of a server must not pay for the other commands. */
export const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['serve', async () => (await import('./serve.js')).serve],
  ['start-http-server', async () => (await import('./start-http-server.js')).startHttpServer],
  ['start-grpc-server', async () => (await import('./start-grpc-server.js')).startGrpcServer],
  ['start-runner-server', async () => (await import('./start-runner-server.js')).startRunnerServer],
  ['check', async () => (await import('./check.js')).check],
  ['config', async () => (await import('./config.js')).config],
  ['help', async () => (await import('./help.js')).help],
]);
