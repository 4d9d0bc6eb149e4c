import type { Command } from './command.js';
import { runServer } from './run-server.js';

export const startHttpServer: Command = {
  usage: 'start-http-server [TARGET] --remote-runner NAME=ADDRESS [flags]',
  summary: 'Serve the HTTP tier alone; the runners answer elsewhere.',
  flagsOf: 'start-http-server',
  run: (context) => runServer('start-http-server', context),
};
