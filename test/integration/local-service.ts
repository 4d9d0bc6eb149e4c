// The service of local-runner.test.ts: one model in both placements, and models that die, loop and call others.
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { JubakoError, defineRunner, defineService, json, stream, tensor, tensorOf, tensors } from '#dist/index.js';

const FLOATS = tensor('float32', [-1, 2], { allowNonFinite: true });
const MIXED = tensors({
  a: FLOATS,
  b: tensor('int64', [-1]),
  c: tensor('string', [-1, 1]),
  d: tensor('float16', [-1]),
});
const any = json<unknown>();

interface Ask {
  /** A file: what is to happen once happens where it does not exist, and makes it. */
  readonly once?: string;
  readonly how?: string;
  readonly to?: number;
}

const ask = json<Ask>();

function isFirst({ once }: Ask): boolean {
  if (once === undefined || existsSync(once)) return false;
  writeFileSync(once, '');
  return true;
}

function twin<const Name extends string>(name: Name, placement: 'process' | 'embedded') {
  return defineRunner({
    name,
    placement,
    load: () => null,
    methods: {
      double: {
        input: FLOATS,
        output: FLOATS,
        batch: { maxSize: 4 },
        run: (_model, rows) => {
          if (rows.data.includes(13)) throw new Error('unlucky row');
          for (let i = 0; i < rows.data.length; i += 1) rows.data[i] = (rows.data[i] ?? 0) * 2;
          return rows;
        },
      },
      mixed: { input: MIXED, output: MIXED, batch: {}, run: (_model, fields) => fields },
      each: { input: any, output: any, batch: {}, run: (_model, values) => values.map((value) => ({ value })) },
      one: { input: any, output: any, run: (_model, value) => value },
      rowsOf: { input: FLOATS, output: json<number>(), run: (_model, { rows }) => rows },
      shift: {
        input: FLOATS,
        output: FLOATS,
        run: (_model, rows) => tensorOf('float32', rows.shape, [...rows.data.subarray(1), rows.data[0] ?? 0]),
      },
      refuse: {
        input: ask,
        output: any,
        run: (_model, { how }) => {
          if (how === 'details')
            throw new JubakoError('FORBIDDEN', 'not you', { details: [{ path: '/', at: undefined }] });
          if (how === 'lost') throw new JubakoError('RUNNER_LOST', 'somebody else is lost');
          if (how === 'string') throw 'a text' as unknown as Error;
          throw new Error('plain');
        },
      },
      wrong: { input: ask, output: FLOATS, run: () => tensorOf('float32', [1, 3], [1, 2, 3]) },
      count: {
        input: ask,
        output: stream(any),
        run: async function* (_model, { to = 0, how }) {
          for (let i = 0; i < to; i += 1) yield { i: await Promise.resolve(i) };
          if (how !== undefined) throw new JubakoError('QUEUE_FULL', how);
        },
      },
      rows: {
        input: FLOATS,
        output: stream(FLOATS),
        run: async function* (_model, rows) {
          for (let i = 0; i < rows.rows; i += 1) {
            yield tensorOf('float32', [1, 2], await Promise.resolve(rows.data.slice(i * 2, i * 2 + 2)));
          }
        },
      },
    },
  });
}

const near = twin('near', 'embedded');
const far = twin('far', 'process');

/** Dies, or never ends, when it is told to. */
const mortal = defineRunner({
  name: 'mortal',
  placement: 'embedded',
  load: (place) => ({ place, given: 0, ended: false }),
  methods: {
    where: { input: ask, output: json<number>(), run: () => threadId },
    place: { input: ask, output: any, run: ({ place }) => place },
    /** May be repeated. */
    steady: {
      input: ask,
      output: json<number>(),
      batch: { maxSize: 1 },
      run: (_model, [first = {}]) => {
        if (isFirst(first) || first.how === 'exit') process.exit(3);
        return [threadId];
      },
    },
    /** Must not be repeated. */
    once: {
      input: ask,
      output: json<number>(),
      run: (_model, given) => {
        if (isFirst(given)) process.exit(3);
        return threadId;
      },
    },
    wait: {
      input: ask,
      output: json<string>(),
      concurrency: 8,
      run: async (_model, { once = '' }, { signal }) => {
        while (!existsSync(once)) await delay(2, undefined, { signal });
        return 'waited';
      },
    },
    /** Ends its thread when the file is there. */
    exit: {
      input: ask,
      output: any,
      concurrency: 8,
      run: async (_model, { once = '' }) => {
        while (!existsSync(once)) await delay(2);
        process.exit(3);
      },
    },
    loop: {
      input: ask,
      output: any,
      run: (_model, { once = '' }) => {
        writeFileSync(once, '');
        for (;;);
      },
    },
    count: {
      input: ask,
      output: stream(json<number>()),
      idempotent: true,
      run: async function* (model, given) {
        model.given = 0;
        try {
          for (let i = 0; i < (given.to ?? 3); i += 1) {
            if (i === 1 && isFirst(given)) process.exit(3);
            model.given += 1;
            yield await Promise.resolve(i);
          }
        } finally {
          model.ended = true;
        }
      },
    },
    /** How many values the last stream was asked for, and whether one has ended. */
    given: { input: ask, output: any, concurrency: 2, run: ({ given, ended }) => ({ given, ended }) },
  },
});

const caller = defineRunner({
  name: 'caller',
  placement: 'embedded',
  runners: [far],
  load: () => null,
  methods: {
    double: { input: FLOATS, output: FLOATS, batch: {}, run: (_model, rows, { runners }) => runners.far.double(rows) },
  },
});

const fails = defineRunner({
  name: 'fails',
  placement: 'embedded',
  load: () => {
    throw new Error('no weights');
  },
  methods: { one: { input: any, output: any, run: () => null } },
});

const slow = defineRunner({
  name: 'slow',
  placement: 'embedded',
  load: () => new Promise<null>(() => undefined),
  methods: { one: { input: any, output: any, run: () => null } },
});

export default defineService({
  name: 'local',
  runners: [near, far, mortal, caller, fails, slow],
  apis: {},
});
