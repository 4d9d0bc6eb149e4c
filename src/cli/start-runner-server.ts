import type { Command } from './command.js';
import { runServer } from './run-server.js';

export const startRunnerServer: Command = {
  usage: 'start-runner-server [TARGET] --runner-name NAME [flags]',
  summary: 'Serve one runner of a target alone, for API servers elsewhere.',
  flagsOf: 'start-runner-server',
  run: (context) => runServer('start-runner-server', context),
};
