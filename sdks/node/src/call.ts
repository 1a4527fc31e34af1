import {
  APIConnectionError,
  APIStatusError,
  APITimeoutError,
  ConfigurationError,
  fromAnswer,
  InvalidResponseError,
  type MassiveSMSError,
} from "./errors.js";
import { Page, PagePromise } from "./pages.js";

const RETRIED = [408, 429, 500, 501, 502, 503, 504];
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;
const LONGEST_RETRY_AFTER = 60;
const RETRY_AFTER_JITTER = 500;
// All tries and waits of a call together, where no deadline is given; or one try's time, where that is longer.
const LONGEST_CALL = 120_000;
const LONGEST_TIME = 86_400_000;
// What the caller's headers do not replace.
const OWN_HEADERS = ["authorization", "content-type", "idempotency-key", "msvs-retry-count"];
const OPTIONS = ["idempotencyKey", "timeout", "deadline", "maxRetries", "headers", "signal"];

/** The AbortSignal that the project's types know, or what is used of one where they know none. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer T } }
  ? T
  : {
      readonly aborted: boolean;
      readonly reason: unknown;
      throwIfAborted(): void;
      addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
      removeEventListener(type: "abort", listener: () => void): void;
    };

/** Settings of one call that win over the client's; times are in milliseconds. */
export interface RequestOptions {
  /** Sent with a POST or DELETE in place of a random key. */
  idempotencyKey?: string;
  /** How long one try may take. */
  timeout?: number;
  /** How long all tries and the waits between them may take: 120 s where neither says, or more for a longer timeout. */
  deadline?: number;
  maxRetries?: number;
  headers?: Record<string, string>;
  /** Ends the call. */
  signal?: Signal;
}

/** The answer as it came over the wire. */
export interface ResponseInfo {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly requestId: string | null;
  readonly tries: number;
  readonly idempotencyKey: string | null;
  /** Whether an earlier request with the same key was answered before, and this is its answer. */
  readonly isReplayed: boolean;
}

/** A result, which also has the answer it came with (not enumerable, so not in its JSON). */
export type Result<T> = T & { readonly lastResponse: ResponseInfo };

/** The parts of `fetch` that are used. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>;
/** What `fetch` is given. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  redirect: "manual";
  signal: Signal;
  /** Given where Next.js would answer from its cache. */
  cache?: "no-store";
}
/** What `fetch` answers. */
export interface FetchAnswer {
  readonly status: number;
  readonly headers: { forEach(each: (value: string, name: string) => void): void };
  text(): Promise<string>;
}

/** A clock and a sleeper, which tests replace. */
export interface Timing {
  now(): number;
  sleep(milliseconds: number, signal?: Signal): Promise<void>;
}

/** What the log is told: `level` is debug or info. */
export type Logger = (level: "debug" | "info", message: string) => void;

/** What all calls of a client share. */
export interface Settings {
  baseUrl: string;
  headers: Record<string, string>;
  secret: string;
  timeout: number;
  deadline: number | undefined;
  maxRetries: number;
  fetch: Fetch;
  timing: Timing;
  log: Logger;
  isUncached: boolean;
}

/** Parts of a request. */
export interface Parts {
  query?: object;
  body?: object;
  deprecated?: string;
  options: RequestOptions;
}

interface Answer {
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
}

const told = new Set<string>();

/** Return an id as a part of a path. */
export function pathId(name: string, value: string): string {
  if (typeof value !== "string" || ["", ".", ".."].includes(value)) {
    throw new ConfigurationError(`${name} is not an id: ${JSON.stringify(value)}`);
  }
  return encodeURIComponent(value);
}

/** Makes calls. */
export class Caller {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Make a call and return its result. */
  async one<T>(method: string, path: string, parts: Parts): Promise<Result<T>> {
    const { value, response } = await this.#run(method, path, parts);
    return attach(value as T, response);
  }

  /** Make a call and return the page it answers. */
  page<T extends object>(method: string, path: string, parts: Parts): PagePromise<T> {
    const fetchPage = async (query: Record<string, unknown>): Promise<Page<T>> => {
      const { value, response } = await this.#run(method, path, { ...parts, query });
      return new Page<T>(value, query, response, fetchPage);
    };
    return new PagePromise<T>(() => fetchPage({ ...parts.query }));
  }

