import type { Command } from './command.js';
import { runServer } from './run-server.js';

export const serve: Command = {
  usage: 'serve [TARGET] [flags]',
  summary: 'Serve a target on this machine: HTTP, gRPC with --grpc, and all its runners.',
  flagsOf: 'serve',
  run: (context) => runServer('serve', context),
};
