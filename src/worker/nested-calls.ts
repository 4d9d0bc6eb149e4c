import type { RunnerMap } from '../config/addresses.js';
import { toLinkTlsOptions } from '../net/tls-files.js';
import type { NestedCalls } from '../compute/thread-messages.js';
import type { HostContext } from './host-worker.js';

/** What a worker knows of the runners when it starts; `runnerMap` messages replace it. */
export function firstRunnerMap(): RunnerMap {
  return JSON.parse(process.env['JUBAKO_RUNNER_MAP'] ?? '{}') as RunnerMap;
}

/** How the compute threads of this worker reach other runners. */
export function nestedCalls({ identity, boot }: Pick<HostContext, 'identity' | 'boot'>): NestedCalls {
  const { config, tls, trustedCa } = boot;
  return {
    map: firstRunnerMap(),
    peer: identity.name,
    token: config.linkToken,
    tls: toLinkTlsOptions(tls, trustedCa),
    timeoutMs: config.timeout * 1000,
  };
}
