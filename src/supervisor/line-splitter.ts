import { StringDecoder } from 'node:string_decoder';

/** Longer lines are cut into pieces: what another program prints must not fill this one's memory. */
const MAX_LINE_CHARACTERS = 8192;

/** Bytes that a program prints → lines, without their ends; empty ones are left out. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(bytes)).split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#tell(line);
    while (this.#rest.length > MAX_LINE_CHARACTERS) {
      this.#onLine(this.#rest.slice(0, MAX_LINE_CHARACTERS));
      this.#rest = this.#rest.slice(MAX_LINE_CHARACTERS);
    }
  }

  /** The program has closed its end: what has no line end is a line too. */
  end(): void {
    this.#tell(this.#rest + this.#decoder.end());
    this.#rest = '';
  }

  #tell(line: string): void {
    for (let at = 0; at < line.length; at += MAX_LINE_CHARACTERS)
      this.#onLine(line.slice(at, at + MAX_LINE_CHARACTERS));
  }
}
