// What a newcomer does first, as a check: `npm start`, wait until it is ready, paste the curl line, classify held-out
// digits over HTTP and gRPC, stop. Exits 0 when all of it worked.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const root = fileURLToPath(new URL('..', import.meta.url));
const images = JSON.parse(readFileSync(new URL('../examples/digits/images.json', import.meta.url), 'utf8'));

const server = spawn('npm', ['start', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
});
const exited = new Promise((resolve) => server.once('exit', (code, signal) => resolve({ code, signal })));
const giveUp = setTimeout(() => server.kill('SIGKILL'), 120_000);
let primaryPid; // npm itself dies of the signals that it passes on, and its exit code says nothing of the server's

try {
  const { addresses, curl } = await untilReady();
  console.log(`ready: ${JSON.stringify(addresses)}`);

  const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} --silent --fail`]);
  assert.equal(JSON.parse(stdout).digit, 7);
  console.log(`the printed curl line answers: ${stdout}`);

  let agreed = 0;
  for (const { pixels, label, probabilities } of images) {
    const response = await fetch(`${addresses.http}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ pixels }),
    });
    assert.equal(response.status, 200);
    const overHttp = await response.json();
    const overGrpc = await infer(addresses.grpc, pixels);
    for (let digit = 0; digit < 10; digit += 1) {
      assert.ok(
        Math.abs(overHttp.probabilities[digit] - probabilities[digit]) < 1e-4,
        'HTTP gives what the model gave in training',
      );
      assert.ok(Math.abs(overGrpc[digit] - probabilities[digit]) < 1e-4, 'gRPC gives the same');
    }
    if (overHttp.digit === label) agreed += 1;
  }
  console.log(`${agreed} of ${images.length} held-out digits classified as labelled, over HTTP and gRPC alike`);
} finally {
  if (primaryPid === undefined) server.kill('SIGKILL');
  else process.kill(primaryPid, 'SIGTERM');
  const { code, signal } = await exited;
  clearTimeout(giveUp);
  console.log(`stopped: ${signal ?? `exit code ${code}`}`);
  process.exitCode = code === 0 && process.exitCode === undefined ? 0 : 1;
}

async function untilReady() {
  let addresses;
  for await (const line of createInterface({ input: server.stdout })) {
    if (!line.startsWith('{')) continue;
    const entry = JSON.parse(line);
    if (entry.worker === 'primary') primaryPid = entry.pid;
    if (entry.event === 'server.ready') addresses = entry.addresses;
    if (entry.event === 'server.example') {
      server.stdout.resume(); // read on, so that the server never waits for this process
      return { addresses, curl: entry.curl };
    }
  }
  throw new Error('npm start ended before the server was ready');
}

async function infer(address, pixels) {
  const proto = fileURLToPath(new URL('../src/grpc/proto/inference.proto', import.meta.url));
  const { inference } = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true }));
  const client = new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());
  const request = {
    model_name: 'digits',
    inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 64], contents: { fp32_contents: pixels } }],
  };
  try {
    const answer = await promisify(client.ModelInfer.bind(client))(request);
    return answer.outputs[0].contents.fp32_contents;
  } finally {
    client.close();
  }
}
