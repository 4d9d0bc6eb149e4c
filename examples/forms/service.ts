// No model, but every shape that a value can have on its way in and out: text, pictures, tables, forms, streams.
import { defineService, image, json, multipart, stream, Tensor, table, text } from 'jubako';

const people = table({ columns: { name: 'string', age: 'int32' } });

export default defineService({
  name: 'forms',
  apis: {
    tell: {
      doc: 'Gives the words of a text one after another, as a language model does.',
      input: text({ maxLength: 10_000 }),
      output: stream(text()),
      example: 'one word after another',
      async *handler(line, { signal }) {
        for (const word of line.split(/\s+/)) {
          if (signal.aborted) return; // the client has gone
          yield await Promise.resolve(`${word} `);
        }
      },
    },
    mirror: {
      doc: 'Turns a picture around: PNG, JPEG or WebP in, the type that the client accepts out.',
      input: image(),
      output: image(),
      handler: mirror,
    },
    oldest: {
      doc: 'The oldest of a table: JSON rows, CSV or Arrow.',
      input: people,
      output: json<{ readonly name: string | null }>(),
      example: [
        { name: 'Ann', age: 41 },
        { name: 'Bob', age: 7 },
      ],
      handler: (table) => {
        const { name, age } = table.columns;
        return { name: name[age.indexOf(Math.max(...age))] ?? null };
      },
    },
    caption: {
      doc: 'A form with a picture and a note.',
      input: multipart({ picture: image(), note: text() }, { optional: ['note'] }),
      output: text(),
      handler: ({ picture, note }) => {
        const [height = 0, width = 0] = picture.shape;
        return `${note ?? 'a picture'}: ${width} x ${height}`;
      },
    },
  },
});

function mirror(picture: Tensor<'uint8'>): Tensor<'uint8'> {
  const [height = 0, width = 0, channels = 0] = picture.shape;
  const data = new Uint8Array(picture.data.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = (y * width + x) * channels;
      data.set(picture.data.subarray(from, from + channels), (y * width + width - 1 - x) * channels);
    }
  }
  return new Tensor('uint8', picture.shape, data);
}
