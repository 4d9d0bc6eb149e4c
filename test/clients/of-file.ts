import { after } from 'node:test';
import type { Cleanup } from '../support/start-primary.js';

/** What is registered here is undone after the last test of the file, the newest first. */
export const ofFile: Cleanup = {
  after(hook) {
    undo.push(hook);
  },
};
const undo: (() => void | Promise<void>)[] = [];

after(async () => {
  for (const hook of undo.splice(0).reverse()) await hook();
});
