// Calls the service beside it. Only its type is imported: nothing of it gets into the client.
import { createClient, Tensor } from 'jubako/client';
import type service from './service.js';

const client = createClient<typeof service>(process.argv[2] ?? 'http://localhost:3000', { timeoutMs: 10_000 });

for await (const word of client.tell('one word after another')) process.stdout.write(word);
process.stdout.write('\n');

const picture = new Tensor('uint8', [1, 2, 3], Uint8Array.of(255, 0, 0, 0, 0, 255)); // a red and a blue pixel
const mirrored = await client.mirror(picture);
console.log('mirrored:', mirrored.data.join(' '));
console.log(
  'oldest:',
  await client.oldest([
    { name: 'Ann', age: 41 },
    { name: 'Bob', age: 7 },
  ]),
);
console.log('caption:', await client.caption({ picture, note: 'two pixels' }));
