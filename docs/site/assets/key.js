// Fills the samples with a sandbox key of the reader, who asks for it and is logged in to the dashboard.
//
// The key is made for this: it works in the sandbox alone and expires. It stands in the tab's own storage while its owner
// is logged in, and nowhere else: not in an address, not in a log, and not once the session has ended.
import { HOSTED, PLACEHOLDER, replacements } from "./fill.js";

const KEPT = "msvs.docs.key";
const SESSION = "msvs.session";
const HOURS = 12;
// What the samples do. The key erases no contact, changes no setting, and lists no keys.
const SCOPES = [
  "messages:read", "messages:send", "inbox:write", "campaigns:read", "campaigns:write", "conversions:read",
  "conversions:write", "contacts:read", "contacts:write", "exports:read", "exports:write", "events:read", "webhooks:read",
  "webhooks:write", "settings:read", "credits:read",
];
// What the service answers to a browser in which nobody is logged in.
const STRANGERS = new Set(["session_invalid", "api_key_missing"]);
const LOG_IN = "Log in to the dashboard in this browser first, then ask again.";
const VIEWER = "query DocsViewer { viewer { session { csrfToken user { id } memberships { workspaceId workspaceName } } } }";
const CREATE = `mutation DocsKeyCreate($name: String!, $scopes: [String!]!, $expiresAt: DateTime!) {
  createApiKey(name: $name, scopes: $scopes, expiresAt: $expiresAt) {
    __typename
    ... on ApiKeyWithText { key apiKey { id } }
    ... on Error { message }
  }
}`;
const REVOKE = "mutation DocsKeyRevoke($id: ID!) { revokeApiKey(id: $id) { __typename ... on Error { message } } }";

async function ask(query, variables = {}, headers = {}) {
  const answer = await fetch("/graphql", {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (STRANGERS.has(errors?.[0]?.extensions?.code)) return null;
  if (errors?.length) throw new Error(errors[0].message);
  return data;
}

/** Return the session of this browser, or null if nobody is logged in. */
const findSession = async () => (await ask(VIEWER))?.viewer?.session ?? null;

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

function forget() {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}

/** Return the kept key if its owner is still logged in, with the session; forget it otherwise. */
async function verified() {
  const found = kept();
  if (found === null) return null;
  const session = found.until > Date.now() ? await findSession() : null;
  const isOwn = session?.user.id === found.user && session.memberships.some(({ workspaceId }) => workspaceId === found.workspace);
  if (!isOwn) forget();
  // The session may have ended while its answer was on the way.
  return isOwn && kept()?.key === found.key ? { ...found, csrf: session.csrfToken } : null;
}

/** Call `tell` with the key that the samples of this tab show, and with nothing once the session has ended. */
export function watchKey(tell) {
  const look = async () => tell((await verified().catch(() => null))?.key ?? "");
  addEventListener("pageshow", ({ persisted }) => persisted && look());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && kept() !== null && look());
  new BroadcastChannel(SESSION).addEventListener("message", () => {
    forget();
    tell("");
  });
  void look();
}

/** The workspace that the dashboard shows, or the first one. */
function chosen({ memberships }) {
  let wanted = null;
  try {
    wanted = sessionStorage.getItem("msvs.workspace") ?? localStorage.getItem("msvs.workspace");
  } catch {
    // The first one, then.
  }
  return memberships.find(({ workspaceId }) => workspaceId === wanted) ?? memberships[0];
}

async function make() {
  const session = await findSession();
  if (session === null) throw new Error(LOG_IN);
  const membership = chosen(session);
  if (membership === undefined) throw new Error("You are in no workspace: create one in the dashboard first.");
  // A browser that keeps nothing refuses here, before there is a key.
  sessionStorage.setItem(KEPT, "null");
  const until = Date.now() + HOURS * 3_600_000;
  const answer = await ask(
    CREATE,
    { name: "Samples of the documentation", scopes: SCOPES, expiresAt: new Date(until).toISOString() },
    { "X-CSRF-Token": session.csrfToken, "X-Workspace": membership.workspaceId, "X-Livemode": "false" },
  );
  const made = answer?.createApiKey;
  if (made?.key === undefined) throw new Error(made?.message ?? LOG_IN);
  const { workspaceId: workspace, workspaceName: name } = membership;
  sessionStorage.setItem(KEPT, JSON.stringify({ key: made.key, id: made.apiKey.id, workspace, name, user: session.user.id, until }));
}

/** Revoke the key, and forget it then: a request that fails can be sent again. */
async function revoke() {
  const found = await verified();
  if (found === null) return;
  const headers = { "X-CSRF-Token": found.csrf, "X-Workspace": found.workspace, "X-Livemode": "false" };
  const gone = (await ask(REVOKE, { id: found.id }, headers))?.revokeApiKey;
  if (gone?.__typename === "PermissionRefusedError") throw new Error(gone.message);
  forget();
}

/** Replace what matches, across the spans that color it. */
function replaceIn(code, pattern, text) {
  for (const { index: start, 0: { length } } of [...code.textContent.matchAll(pattern)].reverse()) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    let offset = 0;
    let isPut = false;
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const size = node.data.length;
      const from = Math.max(start - offset, 0);
      const to = Math.min(start + length - offset, size);
      if (!isPut && start <= offset + size) {
        node.data = node.data.slice(0, from) + text + node.data.slice(Math.max(from, to));
        isPut = true;
      } else if (isPut && to > 0) {
        node.data = node.data.slice(to);
      } else if (isPut) {
        break;
      }
      offset += size;
    }
  }
}

const samples = [...document.querySelectorAll(".md-content pre code")].filter(({ textContent }) => PLACEHOLDER.test(textContent));
const originals = samples.map((code) => [...code.childNodes].map((node) => node.cloneNode(true)));
let shown = "";

function show(key) {
  if (key === shown) return;
  shown = key;
  const host = location.origin === HOSTED ? "" : location.origin;
  samples.forEach((code, index) => {
    code.replaceChildren(...originals[index].map((node) => node.cloneNode(true)));
    if (key) for (const [pattern, text] of replacements(key, host)) replaceIn(code, pattern, text);
  });
}

/** Put a bar before the first sample: what the samples show, and a button that changes it. */
function addBar() {
  const first = samples[0].closest(".tabbed-set") ?? samples[0].closest(".highlight");
  const bar = document.createElement("div");
  bar.className = "msvs-key";
  const told = document.createElement("p");
  told.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "md-button";
  bar.append(told, button);
  first.before(bar);
  const draw = (found, problem = "") => {
    show(found?.key ?? "");
    const own = found && `The samples have a sandbox key of ${found.name}, which expires within ${HOURS} hours.`;
    told.textContent = problem || own || "The samples show where your key goes.";
    button.textContent = found ? "Take my key out and revoke it" : "Fill in a sandbox key of mine";
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    const isShown = shown !== "";
    try {
      if (isShown) await revoke();
      else if ((await verified()) === null) await make();
      draw(await verified());
    } catch (error) {
      draw(isShown ? kept() : null, error.message);
    }
    button.disabled = false;
  });
  draw(null);
  watchKey((key) => draw(key && kept()));
}

if (samples.length > 0) addBar();
