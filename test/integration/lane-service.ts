import { JubakoError, defineRunner, defineService, json, stream, tensor, tensorOf, type Tensor } from '#dist/index.js';

// The service that the tests of compute lanes load into real threads.

interface Ask {
  readonly key?: string;
  readonly to?: number;
  readonly how?: string;
}

const ask = json<Ask>();
const text = json<string>();
const FLOATS = tensor('float32', [-1, 2]);

interface State {
  kept?: Tensor<'float32'>;
  readonly events: string[];
  readonly gates: Map<string, () => void>;
}

function tell({ events }: State, event: string): void {
  events.push(event);
}

/** Resolves when `open` is called with the key. */
function gate({ gates }: State, key: string): Promise<void> {
  return new Promise((resolve) => gates.set(key, resolve));
}

export const model = defineRunner({
  name: 'model',
  load: (place): State & { readonly place: typeof place } => ({ events: [], gates: new Map(), place }),
  methods: {
    place: { input: ask, output: json(), run: ({ place }) => place },
    double: {
      input: FLOATS,
      output: FLOATS,
      batch: { maxSize: 8 },
      run: (_model, rows) => {
        for (let i = 0; i < rows.data.length; i += 1) rows.data[i] = (rows.data[i] ?? 0) * 2;
        return rows;
      },
    },
    sumAndKeep: {
      input: FLOATS,
      output: FLOATS,
      run: (state, rows) => {
        state.kept = rows;
        return tensorOf('float32', [1, 2], [0, rows.data.at(-1) ?? 0]);
      },
    },
    giveKept: { input: FLOATS, output: FLOATS, run: ({ kept }, rows) => kept ?? rows },
    greet: { input: ask, output: text, batch: {}, run: (_model, asks) => asks.map(({ key }) => `hello ${key ?? ''}`) },
    /** What happened in the thread so far. */
    events: { input: ask, output: json<readonly string[]>(), run: ({ events }) => events },
    open: {
      input: ask,
      output: json(),
      run: ({ gates }, { key = '' }) => {
        gates.get(key)?.();
        return gates.delete(key);
      },
    },
    hold: {
      input: ask,
      output: text,
      concurrency: 4,
      run: async (state, { key = '' }, { signal }) => {
        signal.addEventListener('abort', () => state.gates.get(key)?.());
        tell(state, `hold ${key}`);
        await gate(state, key);
        tell(state, `held ${key}`);
        signal.throwIfAborted();
        return key;
      },
    },
    misbehave: {
      input: ask,
      output: text,
      run: (_model, { how }) => {
        misbehave(how);
        return 'nothing happened';
      },
    },
    late: {
      input: ask,
      output: text,
      run: (_model, { how }) => {
        setTimeout(() => misbehave(how), 0);
        return new Promise<string>(() => undefined);
      },
    },
    count: {
      input: ask,
      output: stream(json<number>()),
      run: async function* (state, { to = 3, key, how }, { signal }) {
        signal.addEventListener('abort', () => {
          tell(state, 'aborted');
        });
        try {
          for (let i = 0; i < to; i += 1) {
            if (i === 2 && key !== undefined) await gate(state, key);
            if (i === 2 && how === 'throw') throw new JubakoError('QUEUE_FULL', 'no third value');
            tell(state, `asked for ${i}`);
            yield i;
          }
        } finally {
          tell(state, 'finally');
        }
      },
    },
    rows: {
      input: FLOATS,
      output: stream(FLOATS),
      run: async function* (_model, rows) {
        for (let i = 0; i < rows.rows; i += 1) {
          yield tensorOf('float32', [1, 2], rows.data.subarray(i * 2, i * 2 + 2));
        }
      },
    },
    misfits: {
      input: FLOATS,
      output: stream(FLOATS),
      run: async function* (state, rows) {
        try {
          yield rows;
          yield tensorOf('float32', [1, 3], [1, 2, 3]);
        } finally {
          tell(state, 'finally of misfits');
        }
      },
    },
    notStreaming: { input: ask, output: stream(text), run: () => 'text' as never },
  },
});

function misbehave(how: string | undefined): void {
  switch (how) {
    case 'exit':
      process.exit(3);
      break;
    case 'throw':
      throw new Error('thrown by the model');
    case 'reject':
      void Promise.reject(new Error('rejected by the model'));
      break;
    case 'spin':
      for (;;);
    case 'strange':
      throw Object.create(null);
    case 'details':
      throw new JubakoError('INVALID_INPUT', 'with odd details', { details: { big: 1n } });
    case 'memory': {
      const kept: unknown[] = [];
      for (;;) kept.push(new Array(100_000).fill(0).map((_, i) => ({ i })));
    }
    default:
      break;
  }
}

/** Calls `model`, over links of its thread's own. */
export const caller = defineRunner({
  name: 'caller',
  runners: [model],
  load: () => ({}),
  methods: {
    double: {
      input: FLOATS,
      output: FLOATS,
      batch: {},
      run: (_model, rows, { runners }) => runners.model.double(rows),
    },
    greet: { input: ask, output: text, run: (_model, input, { runners }) => runners.model.greet(input) },
    ping: { input: ask, output: text, run: () => 'pong' },
    wrong: {
      input: ask,
      output: json(),
      run: (_model, _input, { runners }) => runners.model.double(tensorOf('float32', [1, 3], [1, 2, 3])),
    },
    count: {
      input: ask,
      output: stream(json<number>()),
      run: async function* (_model, input, { runners }) {
        for await (const value of runners.model.count(input)) yield value * 10;
      },
    },
    relay: {
      input: ask,
      output: stream(json<number>()),
      run: (_model, input, { runners }) => runners.model.count(input),
    },
    first: {
      input: ask,
      output: json(),
      run: async (_model, input, { runners }) => {
        const { value } = (await runners.model.count(input)[Symbol.asyncIterator]().next()) as { value: number };
        return value; // and leaves the stream open
      },
    },
  },
});

const nothing = { input: ask, output: text, run: () => '' };

const exits = defineRunner({ name: 'exits', load: () => process.exit(4), methods: { nothing } });

/** Waits for something that nothing brings about. */
const hangs = defineRunner({ name: 'hangs', load: () => new Promise(() => undefined), methods: { nothing } });

const fails = defineRunner({
  name: 'fails',
  load: () => {
    throw new Error('no weights');
  },
  methods: { nothing },
});

export default defineService({
  name: 'lanes',
  runners: [model, caller, exits, hangs, fails],
  apis: {},
});
