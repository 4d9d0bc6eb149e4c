import { JubakoError } from '../errors.js';
import type { Exchange } from './exchange.js';
import type { StreamFormat } from './stream-formats.js';
import type { StreamedAnswer } from './streamed-answer.js';

// A stream of values → an answer.
// V1 The head is sent with the first value: a failure before it is an answer as any other, with its own status.
// V2 A value is asked for only when the client has taken those before it, up to what Node buffers.
// V3 However the answer ends, the stream is told to end.

/** Idle time after which a comment is sent: half of what proxies allow at least. */
const KEEP_ALIVE_MS = 15_000;

type StreamExchange = Pick<Exchange, 'beginStream' | 'fail' | 'requestId'>;

/** Never rejects. */
export async function answerValues(
  exchange: StreamExchange,
  values: AsyncIterator<unknown>,
  format: StreamFormat,
  keepAliveMs = KEEP_ALIVE_MS,
): Promise<void> {
  try {
    const first = await values.next();
    const firstPiece = first.done === true ? undefined : format.item(first.value, 1);
    const answer = exchange.beginStream(format.contentType, format.headers);
    if (answer === undefined) return;
    if (firstPiece === undefined) answer.end(format.end);
    else {
      answer.write(firstPiece);
      await sendRest(exchange, answer, values, format, keepAliveMs);
    }
  } catch (thrown) {
    exchange.fail(JubakoError.from(thrown));
  } finally {
    endQuietly(values); // V3
  }
}

/** Never rejects. */
async function sendRest(
  exchange: StreamExchange,
  answer: StreamedAnswer,
  values: AsyncIterator<unknown>,
  format: StreamFormat,
  keepAliveMs: number,
): Promise<void> {
  const { keepAlive } = format;
  const timer = keepAlive === undefined ? undefined : keepAliveEvery(keepAliveMs, answer, keepAlive);
  try {
    for (let number = 2; ; number += 1) {
      if (answer.isFull) await answer.drained(); // V2
      if (answer.isEnded) return;
      const next = await values.next();
      if (answer.isEnded) return;
      if (next.done === true) {
        answer.end(format.end);
        return;
      }
      answer.write(format.item(next.value, number));
      timer?.refresh();
    }
  } catch (thrown) {
    const error = JubakoError.from(thrown);
    const last = format.failure(error, exchange.requestId);
    if (answer.isEnded) return;
    if (last === undefined) answer.cut(error);
    else answer.end(last, error);
  } finally {
    clearInterval(timer);
  }
}

function keepAliveEvery(ms: number, answer: StreamedAnswer, comment: string): NodeJS.Timeout {
  return setInterval(() => {
    if (!answer.isFull) answer.write(comment);
  }, ms).unref();
}

/** Nobody waits for it. */
function endQuietly(values: AsyncIterator<unknown>): void {
  void values.return?.().then(undefined, ignore);
}

function ignore(): void {
  // What a stream throws when it is told to end is of no use to a client that has gone.
}
