import type { ResponseInfo } from "./call.js";

type Query = Record<string, unknown>;

/** One page; `data` are its items as they came, newest first. `for await` goes on over the pages that follow. */
export class Page<T extends object> implements AsyncIterable<T> {
  readonly data: T[];
  readonly has_more: boolean;
  readonly url: string;
  /** Where to go on from a page that is short of its limit before the end; else its last item is. */
  readonly next_cursor: string | null;
  readonly lastResponse: ResponseInfo;
  readonly #query: Query;
  readonly #fetchPage: (query: Query) => Promise<Page<T>>;

  constructor(answer: Record<string, unknown>, query: Query, response: ResponseInfo, fetchPage: (query: Query) => Promise<Page<T>>) {
    this.data = Array.isArray(answer.data) ? (answer.data as T[]) : [];
    this.has_more = answer.has_more === true;
    this.url = typeof answer.url === "string" ? answer.url : "";
    this.next_cursor = typeof answer.next_cursor === "string" ? answer.next_cursor : null;
    this.lastResponse = response;
    this.#query = query;
    this.#fetchPage = fetchPage;
    Object.defineProperty(this, "lastResponse", { enumerable: false });
  }

  get #isBackward(): boolean {
    return Boolean(this.#query.ending_before);
  }

  /** Fetch the page that follows; null after the last. */
  async nextPage(): Promise<Page<T> | null> {
    const place = this.#isBackward ? 0 : this.data.length - 1;
    const cursor = this.next_cursor ?? (this.data[place] as { id?: string } | undefined)?.id;
    if (!this.has_more || cursor === undefined) return null;
    return this.#fetchPage({ ...this.#query, [this.#isBackward ? "ending_before" : "starting_after"]: cursor });
  }

  /** Iterate over this page and those that follow. */
  async *pages(): AsyncGenerator<Page<T>> {
    for (let page: Page<T> | null = this; page !== null; page = await page.nextPage()) yield page;
  }

  /** Iterate over all items of this page and those that follow; with `ending_before` to newer items. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const page of this.pages()) yield* page.#isBackward ? [...page.data].reverse() : page.data;
  }
}

/** A list that was asked for: `await` it for its first page, or iterate over it with `for await`. */
export class PagePromise<T extends object> implements PromiseLike<Page<T>>, AsyncIterable<T> {
  readonly #start: () => Promise<Page<T>>;
  #first?: Promise<Page<T>>;

  constructor(start: () => Promise<Page<T>>) {
    this.#start = start;
  }

  // eslint-disable-next-line unicorn/no-thenable
  then<A = Page<T>, B = never>(
    done?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#page().then(done, failed);
  }

  catch<B = never>(failed?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Page<T> | B> {
    return this.#page().catch(failed);
  }

  finally(done?: (() => void) | null): Promise<Page<T>> {
    return this.#page().finally(done);
  }

  /** Iterate over all items of all pages. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    yield* await this.#page();
  }

  /** Return the items of all pages, `limit` at most. */
  async toArray({ limit }: { limit: number }): Promise<T[]> {
    const items: T[] = [];
    if (limit <= 0) return items;
    for await (const item of this) {
      items.push(item);
      if (items.length >= limit) break;
    }
    return items;
  }

  #page(): Promise<Page<T>> {
    return (this.#first ??= this.#start());
  }
}
