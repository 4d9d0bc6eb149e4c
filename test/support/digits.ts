import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { post } from './http-client.js';
import type { GrpcClient } from './grpc-client.js';
import { repositoryFile } from './start-primary.js';

interface Image {
  readonly label: number;
  readonly pixels: readonly number[];
  /** What the model gave in the training framework. */
  readonly probabilities: readonly number[];
}

export const DIGITS = repositoryFile('examples/digits');
export const IMAGES = JSON.parse(
  readFileSync(repositoryFile('examples/digits/images.json'), 'utf8'),
) as readonly Image[];
const TOLERANCE = 1e-4;

/** Classifies every image of the example over HTTP, all at once; each answer must be that of the training framework. */
export async function classifyByHttp(url: string): Promise<void> {
  const answers = await Promise.all(IMAGES.map(({ pixels }) => post(`${url}/classify`, { pixels })));
  for (const [index, answer] of answers.entries()) {
    assert.equal(answer.status, 200, answer.text);
    const { digit, probabilities } = answer.json as { digit: number; probabilities: readonly number[] };
    checkAnswer(index, digit, probabilities);
  }
}

/** The same over the Open Inference Protocol. */
export async function classifyByGrpc(client: GrpcClient): Promise<void> {
  const answers = await Promise.all(IMAGES.map(({ pixels }) => client.inferRow('digits', pixels)));
  for (const [index, probabilities] of answers.entries()) {
    checkAnswer(index, probabilities.indexOf(Math.max(...probabilities)), probabilities);
  }
}

function checkAnswer(index: number, digit: number, probabilities: readonly number[]): void {
  const image = IMAGES[index];
  assert.ok(image !== undefined);
  assert.equal(digit, image.probabilities.indexOf(Math.max(...image.probabilities)));
  checkProbabilities(index, probabilities);
}

/** What the training framework gave for an image must be what the server gives. */
export function checkProbabilities(index: number, probabilities: readonly number[]): void {
  const wantedProbabilities = IMAGES[index]?.probabilities ?? [];
  assert.equal(probabilities.length, wantedProbabilities.length);
  for (const [at, wanted] of wantedProbabilities.entries()) {
    assert.ok(Math.abs((probabilities[at] ?? NaN) - wanted) < TOLERANCE, `image ${index}, digit ${at}`);
  }
}
