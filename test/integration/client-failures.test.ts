import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ClientError, createClient, JubakoError } from '#dist/client/index.js';
import type { ServiceDefinition } from '#dist/service/define.js';
import {
  answerBytes,
  answerError,
  answerJson,
  JSON_SPEC,
  LIMIT,
  Milestone,
  startServer,
  type HandmadeApi,
} from './client-harness.js';

function api(answer: HandmadeApi['answer']): HandmadeApi {
  return { input: JSON_SPEC, output: JSON_SPEC, answer };
}

async function failureOf(call: Promise<unknown>): Promise<ClientError> {
  const thrown = await call.then(
    (value) => assert.fail(`it answered ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (thrown instanceof ClientError) return thrown;
  throw thrown;
}

type Sample = ServiceDefinition<{ go: unknown }, { go: unknown }>;

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test(
  'an error answer becomes a ClientError with its code, message, details, id, status and Retry-After',
  LIMIT,
  async (t) => {
    const server = await startServer(t, {
      refuse: api((response) => {
        const error = { code: 'QUEUE_FULL', message: 'Cannot take more', requestId: 'r7', details: [1] };
        answerError(response, 503, error, { 'retry-after': '3', 'x-request-id': 'r7' });
      }),
    });
    const error = await failureOf(server.client().refuse(1));
    assert.ok(error instanceof JubakoError, 'whoever looks for a JubakoError finds it');
    const { code, message, details, requestId, status, retryAfterSeconds } = error;
    assert.deepEqual(
      { code, message, details, requestId, status, retryAfterSeconds },
      {
        code: 'QUEUE_FULL',
        message: 'Cannot take more',
        details: [1],
        requestId: 'r7',
        status: 503,
        retryAfterSeconds: 3,
      },
    );
  },
);

test('a ClientError is told from other JubakoErrors', () => {
  assert.equal(new JubakoError('NOT_FOUND', 'no') instanceof ClientError, false);
  assert.equal(new ClientError('NOT_FOUND', 'no') instanceof ClientError, true);
});

test('an answer of a proxy, which has no code, gets that of its status', LIMIT, async (t) => {
  let status = 0;
  const server = await startServer(t, {
    go: api((response) => response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>')),
  });
  const client = server.client();
  const codes: Record<number, string> = {};
  for (status of [400, 401, 403, 404, 405, 413, 415, 418, 429, 500, 502, 503, 504]) {
    const error = await failureOf(client.go(1));
    assert.equal(error.status, status);
    assert.equal(error.message, `${server.url}/go answered with status ${status}`);
    assert.equal(error.retryAfterSeconds, undefined);
    codes[status] = error.code;
  }
  assert.deepEqual(codes, {
    400: 'INVALID_INPUT',
    401: 'UNAUTHENTICATED',
    403: 'FORBIDDEN',
    404: 'NOT_FOUND',
    405: 'METHOD_NOT_ALLOWED',
    413: 'TOO_LARGE',
    415: 'UNSUPPORTED_MEDIA',
    418: 'INVALID_INPUT',
    429: 'RATE_LIMITED',
    500: 'INTERNAL',
    502: 'NOT_READY',
    503: 'NOT_READY',
    504: 'DEADLINE_EXCEEDED',
  });
});

test('a code that this version does not know becomes that of the status', LIMIT, async (t) => {
  const server = await startServer(t, {
    go: api((response) => {
      answerError(response, 429, { code: 'TOO_EAGER', message: 'Cannot go so fast', requestId: 'r1' });
    }),
  });
  const error = await failureOf(server.client().go(1));
  assert.deepEqual([error.code, error.message], ['RATE_LIMITED', 'Cannot go so fast']);
});

test('a server that is not there is NOT_READY without a status, and says why', LIMIT, async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const error = await failureOf(createClient<Sample>(url).go(1));
  assert.equal(error.code, 'NOT_READY');
  assert.equal(error.status, undefined);
  assert.equal(error.retryAfterSeconds, undefined);
  assert.match(error.message, new RegExp(`^Cannot reach ${url}/docs.json: .*ECONNREFUSED`));
});

test('a connection that breaks inside the answer is NOT_READY with the status', LIMIT, async (t) => {
  const server = await startServer(t, {
    go: api((response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100', 'x-request-id': 'r2' });
      response.write('[1,', () => response.destroy());
    }),
  });
  const error = await failureOf(server.client().go(1));
  assert.deepEqual([error.code, error.status, error.requestId], ['NOT_READY', 200, 'r2']);
  assert.match(error.message, /to its end/);
});

test('an answer that is not what was asked for is INTERNAL and names what came', LIMIT, async (t) => {
  const tensor = { kind: 'tensor', dtype: 'float32', shape: [-1], allowNonFinite: false } as const;
  const server = await startServer(t, {
    page: api((response) => {
      answerBytes(response, 'text/html', Buffer.from('<h1>'));
    }),
    json: api((response) => {
      answerBytes(response, 'application/json', Buffer.from('{'));
    }),
    tensor: {
      input: JSON_SPEC,
      output: tensor,
      answer: (response) => {
        const headers = { 'tensor-dtype': 'float32', 'tensor-shape': '2' };
        answerBytes(response, 'application/octet-stream', Buffer.alloc(4), headers);
      },
    },
  });
  const client = server.client();
  const messages = await Promise.all(
    (['page', 'json', 'tensor'] as const).map(async (name) => {
      const { code, message } = await failureOf(client.$call(name, 1));
      assert.equal(code, 'INTERNAL');
      return message;
    }),
  );
  assert.equal(
    messages[0],
    `Cannot read the answer of ${server.url}/page: it is "text/html", wanted "application/json"`,
  );
  assert.match(messages[1] ?? '', /\/json: .*JSON/);
  assert.match(messages[2] ?? '', /\/tensor: Cannot read a float32 tensor of shape \[2\]: it needs 8 bytes, got 4/);
});

test('values that cannot be sent are INVALID_INPUT and are not sent', LIMIT, async (t) => {
  const server = await startServer(t, { go: api((response) => answerJson(response, 1)) });
  const client = server.client();
  assert.equal((await failureOf(client.go(10n))).code, 'INVALID_INPUT');
  const { code, message } = await failureOf(client.go({ picture: new Uint8Array(1) }));
  assert.equal(code, 'INVALID_INPUT');
  assert.match(message, /API "go": Cannot send tensors or bytes/);
  const options = { headers: { 'x-name': 'two\nlines' } };
  assert.match((await failureOf(client.go(1, options))).message, /Cannot send the headers/);
  assert.match((await failureOf(client.go(1, { timeoutMs: 0 }))).message, /timeoutMs 0/);
  assert.equal(server.calls().length, 0);
});

test('createClient refuses addresses and options that cannot work', () => {
  const refused = (url: string, options?: object): string => {
    try {
      createClient(url, options);
    } catch (thrown) {
      assert.ok(thrown instanceof JubakoError && thrown.code === 'INVALID_INPUT');
      return thrown.message;
    }
    return assert.fail(`${url} was taken`);
  };
  assert.match(refused('nowhere'), /"nowhere".*no URL/);
  assert.match(refused('ftp://host'), /wanted http: or https:/);
  assert.match(refused('http://me:secret@host'), /name and password/);
  assert.match(refused('http://host/?a=1'), /neither/);
  assert.match(refused('http://host', { retries: 1.5 }), /retries 1.5/);
  assert.match(refused('http://host', { timeoutMs: -1 }), /timeoutMs -1/);
});

test('a call that takes longer than timeoutMs is DEADLINE_EXCEEDED, and its connection is closed', LIMIT, async (t) => {
  const left = new Milestone();
  const server = await startServer(t, {
    quick: api((response) => answerJson(response, 1)),
    hang: api((response) => response.on('close', left.reach)),
  });
  const client = server.client();
  await client.quick(1); // the document is there
  const error = await failureOf(client.hang(1, { timeoutMs: 50 }));
  assert.equal(error.code, 'DEADLINE_EXCEEDED');
  assert.match(error.message, /50 ms/);
  await left.reached;
});

test('timeoutMs covers the body of the answer, and a call may turn that of the client off', LIMIT, async (t) => {
  const patient = new Milestone();
  const server = await startServer(t, {
    half: api((response, { body }) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('[');
      if (body.toString() === '"patient"') void patient.reached.then(() => response.end('1]'));
    }),
  });
  const client = server.client({ timeoutMs: 50 });
  const answer = client.half('patient', { timeoutMs: Infinity });
  assert.equal((await failureOf(client.half('hasty'))).code, 'DEADLINE_EXCEEDED');
  patient.reach();
  assert.deepEqual(await answer, [1]);
});

test('a call that is aborted fails with the reason of the signal, and its connection is closed', LIMIT, async (t) => {
  const came = new Milestone();
  const left = new Milestone();
  const server = await startServer(t, {
    hang: api((response) => {
      came.reach();
      response.on('close', left.reach);
    }),
  });
  const client = server.client();
  const reason = { why: 'the user left' };
  const controller = new AbortController();
  const call = client.hang(1, { signal: controller.signal });
  await came.reached;
  controller.abort(reason);
  assert.equal(await call.catch((thrown: unknown) => thrown), reason);
  await left.reached;
  const late = client.hang(1, { signal: controller.signal });
  assert.equal(await late.catch((thrown: unknown) => thrown), reason, 'a signal that is aborted already');
});

test(
  'a refusal with 503 and Retry-After is tried again as often as retries says, by default never',
  LIMIT,
  async (t) => {
    let refusals = 2;
    const server = await startServer(t, {
      busy: api((response) => {
        refusals -= 1;
        if (refusals < 0) return answerJson(response, 'done');
        const error = { code: 'QUEUE_FULL', message: 'Cannot take more', requestId: 'r1' };
        return answerError(response, 503, error, { 'retry-after': '0' });
      }),
    });
    assert.equal((await failureOf(server.client().busy(1))).code, 'QUEUE_FULL');
    assert.equal(server.calls().length, 1);
    refusals = 2;
    assert.equal((await failureOf(server.client({ retries: 1 }).busy(1))).code, 'QUEUE_FULL');
    assert.equal(server.calls().length, 3);
    refusals = 2;
    assert.equal(await server.client({ retries: 2 }).busy({ a: 1 }), 'done');
    const bodies = server.calls().slice(3);
    assert.deepEqual(
      bodies.map(({ body }) => body.toString()),
      ['{"a":1}', '{"a":1}', '{"a":1}'],
    );
  },
);

test('what may have been begun, or asks for no other try, is not tried again', LIMIT, async (t) => {
  const server = await startServer(t, {
    lost: api((response) => {
      answerError(response, 503, { code: 'RUNNER_LOST', message: 'Lost', requestId: 'r1' }, { 'retry-after': '0' });
    }),
    proxy: api((response) => response.writeHead(503).end()),
    limited: api((response) => {
      answerError(response, 429, { code: 'RATE_LIMITED', message: 'Slow', requestId: 'r1' }, { 'retry-after': '0' });
    }),
    broken: api((response) => response.destroy()),
  });
  const client = server.client({ retries: 5 });
  for (const name of ['lost', 'proxy', 'limited', 'broken'] as const) await failureOf(client.$call(name, 1));
  assert.equal(server.calls().length, 4);
});

test('a retry that timeoutMs leaves no time for is not waited for: the refusal is the failure', LIMIT, async (t) => {
  const server = await startServer(t, {
    busy: api((response) => {
      const error = { code: 'QUEUE_FULL', message: 'Cannot take more', requestId: 'r1' };
      answerError(response, 503, error, { 'retry-after': '3600' });
    }),
  });
  const client = server.client({ retries: 3, timeoutMs: 20_000 });
  assert.equal((await failureOf(client.busy(1))).code, 'QUEUE_FULL');
  assert.equal(server.calls().length, 1);
});

test('an abort ends the wait for a retry', LIMIT, async (t) => {
  const controller = new AbortController();
  const server = await startServer(t, {
    busy: api((response) => {
      response.on('finish', () => {
        controller.abort('enough');
      });
      answerError(response, 503, { code: 'QUEUE_FULL', message: 'Full', requestId: 'r1' }, { 'retry-after': '3600' });
    }),
  });
  const call = server.client({ retries: 3 }).busy(1, { signal: controller.signal });
  assert.equal(await call.catch((thrown: unknown) => thrown), 'enough');
});
