import type { TestContext } from 'node:test';
import { defineRunner, defineService, type RunnerDefinition, type ServiceDefinition } from '#dist/service/define.js';
import { json, stream, tensor, tensors } from '#dist/service/index.js';
import type { Invoker } from '#dist/service/invoke.js';
import { manifestOf } from '#dist/service/manifest-of.js';
import type { Manifest } from '#dist/service/manifest.js';
import type { ProtocolServerOptions } from '#dist/service/protocol-server.js';
import { MetricsTotals, type Metrics } from '#dist/telemetry/metrics.js';
import { DTYPES, type Dtype, type Tensor } from '#dist/tensor/index.js';
import { otherOptions } from '../support/protocol-options.js';
import { startGrpc, type Harness } from './grpc-harness.js';
import { startHttp, type StartedServer } from './http-harness.js';

/** The Open Inference Protocol over both protocols at once, in front of one fake invoker. */

const run = (): never => {
  throw new Error('never runs: the invoker is a fake');
};

const ALL_DTYPES = Object.keys(DTYPES) as Dtype[];

/** `echo.<dtype>` takes and gives any shape of two dimensions; `pair` has two tensors; `words` JSON; `tokens` streams. */
export const inferenceService: ServiceDefinition = defineService({
  name: 'sample',
  version: '7',
  runners: [
    defineRunner({
      name: 'echo',
      load: () => null,
      methods: Object.fromEntries(
        ALL_DTYPES.map((dtype) => [
          dtype,
          {
            input: tensor(dtype, [-1, -1], { allowNonFinite: true }),
            output: tensor(dtype, [-1, -1], { allowNonFinite: true }),
            batch: { maxSize: 8 },
            run,
          },
        ]),
      ),
    }),
    defineRunner({
      name: 'pair',
      load: () => null,
      methods: {
        other: { input: json(), output: json(), run },
        predict: {
          input: tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) }),
          output: tensors({ ids: tensor('int64', [-1, 2]), mask: tensor('bool', [-1, 2]) }),
          run,
        },
      },
    }),
    defineRunner({ name: 'words', load: () => null, methods: { count: { input: json(), output: json(), run } } }),
    defineRunner({
      name: 'embed',
      load: () => null,
      methods: { text: { input: json(), output: tensor('float32', [-1, 2]), run } },
    }),
    defineRunner({
      name: 'tokens',
      load: () => null,
      methods: {
        generate: { input: json<number>(), output: stream(json<number>()), run },
        rows: { input: tensor('float32', [-1, 2]), output: stream(tensor('float32', [-1, 2])), run },
      },
    }),
    version('3', true),
    version('1', false),
  ],
  apis: {},
});

function version(number: string, isDefault: boolean): RunnerDefinition {
  const runner = defineRunner({
    name: isDefault ? 'net' : `net.v${number}`,
    load: () => null,
    methods: {
      predict: {
        input: tensor('float32', [-1, 2], { name: 'pixels' }),
        output: tensor('float32', [-1, 2], { name: 'classes' }),
        run,
      },
    },
  });
  return { ...runner, model: { name: 'net', version: number, isDefault } };
}

export const inferenceManifest: Manifest = {
  ...manifestOf(inferenceService),
  unavailable: [{ name: 'net', version: '2', reason: 'the file is broken' }],
};

export interface InferenceOptions {
  readonly invoker?: Partial<Invoker>;
  readonly others?: Partial<ProtocolServerOptions>;
  readonly config?: Partial<ProtocolServerOptions['config']>;
}

export interface InferenceServers {
  readonly http: StartedServer;
  readonly grpc: Harness;
}

/** Gives back what it gets; tells of a batch of 2 rows. */
export const ECHO: Invoker['callRunner'] = ({ input, timing }) => {
  timing.queueMs += 2;
  timing.computeMs += 3;
  timing.batchRows = 2;
  return Promise.resolve(input);
};

/** 1, 2, … up to the number that is asked for; or each row of a tensor apart. */
export async function* counting(input: unknown): AsyncGenerator<unknown, void, undefined> {
  if (typeof input === 'number') {
    for (let number = 1; number <= input; number += 1) yield await Promise.resolve(number);
  } else {
    yield await Promise.resolve(input as Tensor);
  }
}

export async function startInference(t: TestContext, options: InferenceOptions = {}): Promise<InferenceServers> {
  const totals = new MetricsTotals();
  const counted: Metrics[] = [];
  const counters = (prefix: string): Promise<Readonly<Record<string, number>>> => {
    counted.forEach((metrics, i) => {
      totals.add(String(i), metrics.takeDelta());
    });
    return Promise.resolve(totals.counters(prefix));
  };
  const others = { ...otherOptions(), counters, manifest: inferenceManifest, ...options.others };
  const invoker: Partial<Invoker> = {
    callRunner: ECHO,
    streamRunner: ({ input }) => counting(input),
    ...options.invoker,
  };
  const config = options.config ?? {};
  const http = await startHttp(t, { invoker, config, others: { service: inferenceService, ...others } });
  const { callRunner = ECHO } = invoker;
  const grpc = await startGrpc(t, { service: inferenceService, invoker, callRunner, config, others });
  counted.push(http.metrics, grpc.metrics);
  return { http, grpc };
}
