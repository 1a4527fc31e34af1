// The GraphQL API as the page uses it: requests by id of a kept document, the session, and what happens as it happens.
// Every request says that it is of the sandbox.

const PROTOCOL = "graphql-transport-ws";
const PING_SECONDS = 25;
const ANSWER_SECONDS = 10;
const MOST_SECONDS = 30;
const UNAUTHORIZED = 4401;

let csrf = null;
let workspace = null;

/** What went wrong, for people: `code` is the API's, `offline` where there was no answer. */
export class Problem extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
  get endsSession() {
    return ["session_invalid", "api_key_missing"].includes(this.code);
  }
}

async function answerOf(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Problem("offline", "The service does not answer.");
  }
  try {
    return [response, await response.json()];
  } catch {
    throw new Problem("offline", `The service answered ${response.status}.`);
  }
}

/** Take up the browser's session, if it has one; whether it has. */
export async function resume() {
  const [response, answer] = await answerOf("/handset/session", {});
  if (!response.ok) throw new Problem(answer.error.code, answer.error.message);
  csrf = answer.csrf_token;
  return csrf !== null;
}

async function post(id, variables) {
  const headers = { "Content-Type": "application/json", "X-Livemode": "false" };
  if (csrf !== null) headers["X-CSRF-Token"] = csrf;
  if (workspace !== null) headers["X-Workspace"] = workspace;
  const body = JSON.stringify({ id: `handset/${id}`, variables });
  const [, answer] = await answerOf("/graphql", { method: "POST", headers, body });
  if (answer.errors) {
    const { message, extensions } = answer.errors[0];
    throw new Problem((extensions && extensions.code) || "unknown", message);
  }
  return answer.data;
}

/** The data of an operation. Throws Problem. */
export async function run(id, variables = {}) {
  try {
    return await post(id, variables);
  } catch (problem) {
    // The session has another token, since another tab logged in or changed the password.
    if (problem.code !== "csrf_invalid" || !(await resume())) throw problem;
    return post(id, variables);
  }
}

/** The result of a mutation whose answer is a union; its errors are thrown. */
export async function change(id, variables) {
  const [result] = Object.values(await run(id, variables));
  if (result.code && result.message) throw new Problem(result.code, result.message);
  return result;
}

export async function logIn(email, password) {
  workspace = null;
  // A session of another tab is taken along, so that this one ends it rather than being refused.
  await resume();
  csrf = (await change("LogIn", { email, password })).csrfToken;
}

export async function logOut() {
  await change("LogOut", {});
  csrf = workspace = null;
}

export function enter(id) {
  workspace = id;
}

/**
 * Keeps subscriptions alive: `onItem(id, data)` for each item, `onState` with "live" or "off", `onOpen` whenever what
 * happened meanwhile has to be read, `onRefused` once the session has ended.
 */
export class Live {
  constructor(subscriptions, { onItem, onState, onOpen, onRefused }) {
    this.subscriptions = subscriptions;
    this.handlers = { onItem, onState, onOpen, onRefused };
    this.socket = null;
    this.failures = 0;
    this.timers = [];
  }

  open() {
    this.close();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/graphql`, PROTOCOL);
    this.socket = socket;
    socket.onopen = () => {
      const payload = { csrfToken: csrf, livemode: false };
      if (workspace !== null) payload.workspace = workspace;
      this.say({ type: "connection_init", payload });
    };
    socket.onmessage = (event) => this.hear(socket, JSON.parse(event.data));
    socket.onclose = (event) => this.lost(socket, event.code);
    this.watch(socket);
  }

  close() {
    this.timers.forEach(clearTimeout);
    this.timers = [];
    const { socket } = this;
    this.socket = null;
    if (socket !== null) socket.close(1000);
  }

  say(message) {
    if (this.socket !== null && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  hear(socket, message) {
    if (socket !== this.socket) return;
    this.watch(socket);
    if (message.type === "connection_ack") {
      this.failures = 0;
      this.subscriptions.forEach(([id, variables], number) => {
        this.say({ type: "subscribe", id: String(number), payload: { id: `handset/${id}`, variables } });
      });
      this.handlers.onState("live");
      this.handlers.onOpen();
      // A subscription takes a moment to begin.
      this.later(1500, this.handlers.onOpen);
    } else if (message.type === "next" && message.payload.data) {
      const [id] = this.subscriptions[Number(message.id)];
      this.handlers.onItem(id, Object.values(message.payload.data)[0]);
    } else if (message.type === "error" || message.type === "complete") {
      socket.close(4000);
    }
  }

  /** Ask for a sign of life after a silence, and take the connection for lost without one. */
  watch(socket) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.say({ type: "ping" });
      this.silence = setTimeout(() => this.lost(socket, 0), ANSWER_SECONDS * 1000);
    }, PING_SECONDS * 1000);
  }

  async lost(socket, code) {
    if (socket !== this.socket) return;
    clearTimeout(this.silence);
    this.close();
    this.handlers.onState("off");
    this.failures += 1;
    // Which session there is may have changed; the pause between two tries doubles each time.
    const seconds = Math.min(MOST_SECONDS, 2 ** Math.min(this.failures - 1, 5)) * (0.75 + Math.random() / 2);
    this.later(seconds * 1000, async () => {
      try {
        if (code === UNAUTHORIZED && !(await resume())) {
          this.handlers.onRefused();
          return;
        }
      } catch {
        // The next try says.
      }
      this.open();
    });
  }

  later(milliseconds, act) {
    this.timers.push(setTimeout(act, milliseconds));
  }
}
