// Where the limits of this process stand: the folders of its cgroup and of those above it, in version 1 and 2.
import { posix } from 'node:path';
import type { ReadText } from './read-text.js';

const ROOT = '/sys/fs/cgroup';

/** What sets limits in a cgroup; in version 1 each is mounted apart. */
export type CgroupController = 'cpu' | 'memory';

export interface CgroupFolder {
  readonly version: 1 | 2;
  readonly path: string;
}

/** From the mount down to the cgroup of this process; a limit of any of them holds. */
export function cgroupFolders(controller: CgroupController, read: ReadText): readonly CgroupFolder[] {
  const folders: CgroupFolder[] = [];
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    // hierarchy:controllers:path; version 2 is hierarchy 0 without controllers (cgroups(7)).
    const [, hierarchy, controllers = '', path = '/'] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (hierarchy === '0' && controllers === '') {
      for (const folder of downwards(ROOT, path)) folders.push({ version: 2, path: folder });
    } else if (controllers.split(',').includes(controller)) {
      // Mounted under the list of its controllers, mostly with a link to it under the name of each.
      for (const mount of new Set([`${ROOT}/${controller}`, `${ROOT}/${controllers}`])) {
        for (const folder of downwards(mount, path)) folders.push({ version: 1, path: folder });
      }
    }
  }
  return folders;
}

/** The mount and every folder on the way to a cgroup: inside a container only the mount may exist. */
function downwards(mount: string, path: string): string[] {
  const folders = [mount];
  let folder = mount;
  // A path outside the namespace is shown with `..`; normalized it stays below the mount.
  for (const part of posix.normalize(`/${path}`).split('/')) {
    if (part === '') continue;
    folder = `${folder}/${part}`;
    folders.push(folder);
  }
  return folders;
}
