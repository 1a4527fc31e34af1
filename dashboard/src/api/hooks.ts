// How pages read and change things.
import { createRequest, type AnyVariables, type CombinedError, type OperationResult, type TypedDocumentNode } from "@urql/core";
import { createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { useClient, useQuery, useSubscription, type UseQueryArgs } from "urql";
import { pipe, subscribe } from "wonka";
import type { Connection } from "./client";
import { RECONNECTED, useLiveState } from "./live";
import { problemOf, problemOfResult, type Problem } from "./problems";
import { useTrouble } from "./troubles";

export const ConnectionContext = createContext<Connection | null>(null);

export function useConnection(): Connection {
  return useContext(ConnectionContext)!;
}

export interface Reading<Data> {
  /** What is known, old data while it is read again included. */
  data: Data | undefined;
  problem: Problem | null;
  isLoading: boolean;
  retry: () => void;
}

interface Options {
  pause?: boolean;
  /** Read again each so many milliseconds, while the page is seen. */
  every?: number;
}

/** Read data and keep it fresh: at each change of the cache, and after the connection was away. */
export function useData<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { pause = false, every }: Options = {},
): Reading<Data> {
  const [result, execute] = useQuery({ query, variables, pause } as UseQueryArgs<Variables, Data>);
  const retry = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useEffect(() => {
    if (pause) return undefined;
    window.addEventListener(RECONNECTED, retry);
    return () => window.removeEventListener(RECONNECTED, retry);
  }, [pause, retry]);
  useEffect(() => {
    if (pause || every === undefined) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), every);
    return () => clearInterval(timer);
  }, [pause, every, retry]);
  const problem = useProblem(result.error);
  useTrouble(problem, retry);
  return {
    // An answer that is an error alone has null in its place.
    data: result.data ?? undefined,
    problem,
    isLoading: result.fetching || result.stale,
    retry,
  };
}

/** Return what an error tells: one object as long as it is the same error. */
const useProblem = (error: CombinedError | undefined): Problem | null => useMemo(() => (error === undefined ? null : problemOf(error)), [error]);

type Success<Result> = Exclude<Result, { __typename: `${string}Error` }>;
type ResultOf<Data> = Data extends { __typename?: unknown } & infer Fields ? Exclude<Fields[Exclude<keyof Fields, "__typename">], null> : never;

export type Outcome<Data> = { done: Success<ResultOf<Data>>; problem: null } | { done: null; problem: Problem };

export interface Change<Data, Variables> {
  run: (variables: Variables) => Promise<Outcome<Data>>;
  isRunning: boolean;
}

/** Change something: a mutation whose answer is a union of a success and its errors. */
export function useChange<Data, Variables extends AnyVariables>(mutation: TypedDocumentNode<Data, Variables>): Change<Data, Variables> {
  const client = useClient();
  const [running, setRunning] = useState(0);
  const run = useCallback(
    async (variables: Variables): Promise<Outcome<Data>> => {
      setRunning((count) => count + 1);
      try {
        const { data, error } = await client.mutation(mutation, variables).toPromise();
        if (error !== undefined) return { done: null, problem: problemOf(error) };
        const { __typename: _root, ...fields } = data as Record<string, unknown>;
        const [result] = Object.values(fields);
        const problem = problemOfResult(result);
        if (problem !== null) return { done: null, problem };
        return { done: result as Success<ResultOf<Data>>, problem: null };
      } finally {
        setRunning((count) => count - 1);
      }
    },
    [client, mutation],
  );
  return { run, isRunning: running > 0 };
}

/** Hear of things as they happen; the cache takes them in by itself. */
export function useLive<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { pause = false, onItem }: { pause?: boolean; onItem?: (data: Data) => void } = {},
): Data | undefined {
  const [result] = useSubscription<Data, Data, Variables>({ query, variables, pause } as never, (_before, data) => {
    onItem?.(data);
    return data;
  });
  return result.data;
}

