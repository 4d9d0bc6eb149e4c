// The other side of the grpc and streams cases: a bare grpc-js server whose handlers answer with what they were sent, or with
// the values of an async generator. Its messages are those of Jubako's services, decoded and encoded in the same way.
// Usage: node plain-grpc.mjs --port N
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { BENTO, INFERENCE, STREAMS, toValue } from './grpc-messages.mjs';

const { values } = parseArgs({ options: { port: { type: 'string' } } });

const { Call } = BENTO;
const { ModelInfer } = INFERENCE;
const { CallStream } = STREAMS;

async function* tokens(count) {
  for (let index = 0; index < count; index += 1) yield { json: toValue({ index, text: `token ${index}` }) };
}

const server = new Server();
server.addService({ Call }, { Call: ({ request }, answer) => answer(null, { json: request.json }) });
server.addService(
  { ModelInfer },
  {
    ModelInfer({ request }, answer) {
      const [{ datatype, shape }] = request.inputs;
      answer(null, {
        model_name: request.model_name,
        model_version: '1',
        outputs: [{ name: 'output', datatype, shape }],
        raw_output_contents: request.raw_input_contents,
      });
    },
  },
);
server.addService(
  { CallStream },
  { CallStream: (call) => pipeline(Readable.from(tokens(call.request.json.numberValue)), call).catch(() => undefined) }, // the client has gone
);
server.bindAsync(`127.0.0.1:${values.port}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
