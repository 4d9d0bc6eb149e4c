import { ValueStreamReader } from '#dist/tensor/value-stream.js';

// What an API that streams has said over HTTP, in each of its forms.

export const VALUES_TYPE = 'application/vnd.jubako.values';
export type StreamType = 'application/x-ndjson' | 'text/event-stream' | typeof VALUES_TYPE;

export interface StreamEnd {
  readonly code: string;
  readonly message: string;
}

/** What came, and the failure that it ended with; throws where it was cut. */
export function readStream(
  type: StreamType,
  bytes: Buffer,
): { readonly items: readonly unknown[]; readonly error: StreamEnd | undefined } {
  switch (type) {
    case 'application/x-ndjson':
      return readLines(bytes.toString('utf8'));
    case 'text/event-stream':
      return readEvents(bytes.toString('utf8'));
    case VALUES_TYPE:
      return readValues(bytes);
    default:
      return type satisfies never;
  }
}

type Read = ReturnType<typeof readStream>;

function readLines(text: string): Read {
  const lines = text.split('\n').filter((line) => line !== '');
  const items = lines.map((line) => JSON.parse(line) as unknown);
  const last = items.at(-1) as { readonly error?: StreamEnd } | null | undefined;
  const error = typeof last === 'object' ? last?.error : undefined;
  return error === undefined ? { items, error: undefined } : { items: items.slice(0, -1), error: endOf(error) };
}

function readEvents(text: string): Read {
  const items: unknown[] = [];
  for (const event of text.split('\n\n').filter((one) => one.includes('data:'))) {
    const fields = event.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line)?.slice(1) ?? ['', '']);
    const data = fields.flatMap(([name, value = '']) => (name === 'data' ? [value] : [])).join('\n');
    const kind = fields.find(([name]) => name === 'event')?.[1];
    if (kind === 'end') return { items, error: undefined };
    if (kind === 'error') return { items, error: endOf(JSON.parse(data) as StreamEnd) };
    items.push(parseData(data));
  }
  throw new Error(`The stream was cut: ${text}`);
}

/** Texts stand as they are, everything else as JSON. */
function parseData(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch {
    return data;
  }
}

function readValues(bytes: Buffer): Read {
  const reader = new ValueStreamReader(bytes.length);
  const frames = reader.push(bytes);
  reader.end();
  const items = frames.flatMap((frame) => (frame.kind === 'item' ? [frame.value] : []));
  const error = frames.flatMap((frame) => (frame.kind === 'error' ? [endOf(frame.error)] : []))[0];
  return { items, error };
}

function endOf({ code, message }: StreamEnd): StreamEnd {
  return { code, message };
}
