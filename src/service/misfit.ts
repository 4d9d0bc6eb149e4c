import { JubakoError } from '../errors.js';

/** What a handler or a model gave is not what its descriptor says: the fault of the service, not of its client. */
export function misfit(where: string, thrown: unknown): JubakoError {
  return new JubakoError(
    'USER_CODE',
    `${where} gave an output that does not fit its descriptor: ${JubakoError.from(thrown).message}`,
    { cause: thrown },
  );
}
