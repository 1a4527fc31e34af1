import { Caller, checkTimes, type Fetch, type Logger, type Timing } from "./call.js";
import { environment, isBrowser, readBaseUrl, readKey, userAgent } from "./config.js";
import { ConfigurationError } from "./errors.js";
import { Resources } from "./resources.js";

/** Settings of a client; times are in milliseconds. */
export interface ClientOptions {
  /** Your key, or else MASSIVESMS_API_KEY of the environment. */
  apiKey?: string;
  /** Another address of the API, or else MASSIVESMS_BASE_URL. */
  baseUrl?: string;
  /** How long one try may take: 30 s. */
  timeout?: number;
  /** How long all tries of a call, and the waits between them, may take: 120 s, or as long as a longer timeout. */
  deadline?: number;
  /** How often a call is tried again: twice. */
  maxRetries?: number;
  /** Names your application in the User-Agent. */
  appInfo?: string;
  /** Sends requests in place of the global `fetch`. */
  fetch?: Fetch;
  /** Is told what is done: methods, paths, statuses and retries; never keys, phones or texts. */
  log?: Logger;
  /** Admits browsers, where anybody can read the key. */
  dangerouslyAllowBrowser?: boolean;
  /** A clock and a sleeper for tests. */
  timing?: Timing;
}

const timing: Timing = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, milliseconds);
      signal?.addEventListener("abort", stop, { once: true });
    }),
};

/** A client of the MassiveSMS API. */
export class MassiveSMS extends Resources {
  /** Whether the key is a live one; false in the sandbox. */
  readonly livemode: boolean;
  /** The address of the API. */
  readonly baseUrl: string;
  readonly #caller: Caller;

  constructor(options: ClientOptions = {}) {
    super();
    if (isBrowser() && !options.dangerouslyAllowBrowser) {
      throw new ConfigurationError("An API key must not be in a browser, where anybody can read it.");
    }
    const key = options.apiKey ?? environment("MASSIVESMS_API_KEY");
    if (key === undefined) throw new ConfigurationError("Give apiKey, or set MASSIVESMS_API_KEY.");
    this.livemode = readKey(key);
    this.baseUrl = readBaseUrl(options.baseUrl);
    const { timeout = 30_000, deadline, maxRetries = 2 } = options;
    checkTimes(timeout, deadline ?? timeout, maxRetries);
    this.#caller = new Caller({
      baseUrl: this.baseUrl,
      headers: {
        Authorization: `Bearer ${key}`,
        Accept: "application/json",
        "User-Agent": userAgent(options.appInfo),
      },
      secret: key,
      timeout,
      deadline,
      maxRetries,
      fetch: options.fetch ?? ((url, init) => globalThis.fetch(url, init)),
      timing: options.timing ?? timing,
      log: options.log ?? (() => {}),
      // Next.js has a fetch that answers from a cache of its own; elsewhere the option may be refused.
      isUncached: environment("NEXT_RUNTIME") !== undefined,
    });
  }

  protected override get caller(): Caller {
    return this.#caller;
  }
}
