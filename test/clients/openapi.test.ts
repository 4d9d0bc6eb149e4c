import { test } from 'node:test';
import { repositoryFile, startPrimary } from '../support/start-primary.js';
import { needs, runClient } from './client-run.js';

const SET = 'open-inference';

test(
  'openapi-spec-validator finds nothing in /docs.json of a service with every kind of API',
  needs(SET),
  async (t) => {
    const args = ['serve', repositoryFile('dist-test/support/kinds-service.js:service')];
    const { http } = await startPrimary(t, args).ready();
    await runClient(t, SET, 'openapi_document', [http]);
  },
);
