import { JubakoError } from '../errors.js';
import type { Priority } from '../service/define.js';
import type { InferParameter } from './infer-messages.js';

/**
 * The request parameter `priority` as in Triton: 1 goes first, 0 (or none) is as usual, from 2 on goes last.
 * @throws {JubakoError} INVALID_INPUT - it is no whole number from 0.
 */
export function priorityOf(parameters: Readonly<Record<string, InferParameter>> | undefined): Priority {
  const parameter = parameters?.['priority'];
  if (parameter === undefined) return 'normal';
  const number = parameter.int64_param ?? parameter.uint64_param;
  if (number === undefined || number.high < 0) {
    throw new JubakoError(
      'INVALID_INPUT',
      'Cannot use the parameter "priority" of the request: wanted int64_param or uint64_param from 0 (as usual); 1 is first',
    );
  }
  if (number.high > 0) return 'low';
  switch (number.low) {
    case 0:
      return 'normal';
    case 1:
      return 'high';
    default:
      return 'low';
  }
}
