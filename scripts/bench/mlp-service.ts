// A service around the network of onnx-file.mjs, in batches.
import { defineRunner, defineService, json, tensor, tensorOf, type Tensor } from 'jubako';
import { textFrom } from './environment.js';
import { count, newTally, tallyOutput } from './tally.js';

async function loadModel() {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(textFrom('BENCH_MLP_FILE'), { intraOpNumThreads: 1 });
  return { ort, session, tally: newTally() };
}
type Model = Awaited<ReturnType<typeof loadModel>>;

async function predict({ ort, session, tally }: Model, batch: Tensor<'float32'>): Promise<Tensor<'float32'>> {
  count(tally, batch.rows);
  const { logits } = await session.run({ input: new ort.Tensor('float32', batch.data, batch.shape) });
  return tensorOf('float32', [batch.rows, 10], logits?.data as Float32Array);
}

const rows = tensor('float32', [-1, 1024]);
const logits = tensor('float32', [-1, 10]);

const mlp = defineRunner({
  name: 'mlp',
  load: loadModel,
  methods: {
    predict: { input: rows, output: logits, batch: { maxSize: 128 }, run: predict },
    tally: { input: json(), output: tallyOutput, run: ({ tally }) => tally },
  },
});

export default defineService({
  name: 'mlp',
  runners: [mlp],
  apis: {
    predict: { input: rows, output: logits, handler: (input, { runners }) => runners.mlp.predict(input) },
    tally: { input: json(), output: tallyOutput, handler: (_input, { runners }) => runners.mlp.tally(null) },
  },
});
