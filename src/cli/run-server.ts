import { loadConfig, type CommandName } from '../config/load-config.js';
import { DEFAULT_TARGET, type CommandContext, type RunningServer } from './command.js';

/** Stop signals closer together than this are one wish. */
const SAME_SIGNAL_MS = 1000;

/**
 * Runs one server until it has ended, and gives its exit code. The first stop signal drains, the second kills.
 * @throws {JubakoError} what kept the server from starting.
 */
export async function runServer(command: CommandName, { args, env, io }: CommandContext): Promise<number> {
  const loaded = await loadConfig({ command, args, env, target: DEFAULT_TARGET });
  const target = loaded.positionals[0] ?? DEFAULT_TARGET;

  let server: RunningServer | undefined;
  let signals = 0;
  let firstAtMs = 0;
  const act = (): void => {
    if (signals === 1) server?.close().catch(() => undefined); // why is what `closed` tells
    if (signals > 1) server?.kill();
  };
  const stopListening = io.onStopSignal(() => {
    // One Ctrl+C may arrive twice: from the terminal, and again from npm or a shell that passes it on.
    if (signals > 0 && io.nowMs() - firstAtMs < SAME_SIGNAL_MS) return;
    if (signals === 0) firstAtMs = io.nowMs();
    signals++;
    act();
  });
  try {
    server = await io.startServer({ command, target, loaded });
    act(); // a signal may have come while the supervisor was being loaded
    const { closed, ready } = server;
    const exitCode = await Promise.race([closed, ready.then(() => closed)]);
    // Rejected if the start failed; a server that was told to stop before it was ready has not failed.
    if (signals === 0) await ready;
    return exitCode;
  } catch (thrown) {
    if (server !== undefined && signals > 0) return await server.closed;
    throw thrown;
  } finally {
    stopListening();
  }
}