  async #run(method: string, path: string, parts: Parts): Promise<{ value: Record<string, unknown>; response: ResponseInfo }> {
    const settings = this.#settings;
    const { options } = parts;
    if (parts.deprecated && !told.has(parts.deprecated)) {
      told.add(parts.deprecated);
      settings.log("info", `${parts.deprecated} is deprecated: see its documentation.`);
    }
    const started = settings.timing.now();
    const longest = options.timeout ?? settings.timeout;
    const deadline = options.deadline ?? settings.deadline ?? Math.max(LONGEST_CALL, longest);
    const maxRetries = options.maxRetries ?? settings.maxRetries;
    const unknown = Object.keys(options).filter((name) => !OPTIONS.includes(name));
    if (unknown.length > 0) throw new ConfigurationError(`A call has no option ${unknown.join(", ")}.`);
    checkTimes(longest, deadline, maxRetries);
    const headers = merged(settings.headers, options.headers ?? {});
    const body = parts.body === undefined ? undefined : JSON.stringify(encode(parts.body));
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let key: string | null = null;
    if (method !== "GET") headers["Idempotency-Key"] = key = readIdempotencyKey(options.idempotencyKey);
    checkHeaders(headers);
    const url = settings.baseUrl + path + queryString(parts.query ?? {});
    for (let tries = 1; ; tries++) {
      if (tries > 1) headers["MSVS-Retry-Count"] = String(tries - 1);
      const left = deadline - (settings.timing.now() - started);
      const timeout = Math.max(Math.min(longest, left), 1);
      const outcome = await this.#try({ method, headers, ...(body === undefined ? {} : { body }) }, url, timeout, options.signal);
      const judged = outcome instanceof Error ? outcome : this.#judge(outcome, tries, key);
      if (!(judged instanceof Error)) {
        settings.log("debug", `${method} ${path}: ${judged.response.status}, request ${judged.response.requestId}`);
        return judged;
      }
      judged.idempotencyKey = key;
      judged.tries = tries;
      const wait = waitAfter(judged, tries);
      const name = (judged instanceof APIStatusError && judged.code) || judged.name;
      const isLate = wait !== null && settings.timing.now() + wait - started >= deadline;
      if (wait === null || tries > maxRetries || isLate) {
        settings.log("info", `${method} ${path} failed: ${name} after ${tries} tries`);
        throw judged;
      }
      settings.log("info", `${method} ${path} failed: ${name}; trying again in ${Math.round(wait)} ms`);
      options.signal?.throwIfAborted();
      await settings.timing.sleep(wait, options.signal);
    }
  }

  async #try(
    init: { method: string; headers: Record<string, string>; body?: string },
    url: string,
    timeout: number,
    outer: Signal | undefined,
  ): Promise<Answer | MassiveSMSError> {
    outer?.throwIfAborted();
    const controller = new AbortController();
    const stop = () => controller.abort();
    const timer = setTimeout(stop, timeout);
    outer?.addEventListener("abort", stop, { once: true });
    try {
      const { fetch, isUncached } = this.#settings;
      const cache = isUncached ? { cache: "no-store" as const } : {};
      const answer = await fetch(url, { ...init, ...cache, redirect: "manual", signal: controller.signal });
      const headers = new Map<string, string>();
      answer.headers.forEach((value, name) => headers.set(name.toLowerCase(), value));
      return { status: answer.status, headers, body: await answer.text() };
    } catch (cause) {
      outer?.throwIfAborted();
      if (controller.signal.aborted || (cause as Error | undefined)?.name === "TimeoutError") {
        return new APITimeoutError(`No answer came within ${Math.round(timeout)} ms.`, { cause });
      }
      return new APIConnectionError("No answer came.", { cause });
    } finally {
      clearTimeout(timer);
      outer?.removeEventListener("abort", stop);
    }
  }

  #judge(
    answer: Answer,
    tries: number,
    idempotencyKey: string | null,
  ): MassiveSMSError | { value: Record<string, unknown>; response: ResponseInfo } {
    if (answer.status < 200 || answer.status > 299) {
      // An answer that repeats the key has it in no part of the error.
      const shown = { ...answer, body: answer.body.split(this.#settings.secret).join("[API key]") };
      return fromAnswer(shown, parsed(shown.body));
    }
    const decoded = parsed(answer.body);
    if (typeof decoded !== "object" || decoded === null || Array.isArray(decoded)) {
      return new InvalidResponseError(`The server answered ${answer.status} with a body that is no JSON object.`);
    }
    const response: ResponseInfo = {
      ...answer,
      requestId: answer.headers.get("x-request-id") ?? null,
      tries,
      idempotencyKey,
      isReplayed: answer.headers.get("idempotent-replayed") === "true",
    };
    return { value: decoded as Record<string, unknown>, response };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function attach<T>(value: T, response: ResponseInfo): Result<T> {
  Object.defineProperty(value, "lastResponse", { value: response, enumerable: false });
  return value as Result<T>;
}

function waitAfter(error: MassiveSMSError, tries: number): number | null {
  let retryAfter: number | null = null;
  if (error instanceof APIStatusError) {
    const isInUse = error.status === 409 && error.code === "idempotency_key_in_use";
    if (!RETRIED.includes(error.status) && !isInUse) return null;
    retryAfter = error.retry_after;
  } else if (!(error instanceof APIConnectionError)) {
    return null;
  }
  if (retryAfter === null) {
    return Math.min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT) * (0.5 + Math.random() / 2);
  }
  return retryAfter > LONGEST_RETRY_AFTER ? null : retryAfter * 1000 + Math.random() * RETRY_AFTER_JITTER;
}

/** Throw ConfigurationError for times and counts that cannot be. */
export function checkTimes(timeout: number, deadline: number, maxRetries: number): void {
  const isTime = (value: unknown) => typeof value === "number" && value > 0 && value <= LONGEST_TIME;
  if (!isTime(timeout) || !isTime(deadline)) {
    throw new ConfigurationError("Time-outs and deadlines are milliseconds: more than 0, and 86,400,000 at most.");
  }
  if (!Number.isInteger(maxRetries) || maxRetries < 0) throw new ConfigurationError("maxRetries is 0 or more.");
}

/** Return headers with the caller's in place of the client's, in any case of letters; the client's key stays. */
function merged(own: Record<string, string>, given: Record<string, string>): Record<string, string> {
  const lower = Object.keys(given).map((name) => name.toLowerCase());
  const kept = Object.entries(own).filter(([name]) => name === "Authorization" || !lower.includes(name.toLowerCase()));
  const added = Object.entries(given).filter(([name]) => !OWN_HEADERS.includes(name.toLowerCase()));
  return Object.fromEntries([...kept, ...added]);
}

function readIdempotencyKey(key: string | undefined): string {
  if (key === undefined) return crypto.randomUUID();
  if (!/^[ -~]{1,255}$/.test(key)) {
    throw new ConfigurationError("An idempotency key is 1 to 255 printable ASCII characters.");
  }
  return key;
}

function checkHeaders(headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new ConfigurationError("A header has signs it may not have.");
    }
  }
}

function queryString(query: object): string {
  const isMap = (value: unknown): value is object =>
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date) && !(value instanceof Set);
  const parts = Object.entries(query)
    // A map is asked for key by key, as in metadata[order]=1042.
    .flatMap(([name, value]) =>
      isMap(value) ? Object.entries(encode(value) as object).map(([key, each]) => [`${name}[${key}]`, each] as const) : [[name, value] as const],
    )
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(encode(value)))}`);
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

/** Return a value as JSON can write it, without what is undefined. */
function encode(value: unknown): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new ConfigurationError("A time is not valid.");
    return value.toISOString().replace(".000Z", "Z");
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new ConfigurationError("A number is finite.");
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
    throw new ConfigurationError(`A ${typeof value} cannot be sent.`);
  }
  if (Array.isArray(value)) return value.map(encode);
  if (value instanceof Set) return Array.from(value, encode);
  if (value instanceof Map) return encode(Object.fromEntries(value));
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) throw new ConfigurationError("Bytes cannot be sent.");
  if (typeof (value as { toJSON?: unknown } | null | undefined)?.toJSON === "function") {
    return encode((value as { toJSON(): unknown }).toJSON());
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, encode(each)]));
  }
  return value;
}
