import type { Http2Session } from 'node:http2';

/**
 * On one connection: answers wait in memory until the client reads them, and one that does not read could have any number
 * of them made. What is beyond this is not kept.
 */
export const MAX_UNREAD_BYTES = 256 * 1024 * 1024;

/** Bytes of answers that wait for the client of one connection to read them. */
export class UnreadAnswers {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= MAX_UNREAD_BYTES;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

const bySession = new WeakMap<Http2Session, UnreadAnswers>();

export function unreadAnswersOf(session: Http2Session): UnreadAnswers {
  let unread = bySession.get(session);
  if (unread === undefined) {
    unread = new UnreadAnswers();
    bySession.set(session, unread);
  }
  return unread;
}
