import { before, describe, test } from 'node:test';
import { fixture, startPrimary, type Addresses } from '../support/start-primary.js';
import { LIMIT, needs, runClient } from './client-run.js';
import { ofFile } from './of-file.js';

const SET = 'open-inference';

describe('clients of the Open Inference Protocol', needs(SET), () => {
  let server: Addresses;
  before(async () => {
    const args = ['serve', fixture('clients/service.ts'), '--grpc', '--model-control', '--api-workers', '2'];
    server = await startPrimary(ofFile, args).ready();
  }, LIMIT);

  for (const kind of ['http', 'http.aio', 'grpc', 'grpc.aio']) {
    test(`tritonclient.${kind}`, LIMIT, (t) => {
      const address = kind.startsWith('http') ? new URL(server.http).host : server.grpc;
      return runClient(t, SET, 'triton_clients', [kind, address]);
    });
  }

  test('kserve.InferenceRESTClient', LIMIT, (t) => runClient(t, SET, 'kserve_clients', ['rest', server.http]));
  test('kserve.InferenceGRPCClient', LIMIT, (t) => runClient(t, SET, 'kserve_clients', ['grpc', server.grpc]));
});
