import { existsSync } from 'node:fs';

const KNOWN_PATHS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Where a Chromium is: CHROMIUM_PATH, or where systems put it; undefined: nowhere. */
export function chromiumPath(): string | undefined {
  return process.env['CHROMIUM_PATH'] ?? KNOWN_PATHS.find((path) => existsSync(path));
}

/** For the options of a test that needs one: false, or why it is skipped. */
export const NO_CHROMIUM: string | false =
  chromiumPath() === undefined && 'there is no Chromium: CHROMIUM_PATH can say where one is';
