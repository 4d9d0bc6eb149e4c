import type { MetricsDelta } from '../ipc/messages.js';
import { METRICS, type MetricName, type MetricRow } from './metric-names.js';

// M1 A process counts in memory and gives away what was added since the last time (`takeDelta`); it never keeps totals.
// M2 Totals live in the primary (`MetricsTotals`) and survive the death of any worker; gauges of a dead worker go with it.

type Labels = Readonly<Record<string, string>>;

/** One series; keep it where it is used often, `of` costs a string. */
export interface Counter {
  add(amount: number): void;
}
export interface Gauge {
  set(value: number): void;
}
export interface Histogram {
  observe(value: number): void;
}

/** What one process counts. */
export class Metrics {
  readonly #counters = new Map<string, { pending: number }>();
  readonly #gauges = new Map<string, { value: number }>();
  readonly #histograms = new Map<string, Histogram>();

  counter(name: MetricName, labels: Labels): Counter {
    const cell = this.#cell(seriesOf(name, labels));
    return {
      add(amount): void {
        cell.pending += amount;
      },
    };
  }

  gauge(name: MetricName, labels: Labels): Gauge {
    const series = seriesOf(name, labels);
    const cell = this.#gauges.get(series) ?? { value: 0 };
    this.#gauges.set(series, cell);
    return {
      set(value): void {
        cell.value = value;
      },
    };
  }

  histogram(name: MetricName, labels: Labels): Histogram {
    const series = seriesOf(name, labels);
    const known = this.#histograms.get(series);
    if (known !== undefined) return known;
    const buckets = (METRICS[name] as MetricRow).buckets ?? [];
    const cells = buckets.map((le) => this.#cell(seriesOf(`${name}_bucket`, { ...labels, le: String(le) })));
    const all = this.#cell(seriesOf(`${name}_bucket`, { ...labels, le: '+Inf' }));
    const sum = this.#cell(seriesOf(`${name}_sum`, labels));
    const count = this.#cell(seriesOf(`${name}_count`, labels));
    const histogram: Histogram = {
      observe(value): void {
        for (let i = buckets.length - 1; i >= 0 && value <= (buckets[i] ?? 0); i -= 1) {
          const cell = cells[i];
          if (cell !== undefined) cell.pending += 1; // buckets are cumulative
        }
        all.pending += 1;
        sum.pending += value;
        count.pending += 1;
      },
    };
    this.#histograms.set(series, histogram);
    return histogram;
  }

  /** What was counted since the last call, and the gauges as they stand. */
  takeDelta(): MetricsDelta {
    const counters: Record<string, number> = {};
    for (const [series, cell] of this.#counters) {
      if (cell.pending === 0) continue;
      counters[series] = cell.pending;
      cell.pending = 0;
    }
    const gauges: Record<string, number> = {};
    for (const [series, cell] of this.#gauges) gauges[series] = cell.value;
    return { counters, gauges };
  }

  #cell(series: string): { pending: number } {
    let cell = this.#counters.get(series);
    if (cell === undefined) {
      cell = { pending: 0 };
      this.#counters.set(series, cell);
    }
    return cell;
  }
}

/** The sum over all processes, living and dead. */
export class MetricsTotals {
  readonly #counters = new Map<string, number>();
  readonly #gaugesBySource = new Map<string, Readonly<Record<string, number>>>();

  /** @param source - who counted; its gauges replace those of its last delta. */
  add(source: string, delta: MetricsDelta): void {
    for (const [series, amount] of Object.entries(delta.counters)) {
      this.#counters.set(series, (this.#counters.get(series) ?? 0) + amount);
    }
    this.#gaugesBySource.set(source, delta.gauges);
  }

  /** The source has died: its counts stay, its gauges go (M2). */
  forget(source: string): void {
    this.#gaugesBySource.delete(source);
  }

  /** All series that begin with `prefix`: counters, those of histograms too, and gauges. */
  counters(prefix: string): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#all()].filter(([series]) => series.startsWith(prefix)));
  }

  /** Prometheus text format 0.0.4. */
  render(): string {
    const byMetric = new Map<string, string[]>();
    for (const [name, value] of this.#all()) {
      const metric = metricOf(name);
      const lines = byMetric.get(metric) ?? [];
      byMetric.set(metric, lines);
      lines.push(`${name} ${value}`);
    }
    let text = '';
    for (const [metric, row] of Object.entries(METRICS)) {
      const lines = byMetric.get(metric);
      if (lines === undefined) continue;
      text += `# HELP ${metric} ${row.help}\n# TYPE ${metric} ${row.type}\n${lines.join('\n')}\n`;
    }
    return text;
  }

  #all(): ReadonlyMap<string, number> {
    const series = new Map(this.#counters);
    for (const gauges of this.#gaugesBySource.values()) {
      for (const [name, value] of Object.entries(gauges)) {
        const other = series.get(name) ?? 0;
        series.set(name, takesLargest(name) ? Math.max(other, value) : other + value);
      }
    }
    return series;
  }
}

function takesLargest(series: string): boolean {
  const metric = metricOf(series);
  return Object.hasOwn(METRICS, metric) && (METRICS[metric as MetricName] as MetricRow).of === 'largest';
}

function metricOf(series: string): string {
  const brace = series.indexOf('{');
  const name = brace === -1 ? series : series.slice(0, brace);
  if (Object.hasOwn(METRICS, name)) return name;
  return name.replace(/_(bucket|sum|count)$/, '');
}

/** `name{label="value",…}`: what a counter is called where counters are read back. */
export function seriesOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
