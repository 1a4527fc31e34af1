// The GraphQL client of one workspace and mode: a cache normalized by id, requests by kept ids, one socket.
import {
  createClient,
  makeErrorResult,
  makeResult,
  subscriptionExchange,
  type Client,
  type Exchange,
  type Operation,
  type OperationResult,
} from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { filter, make, merge, mergeMap, pipe, share, takeUntil } from "wonka";
import { cacheRules } from "./cache";
import { makeLive, type Live } from "./live";
import { problemOfEntry } from "./problems";
import { csrfToken, endSession, resume } from "./session";
import { post, type Answer } from "./transport";

export interface Scope {
  workspace: string | null;
  livemode: boolean;
}

export interface Connection {
  client: Client;
  live: Live;
}

function headersOf(scope: Scope): Record<string, string> {
  const headers: Record<string, string> = { "X-Livemode": String(scope.livemode) };
  const csrf = csrfToken();
  if (csrf !== null) headers["X-CSRF-Token"] = csrf;
  if (scope.workspace !== null) headers["X-Workspace"] = scope.workspace;
  return headers;
}

const codeOf = (answer: Answer) => (answer.errors?.[0] === undefined ? null : problemOfEntry(answer.errors[0]));

/** Send an operation; once more where another tab has renewed the CSRF token. */
async function ask(document: unknown, variables: unknown, scope: Scope, signal?: AbortSignal): Promise<Answer> {
  const send = () => post(document, variables, { headers: headersOf(scope), ...(signal === undefined ? {} : { signal }) });
  let answer = await send();
  if (codeOf(answer)?.code === "csrf_invalid" && (await resume())) answer = await send();
  if (codeOf(answer)?.kind === "session") endSession();
  return answer;
}

function run(operation: Operation, scope: Scope) {
  return make<OperationResult>(({ next, complete }) => {
    const abort = new AbortController();
    const signal = operation.kind === "query" ? abort.signal : undefined;
    ask(operation.query, operation.variables, scope, signal)
      .then((answer) => next(makeResult(operation, answer as Parameters<typeof makeResult>[1])))
      .catch((error: Error) => {
        if (!abort.signal.aborted) next(makeErrorResult(operation, error));
      })
      .finally(complete);
    return () => abort.abort();
  });
}

function requests(scope: Scope): Exchange {
  return ({ forward }) =>
    (operations$) => {
      const shared$ = share(operations$);
      const answered$ = pipe(
        shared$,
        filter(({ kind }) => kind === "query" || kind === "mutation"),
        mergeMap((operation) =>
          pipe(
            run(operation, scope),
            takeUntil(pipe(shared$, filter(({ kind, key }) => kind === "teardown" && key === operation.key))),
          ),
        ),
      );
      const rest$ = pipe(shared$, filter(({ kind }) => kind !== "query" && kind !== "mutation"), forward);
      return merge([answered$, rest$]);
    };
}

/** Send an operation without a cache, as before anybody is logged in. */
export async function send<Data>(document: unknown, variables: unknown): Promise<Data> {
  const answer = await ask(document, variables, { workspace: null, livemode: false });
  const problem = codeOf(answer);
  if (problem !== null) throw Object.assign(new Error(problem.message), { problem });
  return answer.data as Data;
}

export function connect(scope: Scope): Connection {
  const live = makeLive(scope);
  const client = createClient({
    url: "/graphql",
    preferGetMethod: false,
    requestPolicy: "cache-and-network",
    exchanges: [cacheExchange(cacheRules), subscriptionExchange({ forwardSubscription: live.forward }), requests(scope)],
  });
  return { client, live };
}
