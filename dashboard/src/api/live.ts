// One socket for all subscriptions, kept alive: what was missed while it was down is asked for by `after`.
import type { SubscriptionOperation } from "@urql/core";
import { createClient, type Sink } from "graphql-ws";
import { useSyncExternalStore } from "react";
import { sentOf } from "./document";
import type { Scope } from "./client";
import { csrfToken, resume } from "./session";

export type LiveState = "off" | "connecting" | "live";

export interface Live {
  forward: (request: SubscriptionOperation) => { subscribe: (observer: Observer) => { unsubscribe: () => void } };
  state: () => LiveState;
  listen: (heard: () => void) => () => void;
  close: () => void;
}

type Observer = Parameters<ReturnType<import("@urql/core").SubscriptionForwarder>["subscribe"]>[0];

const KEEP_ALIVE_MS = 25_000;
const LONGEST_WAIT_MS = 15_000;
const UNAUTHORIZED = 4401;
// The client insists on a text; where an id is sent, none goes out.
const NO_TEXT = "";
const NAME = /subscription\s+(\w+)/;
/** Heard by pages after a gap: they read again what may have changed in it. */
export const RECONNECTED = "msvs:reconnected";

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const pause = (tries: number) => Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2);

export function makeLive(scope: Scope): Live {
  let state: LiveState = "off";
  let wasLive = false;
  const listeners = new Set<() => void>();
  const become = (next: LiveState) => {
    if (next === state) return;
    state = next;
    for (const each of listeners) each();
  };
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = createClient({
    url: `${scheme}://${location.host}/graphql`,
    lazy: true,
    lazyCloseTimeout: 3000,
    keepAlive: KEEP_ALIVE_MS,
    jsonMessageReplacer: (name, value: unknown) => (name === "query" && value === NO_TEXT ? undefined : value),
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: (tries) => wait(pause(tries)),
    connectionParams: () => ({
      csrfToken: csrfToken(),
      livemode: scope.livemode,
      ...(scope.workspace === null ? {} : { workspace: scope.workspace }),
    }),
    on: {
      connecting: () => become("connecting"),
      connected: () => {
        become("live");
        if (wasLive) window.dispatchEvent(new Event(RECONNECTED));
        wasLive = true;
      },
      closed: (event) => become((event as CloseEvent).code === 1000 ? "off" : "connecting"),
    },
  });

  const forward: Live["forward"] = (request) => ({
    subscribe: (observer) => {
      const name = NAME.exec(request.query ?? "")![1]!;
      const variables: Record<string, unknown> = { ...request.variables };
      const payload = { query: NO_TEXT, ...sentOf(name, variables), variables } as never;
      const follows = (request.query ?? "").includes("$after");
      let stopped = false;
      let tries = 0;
      let release = () => {};
      const again = async (code?: number) => {
        if (stopped) return;
        try {
          if (code === UNAUTHORIZED && !(await resume())) return;
        } catch {
          // The next try says.
        }
        await wait(pause(tries++));
        if (!stopped) start();
      };
      const sink: Sink = {
        next: (result: unknown) => {
          tries = 0;
          const item = Object.values((result as { data?: object }).data ?? {})[0] as { id?: string } | undefined;
          if (follows && item?.id !== undefined) variables["after"] = item.id;
          observer.next(result as Parameters<Observer["next"]>[0]);
        },
        error: (error) => {
          if (Array.isArray(error)) observer.error({ message: error[0]?.message, graphQLErrors: error });
          else void again((error as CloseEvent).code);
        },
        complete: () => void again(),
      };
      const start = () => {
        release = socket.subscribe(payload, sink);
      };
      start();
      return {
        unsubscribe: () => {
          stopped = true;
          release();
        },
      };
    },
  });

  return {
    forward,
    state: () => state,
    listen: (heard) => {
      listeners.add(heard);
      return () => listeners.delete(heard);
    },
    close: () => void socket.dispose(),
  };
}

export function useLiveState(live: Live): LiveState {
  return useSyncExternalStore(live.listen, live.state);
}
