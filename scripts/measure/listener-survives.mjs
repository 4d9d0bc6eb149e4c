// Connections lost while the only HTTP worker is killed ten times: stock node:cluster, whose listening socket goes with its
// last worker, against Jubako, whose primary keeps it. Written down in DECISIONS.md. Usage: node scripts/measure/listener-survives.mjs
import cluster from 'node:cluster';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const KILLS = 10;
const CLIENTS = 4;
const HUNG_MS = 3000;

if (cluster.isPrimary) {
  console.log('stock node:cluster', await measure(startCluster));
  console.log('jubako            ', await measure(startJubako));
  process.exit();
} else {
  http.createServer((_request, response) => response.end('x')).listen(0, '127.0.0.1');
}

/** Clients connect one after another for as long as the worker is killed and replaced. */
async function measure(start) {
  const { port, killWorker, stop } = await start();
  const counts = { kills: KILLS, answered: 0, refused: 0, reset: 0, hung: 0 };
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      counts[await connectOnce(port)] += 1;
      await delay(2);
    }
  };
  const clients = Array.from({ length: CLIENTS }, client);
  for (let i = 0; i < KILLS; i += 1) {
    await delay(400);
    killWorker();
  }
  await delay(500);
  isOver = true;
  await Promise.all(clients);
  stop();
  return counts;
}

function connectOnce(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write('GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    });
    const end = (outcome) => {
      resolve(outcome);
      socket.destroy();
    };
    socket.setTimeout(HUNG_MS, () => end('hung'));
    socket.on('data', () => end('answered'));
    socket.on('error', ({ code }) => end(code === 'ECONNREFUSED' ? 'refused' : 'reset'));
    socket.on('close', () => end('reset'));
  });
}

async function startCluster() {
  const replace = () => cluster.fork();
  cluster.on('exit', replace);
  cluster.fork();
  const { port } = await new Promise((resolve) => cluster.once('listening', (_worker, address) => resolve(address)));
  const killWorker = () => Object.values(cluster.workers).forEach((worker) => worker.process.kill('SIGKILL'));
  return {
    port,
    killWorker,
    stop() {
      cluster.off('exit', replace);
      killWorker();
    },
  };
}

async function startJubako() {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const args = ['dist/primary.js', 'serve', 'examples/echo', '--port', '0', '--api-workers', '1', '--no-access-log'];
  const primary = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let workerPid;
  const port = await new Promise((resolve) => {
    createInterface({ input: primary.stdout }).on('line', (line) => {
      const entry = JSON.parse(line);
      if (entry.event === 'worker.ready' && entry.role === 'http') workerPid = entry.workerPid;
      if (entry.event === 'server.ready') resolve(Number(new URL(entry.addresses.http).port));
    });
  });
  const killWorker = () => {
    try {
      process.kill(workerPid, 'SIGKILL');
    } catch {
      // between two workers: nothing to kill
    }
  };
  return { port, killWorker, stop: () => primary.kill('SIGTERM') };
}
