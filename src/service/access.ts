/** What a protocol knows of a caller before it reads the request. */
export interface Caller {
  /** Of the TCP connection: `203.0.113.7`. */
  readonly address: string;
  /** `x-forwarded-for` as it came. */
  readonly forwardedFor: string | undefined;
  /** `authorization` as it came: `Bearer …`. */
  readonly authorization: string | undefined;
  /** `x-api-key` as it came. */
  readonly apiKey: string | undefined;
}

/** Who may call, and how often. */
export interface Access {
  /** True: every call passes, and need not be asked about. */
  readonly isOpen: boolean;
  /**
   * Lets a call in. A promise only where other processes have to be asked.
   * @throws {JubakoError} UNAUTHENTICATED, RATE_LIMITED.
   */
  admit(caller: Caller): void | Promise<void>;
}

/** Everybody, always. */
export const OPEN_ACCESS: Access = Object.freeze({ isOpen: true, admit: () => undefined });
