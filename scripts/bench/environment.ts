// What the bench tells the services that it starts.

/** @throws where the variable is missing or no number: a bench that measures something else is worse than none. */
export function numberFrom(variable: string): number {
  const value = Number(textFrom(variable));
  if (Number.isNaN(value)) throw new Error(`Cannot run this service: ${variable} is no number`);
  return value;
}

export function textFrom(variable: string): string {
  const text = process.env[variable];
  if (text === undefined || text === '') throw new Error(`Cannot run this service: ${variable} is not set`);
  return text;
}
