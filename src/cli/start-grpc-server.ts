import type { Command } from './command.js';
import { runServer } from './run-server.js';

export const startGrpcServer: Command = {
  usage: 'start-grpc-server [TARGET] --remote-runner NAME=ADDRESS [flags]',
  summary: 'Serve the gRPC tier alone; the runners answer elsewhere.',
  flagsOf: 'start-grpc-server',
  run: (context) => runServer('start-grpc-server', context),
};
