import type { PrimaryChannel } from '../ipc/channel.js';
import type { DescriberBoot } from '../ipc/worker-boot.js';
import { compileTarget } from '../target/compile-target.js';
import { loadService } from '../service/load-service.js';
import { manifestOf } from '../service/manifest-of.js';
import { compileModels } from '../target/model-module.js';
import { resolveTarget } from '../target/resolve-target.js';
import { bootOrRefuse } from './lifecycle.js';

/** Loads the service or the models, answers with the manifest and where to import it from, and ends. */
export function runDescriber(channel: PrimaryChannel): void {
  channel.onGone(() => {
    process.exit(0);
  });
  channel.onMessage((message) => {
    if (message.type === 'describe') void bootOrRefuse(channel, () => answer(message.boot, channel));
  });
}

async function answer(boot: DescriberBoot, channel: PrimaryChannel): Promise<void> {
  process.setSourceMapsEnabled(true);
  const target = resolveTarget(boot.target, boot.workingDir, boot.serviceFile ?? undefined);
  const { entry, unavailable, warnings } =
    target.kind === 'module'
      ? { entry: await compileTarget(target, boot.runtimeDir), unavailable: [], warnings: [] }
      : await compileModels(target, boot.runtimeDir, boot.strict);
  process.chdir(boot.workingDir);
  const manifest = { ...manifestOf(await loadService(entry)), unavailable };
  await channel.sendLast({ type: 'described', manifest, entry, warnings });
  process.exit(0); // the user's module may have opened what keeps a process alive
}
