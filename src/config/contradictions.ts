import type { Problem } from './given.js';
import type { CommandName, ServerConfig, SettingName } from './settings.js';

/**
 * Settings that are right alone and wrong together.
 * @param refused - settings whose values are problems already: what depends on them is not judged.
 */
export function contradictions(
  command: CommandName,
  config: ServerConfig,
  refused: ReadonlySet<SettingName>,
): Problem[] {
  const problems: Problem[] = [];
  const check = (names: readonly SettingName[], isWrong: boolean, text: string, usage?: true): void => {
    if (isWrong && !names.some((name) => refused.has(name))) problems.push({ text, ...(usage === true && { usage }) });
  };
  const { sslCertfile: certificate, sslKeyfile: key, sslKeyfilePassword: password, sslCertReqs, sslCaCerts } = config;
  const pair = ['sslCertfile', 'sslKeyfile'] as const;
  check(pair, certificate !== null && key === null, 'sslKeyfile is missing: sslCertfile is given, wanted both');
  check(pair, certificate === null && key !== null, 'sslCertfile is missing: sslKeyfile is given, wanted both');
  check(
    [...pair, 'sslKeyfilePassword'],
    password !== null && key === null && certificate === null,
    'sslKeyfile is missing: sslKeyfilePassword is given',
  );
  // Without TLS nobody is asked for a certificate: whoever set sslCertReqs would believe that clients are checked.
  const asks = sslCertReqs !== null && sslCertReqs !== 'none';
  const wish = `sslCertReqs is "${sslCertReqs}"`;
  check(['sslCertReqs', ...pair], asks && certificate === null, `sslCertfile is missing: ${wish}, which needs TLS`);
  check(
    ['sslCertReqs', 'sslCaCerts'],
    asks && sslCaCerts === null,
    `sslCaCerts is missing: ${wish}, which needs authorities`,
  );

  const { corsOrigins, rateLimit, rateLimitBurst } = config;
  check(
    ['rateLimit', 'rateLimitBurst'],
    rateLimitBurst !== null && rateLimit === 0,
    `rateLimit is missing: rateLimitBurst is ${rateLimitBurst}, which limits nothing alone`,
  );
  check(
    ['corsOrigins'],
    corsOrigins.includes('*') && corsOrigins.length > 1,
    'corsOrigins names origins beside *, which lets every page call: wanted one or the other',
  );

  const isRunner = command === 'start-runner-server';
  check(
    ['runnerName'],
    isRunner && config.runnerName === null,
    'runnerName is missing: wanted --runner-name NAME',
    true,
  );
  const hasBoth = command === 'serve' && config.grpc && config.port !== 0;
  const isSameHost = (config.grpcHost ?? config.host) === config.host;
  check(
    ['port', 'grpcPort', 'host', 'grpcHost'],
    hasBoth && isSameHost && config.port === config.grpcPort,
    `grpcPort ${config.grpcPort} is taken by port: wanted two ports`,
  );
  return problems;
}
