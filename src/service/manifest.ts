export type * from '../ipc/manifest.js';
