import { JubakoError, type ErrorCode } from '#dist/errors.js';

export function hasCode(code: ErrorCode): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof JubakoError && thrown.code === code;
}

export const isProtocolError = hasCode('LINK_PROTOCOL');
