import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseWorker, REPORT_VALID_MS, type WorkerView } from '#dist/link/choose-worker.js';

const NOW_MS = 10_000;

function worker(view: Partial<WorkerView>): WorkerView {
  return { accepts: true, inFlight: 0, reportedRows: 0, reportedAtMs: NOW_MS, ...view };
}

test('chooseWorker takes the worker with fewest calls and reported rows together', () => {
  const workers = [worker({ inFlight: 3 }), worker({ inFlight: 1, reportedRows: 1 }), worker({ reportedRows: 9 })];
  for (let turn = 0; turn < 6; turn += 1) assert.equal(chooseWorker(workers, turn, NOW_MS), 1);
});

test('chooseWorker goes round among equals', () => {
  const workers = [worker({}), worker({}), worker({})];
  assert.deepEqual(
    [0, 1, 2, 3].map((turn) => chooseWorker(workers, turn, NOW_MS)),
    [0, 1, 2, 0],
  );
});

test('chooseWorker forgets a report that is too old', () => {
  const old = worker({ reportedRows: 50, reportedAtMs: NOW_MS - REPORT_VALID_MS - 1 });
  assert.equal(chooseWorker([old, worker({ inFlight: 1 })], 0, NOW_MS), 0);
});

test('chooseWorker gives -1 where none accepts', () => {
  assert.equal(chooseWorker([], 0, NOW_MS), -1);
  assert.equal(chooseWorker([worker({ accepts: false })], 3, NOW_MS), -1);
});

test('chooseWorker never takes a worker that refuses, nor a busier one than it could', () => {
  const views = fc.record({
    accepts: fc.boolean(),
    inFlight: fc.nat(5),
    reportedRows: fc.nat(5),
    reportedAtMs: fc.constant(NOW_MS),
  });
  fc.assert(
    fc.property(fc.array(views), fc.nat(), (workers, turn) => {
      const loads = workers.filter(({ accepts }) => accepts).map((view) => view.inFlight + view.reportedRows);
      const chosen = workers[chooseWorker(workers, turn, NOW_MS)];
      if (loads.length === 0) return assert.equal(chosen, undefined);
      assert.ok(chosen?.accepts === true);
      return assert.equal(chosen.inFlight + chosen.reportedRows, Math.min(...loads));
    }),
  );
});
