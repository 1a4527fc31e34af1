// What the operators' area asks of /ops/api: JSON over the operator's own session, which no script can read.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Feed, Reading } from "@/api/hooks";
import { OFFLINE, problemOfEntry, type Problem } from "@/api/problems";

export interface Check {
  name: string;
  state: string;
  is_needed: boolean;
}

export type Sample = { value: number } & Record<string, string | number>;

export interface Overview {
  checks: Check[];
  numbers: Record<string, Sample[]>;
  version: string;
  environment: string;
}

export interface Job {
  id: string;
  queue: string;
  is_readable: boolean;
  function: string;
  enqueued_at: string | null;
  failed_at: string | null;
  error: string;
  trace: string | null;
}

export interface Carrier {
  name: string;
  kind: string;
  capability: string;
  rate: number | null;
  binds: { bound: number; wanted: number } | null;
  breaker: { state: "closed" | "open" | "half_open"; failures: number; trips: number; retry_at: string | null; reason: string | null };
}

export interface Way {
  id: string;
  workspace: string | null;
  carrier: string;
  regions: string[];
  sender: string | null;
  sender_kind: string | null;
  preference: number;
  price: string | null;
}

export interface WorkspaceRow {
  id: string;
  name: string;
  balance: number;
  users: number;
  created_at: string;
  held_at: string | null;
  /** When its data is erased, as an owner asked, and when that was done. */
  deletes_at: string | null;
  erased_at: string | null;
}

export interface WorkspaceWhole extends WorkspaceRow {
  debt: number;
  total_lifetime: number;
  daily_credit_cap: number | null;
  members: { name: string; email: string; is_confirmed: boolean; role: string }[];
  ledger: { id: string; kind: string; amount: number; note: string; created_at: string }[];
  campaigns: Record<string, number>;
}

export interface Entry {
  id: string;
  at: string;
  operator: string;
  action: string;
  detail: string | null;
  network: string | null;
  device: string | null;
}

export interface Operator {
  operator: string;
  version: string;
  environment: string;
}

export type State = { status: "loading" | "out" } | { status: "in" | "ended"; operator: Operator } | { status: "away"; problem: Problem };

const RETURN_MS = 5000;

let state: State = { status: "loading" };
const listeners = new Set<() => void>();

export function become(next: State) {
  state = next;
  for (const each of listeners) each();
}

