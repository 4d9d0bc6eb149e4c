import type { PoolPlan } from './plan.js';

/**
 * The steps in which pools are told to stop: API workers first (maybe none), then each runner after all that call it.
 * Pools of one step go together. Runners never call each other in a circle.
 */
export function drainOrder<T extends { readonly plan: Pick<PoolPlan, 'role' | 'runner' | 'calls'> }>(
  pools: readonly T[],
): readonly (readonly T[])[] {
  const steps = [pools.filter(({ plan }) => plan.role !== 'runner')];
  let left = pools.filter(({ plan }) => plan.role === 'runner');
  while (left.length > 0) {
    const called = new Set(left.flatMap(({ plan }) => plan.calls));
    const step = left.filter(({ plan }) => !called.has(plan.runner ?? ''));
    if (step.length === 0) throw new TypeError('Cannot order the drain: runners call each other in a circle');
    steps.push(step);
    left = left.filter((pool) => !step.includes(pool));
  }
  return steps;
}
