import { JubakoError } from '../errors.js';

// Whether runners may be loaded or unloaded, and which others that takes. Pure.
// J1 What a loaded runner calls is loaded. So a load brings along what is called, and an unload is refused while a loaded
//    runner that stays calls it: to take that one down unasked would surprise whoever serves it.

/** A runner as these decisions see it. */
export interface RunnerView {
  readonly name: string;
  /** `pool`: worker processes here · `embedded`: in the API workers · `remote`: elsewhere. */
  readonly place: 'pool' | 'embedded' | 'remote';
  readonly isLoaded: boolean;
  /** Names of the runners that it calls. */
  readonly calls: readonly string[];
}

/**
 * The runners to load: the ones asked for and all that these call.
 * @throws {JubakoError} NOT_FOUND - no such runner; INVALID_INPUT - one that was asked for has no workers here.
 */
export function decideLoad(asked: readonly string[], all: readonly RunnerView[]): readonly string[] {
  const wanted = new Set(asked.map((name) => controllable(name, all, 'load').name));
  for (const name of wanted) {
    // grows while it is read
    for (const called of all.find((runner) => runner.name === name)?.calls ?? []) {
      if (all.find((runner) => runner.name === called)?.place === 'pool') wanted.add(called);
    }
  }
  return [...wanted];
}

/**
 * The runners to unload: those that were asked for.
 * @throws {JubakoError} as `decideLoad`; INVALID_INPUT - a loaded runner that stays calls one of them.
 */
export function decideUnload(asked: readonly string[], all: readonly RunnerView[]): readonly string[] {
  const going = [...new Set(asked.map((name) => controllable(name, all, 'unload').name))];
  for (const name of going) {
    const caller = all.find((one) => one.isLoaded && one.calls.includes(name) && !going.includes(one.name));
    if (caller === undefined) continue;
    const first = caller.place === 'pool' ? `; unload "${caller.name}" first, or both at once` : '';
    throw new JubakoError('INVALID_INPUT', `Cannot unload runner "${name}": runner "${caller.name}" calls it${first}`);
  }
  return going;
}

function controllable(name: string, all: readonly RunnerView[], action: 'load' | 'unload'): RunnerView {
  const runner = all.find((candidate) => candidate.name === name);
  if (runner === undefined) throw new JubakoError('NOT_FOUND', `Cannot ${action} runner "${name}": there is none`);
  if (runner.place === 'pool') return runner;
  const why = runner.place === 'embedded' ? 'it is embedded in the API workers' : 'it answers elsewhere';
  throw new JubakoError('INVALID_INPUT', `Cannot ${action} runner "${name}": ${why}`);
}
