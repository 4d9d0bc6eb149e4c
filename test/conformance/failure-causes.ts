import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ErrorCode } from '#dist/errors.js';
import { askEverywhere, type Heard } from './catalogue.js';
import {
  ECHO,
  HOLD,
  HOLD_IN_MODEL,
  MAX_BODY_BYTES,
  askAll,
  askInference,
  askModel,
  askRoute,
  fillQueue,
  fillWorkers,
  killRunner,
  leave,
  neverDone,
  outlastClient,
  outlastRequest,
  stop,
  whileAway,
  type Servers,
} from './provocations.js';

// What brings each row of the catalogue about, apart from a service that throws it.
// F1 The order matters: what takes workers away comes last.

export interface Cause {
  readonly title: string;
  /** Of the message to the client. */
  readonly message?: RegExp;
  /** The server that it happens at; default: `main`. */
  readonly at?: Exclude<keyof Servers, 'closedGate'>;
  /** What each door answered; nothing where the client hears nothing. */
  readonly provoke: (servers: Servers, t: TestContext) => Promise<readonly Heard[]>;
}

const DOUBLE = { api: 'double', model: 'model.double' };
const NUMBER = { api: 'number', model: 'model.number' };

export const CAUSES: Readonly<Record<ErrorCode, readonly Cause[]>> = {
  INVALID_INPUT: [
    {
      title: 'value that does not fit the schema',
      message: /\/n must be number/,
      provoke: ({ main }) => askEverywhere(main, NUMBER, { n: 'three' }),
    },
    {
      title: 'tensor of another shape',
      message: /shape.*\[1, 3\]/,
      provoke: ({ main }) => askEverywhere(main, DOUBLE, [[1, 2, 3]]),
    },
  ],
  UNAUTHENTICATED: [
    {
      title: 'caller without a key',
      message: /wanted a key/,
      at: 'guarded',
      provoke: ({ guarded }) => askEverywhere(guarded, ECHO, 1),
    },
    {
      title: 'caller with a key that is unknown',
      message: /its key is not known/,
      at: 'guarded',
      provoke: ({ guarded }) => askEverywhere(guarded, ECHO, 1, { headers: { authorization: 'Bearer nope' } }),
    },
  ],
  FORBIDDEN: [
    {
      title: 'unload where the setting modelControl is off',
      message: /the setting modelControl is off/,
      provoke: async ({ main }) => [
        await askRoute(main, '/v2/repository/models/model/unload', { body: '{}' }, 'OIP JSON'),
        await askInference(main, 'RepositoryModelUnload', { model_name: 'model' }),
      ],
    },
  ],
  NOT_FOUND: [
    {
      title: 'API, route or model that is not there',
      message: /Cannot find .*nope/,
      provoke: ({ main }) => askEverywhere(main, { api: 'nope', model: 'nope' }, 1),
    },
    {
      title: 'name that every object has',
      message: /Cannot find .*constructor/,
      provoke: ({ main }) => askEverywhere(main, { api: 'constructor', model: 'constructor' }, 1),
    },
    {
      title: 'method that its runner has not',
      message: /model\.nope/,
      provoke: ({ main }) => askModel(main, 'model.nope', ''),
    },
    {
      title: 'version that is not served',
      message: /version "99".*"3"/,
      provoke: async ({ main }) => [
        ...(await askModel(main, 'model.echo', '99')),
        await askRoute(main, '/v2/models/model.echo/versions/99/ready', {}, 'OIP JSON'),
        await askRoute(main, '/v2/models/model.echo/versions/99', {}, 'OIP JSON'),
        await askInference(main, 'ModelReady', { name: 'model.echo', version: '99' }),
        await askInference(main, 'ModelMetadata', { name: 'model.echo', version: '99' }),
      ],
    },
  ],
  METHOD_NOT_ALLOWED: [
    {
      title: 'HTTP method that a route does not take',
      message: /^Cannot (?:GET|DELETE|PUT) \/echo: the methods are POST$/,
      provoke: async ({ main }: Servers): Promise<readonly Heard[]> => {
        const asked = await Promise.all(['GET', 'DELETE', 'PUT'].map((method) => askRoute(main, '/echo', { method })));
        for (const { told } of asked) assert.match(told.seen, /"allow":"POST"/);
        return asked;
      },
    },
    {
      title: 'POST to a probe',
      message: /the methods are GET, HEAD/,
      provoke: async ({ main }) => [
        await askRoute(main, '/livez', { body: '1' }),
        await askRoute(main, '/v2/health/live', { body: '1' }, 'OIP JSON'),
      ],
    },
    {
      title: 'RPC of an extension that is not served',
      message: /this server has no such extension/,
      provoke: async ({ main }) => [await askInference(main, 'TraceSetting', {})],
    },
  ],
  TOO_LARGE: [
    {
      title: 'body beyond maxBodyBytes, message beyond maxMessageLength',
      message: /65536/,
      provoke: ({ main }) => askEverywhere(main, ECHO, 'x'.repeat(MAX_BODY_BYTES)),
    },
  ],
  UNSUPPORTED_MEDIA: [
    {
      title: 'content type that an API does not take',
      message: /application\/xml/,
      provoke: async ({ main }) => [
        await askRoute(main, '/double', { body: '<one/>', headers: { 'content-type': 'application/xml' } }),
      ],
    },
    {
      title: 'body in a coding that is unknown',
      message: /zstd/,
      provoke: async ({ main }) => [
        await askRoute(main, '/echo', { body: '1', headers: { 'content-encoding': 'zstd' } }),
      ],
    },
  ],
  RATE_LIMITED: [
    {
      title: 'client that sends more than rateLimit allows',
      message: /may send 0.001 per second/,
      at: 'limited',
      provoke: ({ limited }) => askEverywhere(limited, ECHO, 1),
    },
  ],
  QUEUE_FULL: [
    {
      title: 'queue of a runner that is full',
      message: /2 rows wait already/,
      provoke: fillQueue,
    },
    { title: 'as many requests as maxConcurrency allows', message: /limit (?:of|is) 10/, provoke: fillWorkers },
  ],
  DEADLINE_EXCEEDED: [
    {
      title: 'handler that takes longer than the setting timeout',
      message: /the deadline/,
      at: 'hasty',
      provoke: ({ hasty }, t) => askEverywhere(hasty, HOLD, neverDone(t)),
    },
    {
      title: 'model that takes longer than the setting timeout',
      message: /deadline/,
      at: 'hasty',
      provoke: ({ hasty }, t) => askEverywhere(hasty, HOLD_IN_MODEL, neverDone(t)),
    },
    { title: 'parameter timeout of a request', message: /deadline/, provoke: outlastRequest },
    { title: 'deadline of a gRPC client', provoke: outlastClient },
  ],
  CLIENT_GONE: [{ title: 'client that leaves', provoke: leave }],
  USER_CODE: [
    {
      title: 'handler and model that throw a plain error',
      provoke: async ({ main }) => [
        ...(await askEverywhere(main, { api: 'crash', model: 'model.crash' }, 'the secret is 42')),
        ...(await askEverywhere(main, { api: 'crash-in-model' }, 'the secret is 42')),
      ],
    },
    {
      title: 'model that gives another shape than it promises',
      provoke: ({ main }) => askEverywhere(main, { api: 'narrow', model: 'model.narrow' }, [[1, 2, 3, 4]]),
    },
    {
      title: 'model that gives another number of rows than it got',
      provoke: ({ main }) =>
        askEverywhere(main, { api: 'short', model: 'model.short' }, [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ]),
    },
    {
      title: 'model that gives no list for a batch of JSON values',
      provoke: ({ main }) => askEverywhere(main, { api: 'listless', model: 'model.listless' }, 1),
    },
    {
      title: 'handler whose output does not fit its descriptor',
      provoke: ({ main }) => askEverywhere(main, { api: 'misfit' }, 1),
    },
  ],
  RUNNER_LOST: [
    {
      title: 'runner worker that dies with a call that must not be repeated',
      message: /held\.hold/,
      provoke: killRunner,
    },
  ],
  NOT_READY: [
    {
      title: 'runner tier that is away',
      message: /runner "held"/,
      provoke: (servers, t) => whileAway(servers, () => askEverywhere(servers.main, HOLD_IN_MODEL, neverDone(t))),
    },
    {
      title: 'probe of a server whose runner tier is away',
      message: /runner "held"/,
      provoke: (servers) => whileAway(servers, () => askAll(servers.main, ['/readyz', '/v2/health/ready'])),
    },
  ],
  DRAINING: [{ title: 'server that was told to stop', message: /shutting down/, provoke: stop }],
  // Nothing that a client does brings these about: a bug does, or a start that fails.
  INTERNAL: [],
  LINK_PROTOCOL: [],
  BIND_FAILED: [],
  CONFIG_INVALID: [],
  SERVICE_INVALID: [],
};
