// Who is logged in, in which workspace and mode. The cookie is out of scripts' reach; the CSRF token stays in memory.
import { useSyncExternalStore } from "react";
import { graphql } from "@/gql";
import type { Role } from "@/gql/graphql";
import { post } from "./transport";

export interface Membership {
  workspaceId: string;
  workspaceName: string;
  role: Role;
  requiresSecondFactor: boolean;
  isSuspended: boolean;
  deletesAt: string | null;
}

export interface User {
  id: string;
  email: string;
  name: string;
  isConfirmed: boolean;
  pendingEmail: string | null;
  hasSecondFactor: boolean;
}

export interface Session {
  user: User;
  memberships: Membership[];
  membership: Membership | null;
  livemode: boolean;
}

export type SessionState = { status: "loading" } | { status: "out" } | { status: "in"; session: Session } | { status: "ended"; session: Session };

/** What every way to log in answers with. */
export const OpenedSession = graphql(`
  fragment OpenedSession on Session {
    user { id email name isConfirmed pendingEmail hasSecondFactor }
    memberships { workspaceId workspaceName role requiresSecondFactor isSuspended deletesAt }
    csrfToken
  }
`);
export const SessionViewer = graphql(`
  query SessionViewer {
    viewer { session { ...OpenedSession } }
  }
`);

const WORKSPACE = "msvs.workspace";
const LIVE = "msvs.live";

let state: SessionState = { status: "loading" };
let csrf: string | null = null;
const listeners = new Set<() => void>();

function become(next: SessionState) {
  state = next;
  for (const each of listeners) each();
}

/** A tab keeps its own choice; a new tab begins with the last one made anywhere. */
function remembered(name: string): string | null {
  try {
    return sessionStorage.getItem(name) ?? localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name: string, value: string) {
  try {
    sessionStorage.setItem(name, value);
    localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing begins with the first workspace and the sandbox.
  }
}

export function sessionState(): SessionState {
  return state;
}

export function useSessionState(): SessionState {
  return useSyncExternalStore((heard) => {
    listeners.add(heard);
    return () => listeners.delete(heard);
  }, sessionState);
}

/** Return the session of a page that shows only to those who are logged in. */
export function useSession(): Session {
  const found = useSessionState();
  if (found.status === "in" || found.status === "ended") return found.session;
  throw new Error("Nobody is logged in.");
}

export function csrfToken(): string | null {
  return csrf;
}

interface Opened {
  user: User;
  memberships: Membership[];
  csrfToken: string;
}

/** Take up a session that was opened, by logging in or by reading who is asking. */
export function openSession(opened: Opened, workspaceId?: string) {
  csrf = opened.csrfToken;
  const wanted = workspaceId ?? remembered(WORKSPACE);
  const membership = opened.memberships.find((each) => each.workspaceId === wanted) ?? opened.memberships[0] ?? null;
  if (membership !== null) remember(WORKSPACE, membership.workspaceId);
  const { user, memberships } = opened;
  become({ status: "in", session: { user, memberships, membership, livemode: remembered(LIVE) === "true" } });
}

/** Read the browser's session, if it has one; whether it has. Throws where the service does not answer. */
export async function resume(): Promise<boolean> {
  const answer = await post(SessionViewer, {});
  const opened = (answer.data as { viewer: { session: Opened | null } | null } | null)?.viewer?.session ?? null;
  if (opened !== null) {
    openSession(opened);
    return true;
  }
  csrf = null;
  dropKeyOfSamples();
  if (state.status === "in") become({ status: "ended", session: state.session });
  else if (state.status === "loading") become({ status: "out" });
  return false;
}

/** Say that the service no longer knows the session: the page stays, with a way to log in again. */
export function endSession() {
  dropKeyOfSamples();
  if (state.status === "in") become({ status: "ended", session: state.session });
}

/** Have the documentation drop the key that it shows in its samples, in this tab and in others. */
function dropKeyOfSamples() {
  try {
    sessionStorage.removeItem("msvs.docs.key");
    const channel = new BroadcastChannel("msvs.session");
    channel.postMessage("ended");
    channel.close();
  } catch {
    // A browser that keeps nothing has no key to drop.
  }
}

/** Forget the session, as after logging out. */
export function closeSession() {
  csrf = null;
  dropKeyOfSamples();
  become({ status: "out" });
}

export function enterWorkspace(workspaceId: string) {
  if (state.status !== "in") return;
  const membership = state.session.memberships.find((each) => each.workspaceId === workspaceId);
  if (membership === undefined) return;
  remember(WORKSPACE, workspaceId);
  become({ status: "in", session: { ...state.session, membership } });
}

export function enterMode(livemode: boolean) {
  if (state.status !== "in") return;
  remember(LIVE, String(livemode));
  become({ status: "in", session: { ...state.session, livemode } });
}
