import { before, describe, test } from 'node:test';
import { repositoryFile, startPrimary, type Addresses } from '../support/start-primary.js';
import { LIMIT, needs, pythonOf, runClient } from './client-run.js';
import { ofFile } from './of-file.js';

const SETS = ['bentoml-1.1.11', 'bentoml-1.1.6'] as const;
const KINDS = repositoryFile('dist-test/support/kinds-service.js:service');

function start(...args: readonly string[]): Promise<Addresses> {
  return startPrimary(ofFile, ['serve', KINDS, '--grpc', '--reflection', ...args]).ready();
}

const isMissing = SETS.every((set) => pythonOf(set) === undefined);

describe('clients of BentoML', { ...LIMIT, skip: isMissing && 'no Python for them' }, () => {
  let server: Addresses;
  let older: Addresses;
  before(async () => {
    [server, older] = await Promise.all([start(), start('--protocol-version', 'v1alpha1')]);
  }, LIMIT);

  for (const set of SETS) {
    test(`${set}: Client over HTTP`, needs(set), (t) => runClient(t, set, 'bento_http', [server.http]));
    test(`${set}: Client over gRPC`, needs(set), (t) => runClient(t, set, 'bento_grpc', [server.grpc, 'v1']));
    test(`${set}: stubs of v1alpha1`, needs(set), (t) => runClient(t, set, 'bento_v1alpha1', [older.grpc, 'v1alpha1']));
  }
});
