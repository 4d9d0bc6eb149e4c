import type { CliIo } from './command.js';

/** The real thing: standard streams, signals, and the supervisor, loaded only where it is needed. */
export function processIo(): CliIo {
  // `jubako config | head` closes the pipe early, which is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    print: (text) => void process.stdout.write(`${text}\n`),
    printError: (text) => void process.stderr.write(`${text}\n`),
    onStopSignal(listener) {
      process.on('SIGTERM', listener).on('SIGINT', listener);
      return () => void process.off('SIGTERM', listener).off('SIGINT', listener);
    },
    nowMs: () => performance.now(),
    async startServer(options) {
      const { startServer } = await import('../supervisor/start.js');
      return startServer(options);
    },
    async describeTarget(target, loaded) {
      const { describeTarget } = await import('../supervisor/describe.js');
      return describeTarget(target, loaded);
    },
  };
}
