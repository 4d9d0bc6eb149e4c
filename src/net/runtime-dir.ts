import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JubakoError } from '../errors.js';

// R1 Private to this user (0700): whoever reaches the sockets in it reaches the runners.
// R2 One folder per server, made anew, and removed with all that is in it when the last process leaves.

/** Longest path of a unix socket that Linux (and macOS) takes, without the closing zero. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'darwin' ? 103 : 107;

/** A folder of its own for the sockets and the compiled service of this server. */
export class RuntimeDir {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * @param parent - the setting `runtimeDir`; null: systemd's RuntimeDirectory or the user's, else the temp folder.
   * @throws {JubakoError} CONFIG_INVALID - it cannot be made.
   */
  static create(parent: string | null, env: NodeJS.ProcessEnv): RuntimeDir {
    const base = parent ?? env['RUNTIME_DIRECTORY'] ?? env['XDG_RUNTIME_DIR'] ?? tmpdir();
    try {
      mkdirSync(base, { recursive: true });
      return new RuntimeDir(mkdtempSync(join(base, 'jubako-')));
    } catch (cause) {
      throw new JubakoError(
        'CONFIG_INVALID',
        `Cannot make a folder in runtimeDir "${base}": ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  /** @throws {JubakoError} CONFIG_INVALID - the path is too long for a unix socket. */
  socketPath(name: string): string {
    const path = join(this.path, `${name}.sock`);
    const length = Buffer.byteLength(path);
    if (length > MAX_SOCKET_PATH_BYTES) {
      throw new JubakoError(
        'CONFIG_INVALID',
        `Cannot use the unix socket "${path}": its path has ${length} bytes, at most ${MAX_SOCKET_PATH_BYTES} are possible; set runtimeDir to a shorter folder`,
      );
    }
    return path;
  }

  remove(): void {
    removeRuntimeDir(this.path);
  }
}

/** Also called by workers whose primary has died: the last one finds nothing left to remove. */
export function removeRuntimeDir(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