export function useOperator(): State {
  return useSyncExternalStore(
    (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    () => state,
  );
}

export class Refused extends Error {
  problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

interface ErrorBody {
  error?: { code: string; type: string; message: string; param?: string; request_id?: string };
}

/** Ask once. Throws Refused; where the session is over the area says so. */
export async function ask<Data>(method: "GET" | "POST" | "DELETE", path: string, body?: unknown, signal?: AbortSignal): Promise<Data> {
  let response: Response;
  try {
    response = await fetch(`/ops/api${path}`, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(OFFLINE);
  }
  if (response.status === 204) return undefined as Data;
  let answer: ErrorBody;
  try {
    answer = (await response.json()) as ErrorBody;
  } catch {
    throw new Refused({ ...OFFLINE, kind: "server", code: `http_${response.status}`, requestId: response.headers.get("x-request-id") ?? undefined });
  }
  if (response.ok) return answer as Data;
  const { code, type, message, param, request_id: requestId } = answer.error ?? { code: `http_${response.status}`, type: "", message: "" };
  if (code === "session_invalid") become("operator" in state ? { status: "ended", operator: state.operator } : { status: "out" });
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new Refused(problemOfEntry({ message, extensions: { code, type, requestId, param, ...(Number.isNaN(retryAfter) ? {} : { retryAfter }) } }));
}

export const problemOfThrown = (error: unknown): Problem => (error as Partial<Refused>).problem ?? OFFLINE;

/** Read who is signed in. */
export async function resume() {
  try {
    become({ status: "in", operator: await ask<Operator>("GET", "/session") });
  } catch (error) {
    const problem = problemOfThrown(error);
    if (problem.kind !== "session") become({ status: "away", problem });
  }
}

/** Try again by itself where the service did not answer. */
function useReturn(problem: Problem | null, retry: () => void) {
  useEffect(() => {
    if (problem?.kind !== "offline") return undefined;
    const timer = setTimeout(retry, RETURN_MS);
    return () => clearTimeout(timer);
  }, [problem, retry]);
}

interface Held<Data> {
  path: string;
  data?: Data;
  problem: Problem | null;
  isLoading: boolean;
}

/** Read data, and again each so many milliseconds while the page is seen; at once when somebody has signed in again. */
export function useOps<Data>(path: string | null, every?: number): Reading<Data> {
  const [held, setHeld] = useState<Held<Data>>({ path: path ?? "", problem: null, isLoading: true });
  const [turn, setTurn] = useState(0);
  const { status } = useOperator();
  const retry = useCallback(() => setTurn((count) => count + 1), []);
  useEffect(() => {
    if (path === null || status !== "in") return undefined;
    const abort = new AbortController();
    setHeld((before) => (before.path === path ? { ...before, isLoading: true } : { path, problem: null, isLoading: true }));
    ask<Data>("GET", path, undefined, abort.signal)
      .then((data) => setHeld({ path, data, problem: null, isLoading: false }))
      .catch((error: unknown) => {
        if (!abort.signal.aborted) setHeld((before) => ({ ...before, problem: problemOfThrown(error), isLoading: false }));
      });
    return () => abort.abort();
  }, [path, status, turn]);
  useEffect(() => {
    if (every === undefined) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && retry(), every);
    return () => clearInterval(timer);
  }, [every, retry]);
  useReturn(held.problem, retry);
  const isOwn = held.path === path;
  return { data: isOwn ? held.data : undefined, problem: isOwn ? held.problem : null, isLoading: held.isLoading, retry };
}

interface Paged<Row> {
  items: Row[];
  has_more: boolean;
}

/** Read a list page after page; each begins after the last row of the one before. */
export function useOpsFeed<Row extends { id: string }>(path: string, search: Record<string, string | undefined>): Feed<Row> {
  const query = new URLSearchParams(Object.entries(search).filter((each): each is [string, string] => each[1] !== undefined && each[1] !== "")).toString();
  const key = `${path}?${query}`;
  const [pages, setPages] = useState<{ key: string; read: Paged<Row>[] }>({ key, read: [] });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isLoading, setLoading] = useState(true);
  const { status } = useOperator();
  const latest = useRef(0);
  const read = useCallback(
    async (before: Paged<Row>[]) => {
      const turn = ++latest.current;
      setLoading(true);
      try {
        const last = before.at(-1)?.items.at(-1)?.id;
        const page = await ask<Paged<Row>>("GET", `${key}${last === undefined ? "" : `${query === "" ? "" : "&"}after=${last}`}`);
        if (turn !== latest.current) return;
        setPages({ key, read: [...before, page] });
        setProblem(null);
      } catch (error) {
        if (turn === latest.current) setProblem(problemOfThrown(error));
      } finally {
        if (turn === latest.current) setLoading(false);
      }
    },
    [key, query],
  );
  useEffect(() => {
    if (status !== "in") return;
    setProblem(null);
    void read([]);
  }, [read, status]);
  const retry = useCallback(() => void read([]), [read]);
  useReturn(problem, retry);
  const own = pages.key === key ? pages.read : [];
  return {
    rows: own.length === 0 ? undefined : own.flatMap(({ items }) => items),
    totalCount: undefined,
    problem,
    isLoading,
    hasMore: own.at(-1)?.has_more ?? false,
    loadMore: useCallback(() => void read(own), [read, own]),
    retry,
  };
}

/** Do something; what went wrong is returned. */
export function useAct() {
  const [isRunning, setRunning] = useState(false);
  const run = useCallback(async <Data>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<{ done: Data; problem: null } | { done: null; problem: Problem }> => {
    setRunning(true);
    try {
      return { done: await ask<Data>(method, path, body), problem: null };
    } catch (error) {
      return { done: null, problem: problemOfThrown(error) };
    } finally {
      setRunning(false);
    }
  }, []);
  return { run, isRunning };
}
