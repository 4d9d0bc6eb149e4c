// A service for large inputs: a picture of 600 KB in, ten numbers out. Its model does nothing, so that the way to it shows.
import { defineRunner, defineService, tensor, tensorOf, type Tensor } from 'jubako';

const PICTURE = 3 * 224 * 224;
const CLASSES = 10;

/** The first numbers of each picture. */
function classify(_model: object, pictures: Tensor<'float32'>): Tensor<'float32'> {
  const scores = new Float32Array(pictures.rows * CLASSES);
  for (let row = 0; row < pictures.rows; row += 1) {
    scores.set(pictures.data.subarray(row * PICTURE, row * PICTURE + CLASSES), row * CLASSES);
  }
  return tensorOf('float32', [pictures.rows, CLASSES], scores);
}

const pictures = tensor('float32', [-1, 3, 224, 224]);
const scores = tensor('float32', [-1, CLASSES]);

const classifier = defineRunner({
  name: 'classifier',
  load: () => ({}),
  methods: { classify: { input: pictures, output: scores, batch: { maxSize: 8 }, run: classify } },
});

export default defineService({
  name: 'picture',
  runners: [classifier],
  apis: {
    classify: { input: pictures, output: scores, handler: (input, { runners }) => runners.classifier.classify(input) },
  },
});