// The service has a subscription's place by then.
const SUBSCRIBED_MS = 1000;

/** Read once more when the socket has begun: nothing else tells what came between the first read and that. */
export function useCaughtUp(retry: () => void) {
  const state = useLiveState(useConnection().live);
  useEffect(() => {
    if (state !== "live") return undefined;
    const timer = setTimeout(retry, SUBSCRIBED_MS);
    return () => clearTimeout(timer);
  }, [state, retry]);
}

/** Return what reads once from the service, and not from what is kept; undefined where it does not answer. */
export function useReadNow() {
  const client = useClient();
  return useCallback(
    async <Data, Variables extends AnyVariables>(query: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data | undefined> =>
      (await client.query(query, variables, { requestPolicy: "network-only" }).toPromise()).data,
    [client],
  );
}

/** Return a key under which a request does its work once, however often it is sent. */
export const newKey = (): string => crypto.randomUUID();

interface Connected<Row> {
  nodes: Row[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
  totalCount?: number;
}

export interface Feed<Row> {
  rows: Row[] | undefined;
  totalCount: number | undefined;
  problem: Problem | null;
  isLoading: boolean;
  hasMore: boolean;
  loadMore: () => void;
  retry: () => void;
}

export const PAGE = 50;

/**
 * Read a list page after page. Each page stays a query of its own that is read again when the cache says so, and begins
 * where the one before it ends, so that nothing is shown twice or left out when rows are added at the top.
 */
export function useFeed<Data, Variables extends AnyVariables, Row>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Omit<Variables, "first" | "after">,
  pick: (data: Data) => Connected<Row>,
  { pause = false }: { pause?: boolean } = {},
): Feed<Row> {
  const client = useClient();
  const key = JSON.stringify(variables);
  const [pages, setPages] = useState(1);
  const [results, setResults] = useState<readonly OperationResult<Data>[]>([]);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    setPages(1);
    setResults([]);
  }, [key, client]);
  // The cursors at which the pages begin: each where the page before ends.
  const cursors: (string | null)[] = [null];
  for (let index = 0; index + 1 < pages; index++) {
    const data = results[index]?.data;
    const info = data == null ? undefined : pick(data).pageInfo;
    if (!info?.hasNextPage || info.endCursor === null) break;
    cursors.push(info.endCursor);
  }
  const chain = pause ? "" : JSON.stringify(cursors);
  useEffect(() => {
    if (chain === "") return undefined;
    const starts = JSON.parse(chain) as (string | null)[];
    const subscriptions = starts.map((after, index) =>
      pipe(
        client.executeQuery(createRequest(query, { ...(JSON.parse(key) as object), first: PAGE, ...(after === null ? {} : { after }) } as never), {
          requestPolicy: turn > 0 ? "network-only" : "cache-and-network",
        }),
        subscribe((result) => setResults((before) => Object.assign([...before], { [index]: result }).slice(0, Math.max(starts.length, index + 1)))),
      ),
    );
    return () => subscriptions.forEach((each) => each.unsubscribe());
  }, [client, query, key, chain, turn]);
  const retry = useCallback(() => setTurn((count) => count + 1), []);
  useEffect(() => {
    window.addEventListener(RECONNECTED, retry);
    return () => window.removeEventListener(RECONNECTED, retry);
  }, [retry]);
  const read = results.filter((each) => each?.data != null).map((each) => pick(each.data as Data));
  const failed = results.find((each) => each?.error !== undefined);
  const last = read.at(-1);
  const loadMore = useCallback(() => setPages((count) => count + 1), []);
  const problem = useProblem(failed?.error);
  useTrouble(problem, retry);
  return {
    rows: read.length === 0 ? undefined : read.flatMap(({ nodes }) => nodes),
    totalCount: read[0]?.totalCount,
    problem,
    isLoading: read.length < pages || results.some((each) => each?.stale),
    hasMore: last?.pageInfo.hasNextPage ?? false,
    loadMore,
    retry,
  };
}
