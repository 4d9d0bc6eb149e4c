// Handwritten digits, 8x8 pixels, classified by a small network (train.py) that onnxruntime runs in batches.
import { fileURLToPath } from 'node:url';
import { defineRunner, defineService, json, tensor, tensorOf, type Tensor } from 'jubako';

const MODEL_FILE = fileURLToPath(new URL('digits.onnx', import.meta.url));

/** Imported where the model runs and nowhere else: the API workers have no use for the native library. */
async function loadModel() {
  const ort = await import('onnxruntime-node');
  return { ort, session: await ort.InferenceSession.create(MODEL_FILE, { intraOpNumThreads: 1 }) };
}
type Model = Awaited<ReturnType<typeof loadModel>>;

/** [rows, 64] pixels of 0 to 16 → [rows, 10] probabilities. */
async function predict({ ort, session }: Model, batch: Tensor<'float32'>): Promise<Tensor<'float32'>> {
  const pixels = new ort.Tensor('float32', batch.data, batch.shape);
  const { probabilities } = await session.run({ pixels });
  return tensorOf('float32', [batch.rows, 10], probabilities?.data as Float32Array);
}

const digits = defineRunner({
  name: 'digits',
  load: loadModel,
  warmup: (model) => predict(model, tensorOf('float32', [1, 64], new Float32Array(64))),
  methods: {
    predict: {
      input: tensor('float32', [-1, 64]),
      output: tensor('float32', [-1, 10]),
      batch: { maxSize: 64 },
      run: predict,
    },
  },
});

interface Image {
  /** 64 numbers row by row, 0 (white) to 16 (black). */
  readonly pixels: readonly number[];
}

const image = json<Image>({
  type: 'object',
  properties: {
    pixels: { type: 'array', items: { type: 'number', minimum: 0, maximum: 16 }, minItems: 64, maxItems: 64 },
  },
  required: ['pixels'],
  additionalProperties: false,
});

interface Answer {
  readonly digit: number;
  /** 0 to 1. */
  readonly confidence: number;
  /** One per digit 0 to 9; their sum is 1. */
  readonly probabilities: readonly number[];
}

const answer = json<Answer>({
  type: 'object',
  properties: {
    digit: { type: 'integer', minimum: 0, maximum: 9 },
    confidence: { type: 'number' },
    probabilities: { type: 'array', items: { type: 'number' }, minItems: 10, maxItems: 10 },
  },
  required: ['digit', 'confidence', 'probabilities'],
});

export default defineService({
  name: 'digits',
  version: '1',
  runners: [digits],
  apis: {
    classify: {
      doc: 'Which digit is this?',
      input: image,
      output: answer,
      // A seven.
      example: {
        pixels: [
          0, 0, 3, 14, 16, 14, 0, 0, 0, 0, 13, 13, 13, 16, 2, 0, 0, 0, 1, 0, 9, 15, 0, 0, 0, 0, 9, 12, 15, 16, 10, 0, 0,
          4, 16, 16, 16, 11, 3, 0, 0, 0, 4, 9, 14, 2, 0, 0, 0, 0, 2, 15, 9, 0, 0, 0, 0, 0, 4, 13, 1, 0, 0, 0,
        ],
      },
      handler: async ({ pixels }, { runners }) => {
        const { data } = await runners.digits.predict(tensorOf('float32', [1, 64], pixels));
        const probabilities = [...data];
        const confidence = Math.max(...probabilities);
        return { digit: probabilities.indexOf(confidence), confidence, probabilities };
      },
    },
  },
});
