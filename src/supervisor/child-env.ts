import { SETTINGS } from '../config/schema.js';

/** Given to this process by whoever started it; workers get what they need of them over IPC, nobody else gets them. */
const SECRETS = SETTINGS.filter(({ sensitive }) => sensitive === true).map(({ env }) => env);

/** The environment of this process without the secrets in it, for a process that it starts. */
export function childEnv(added: Readonly<Record<string, string>>): Record<string, string | undefined> {
  return { ...process.env, ...Object.fromEntries(SECRETS.map((name) => [name, undefined])), ...added };
}
