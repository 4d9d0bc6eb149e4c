// The header `grpc-timeout`: up to eight digits and a unit. grpc-js takes any text in which such a thing occurs, and lets
// numbers beyond 32 bits overflow, so that a timeout of 25 days has passed at once; so it is read here.

const FORM = /^(\d{1,8})([HMSmun])$/;
const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/** What timers can count, 24 days: a longer timeout is as good as none. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** In ms; Infinity: as good as none. Undefined: it is no timeout. */
export function parseTimeout(text: string): number | undefined {
  const [, digits, unit = ''] = FORM.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const timeoutMs = Number(digits) * (UNITS_MS[unit] ?? NaN);
  return timeoutMs > MAX_TIMEOUT_MS ? Infinity : timeoutMs;
}
