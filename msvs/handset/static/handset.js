// The handset: what the sandbox's phones received, as it happens, and answers from them.
// What people wrote goes into the page as text nodes; nothing here makes markup from a string.

import { Live, Problem, change, enter, logIn, logOut, resume, run } from "./api.js";

const PAGE = 50;
const REFRESH_MILLISECONDS = 400;
const TYPES = [
  "MESSAGE_QUEUED", "MESSAGE_SENT", "MESSAGE_DELIVERED", "MESSAGE_FAILED", "MESSAGE_REPLIED", "MESSAGE_CANCELED",
  "CONTACT_OPTED_IN", "CONTACT_OPTED_OUT",
];
const KEPT_WORKSPACE = "msvs.handset.workspace";
const KEPT_PARTS = "msvs.handset.parts";
const CONSENTS = { UNKNOWN: "unknown", PENDING: "pending", OPTED_IN: "opted in", OPTED_OUT: "opted out" };
const ENCODINGS = { GSM7: "GSM-7", UCS2: "UCS-2" };
const ON_ITS_WAY = new Set(["SCHEDULED", "QUEUED", "SENDING"]);
const NEVER_ARRIVED = new Set(["FAILED", "CANCELED"]);
// What an empty phone, and a sandbox without any message, are offered.
const FIRST_PHONE = "+14155550107";
const FIRST_BODY = "Hey, doors open at 8pm ET. Are you coming? Reply STOP to opt out.";

const $ = (id) => document.getElementById(id);
const state = {
  viewer: null, phone: null, conversation: null, handsets: [], seen: new Map(), older: [], olderCursor: null, live: null,
};

/** An element of a class that shows a text. */
function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

/** Set the text of an element only where it changes, so that nothing is read out twice. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function say(element, problem) {
  element.hidden = !problem;
  write(element, problem ? problem.message : "");
}

// Numbers and times, for people

function pretty(phone) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(phone);
  return parts ? `+1 (${parts[1]}) ${parts[2]}-${parts[3]}` : phone;
}

function nameOf(contact) {
  return contact ? [contact.firstName, contact.lastName].filter(Boolean).join(" ") : "";
}

const clockOf = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayOf = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const shortDayOf = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function isToday(date) {
  return date.toDateString() === new Date().toDateString();
}

function segmentsOf(message) {
  return `${message.segments} ${message.segments === 1 ? "segment" : "segments"} · ${ENCODINGS[message.encoding]}`;
}

function statusOf(message) {
  if (message.status === "SCHEDULED" && message.scheduledAt) {
    const at = new Date(message.scheduledAt);
    return `scheduled for ${shortDayOf.format(at)}, ${clockOf.format(at)}`;
  }
  if (message.delivery === "unknown") return "sent, delivery unknown";
  return message.status.toLowerCase();
}

// The list of numbers

function numberButton(phone, title, line, time, classes) {
  const button = make("button", `number ${classes.join(" ")}`);
  button.type = "button";
  button.dataset.phone = phone;
  const top = make("span", "line");
  top.append(make("b", "", title), make("time", "", time));
  button.append(top, make("span", "last", line));
  if (phone === state.phone) button.setAttribute("aria-current", "true");
  const item = make("li");
  item.append(button);
  return item;
}

function showHandsets() {
  const focused = document.activeElement?.closest?.("#handsets button")?.dataset.phone;
  const items = state.handsets.map((handset) => {
    const { phone, lastMessage: last } = handset;
    const id = last ? (last.inbound || last.message).id : "";
    if (phone === state.phone || !state.seen.has(phone)) state.seen.set(phone, id);
    const unread = state.seen.get(phone) !== id;
    const at = last ? new Date(last.createdAt) : null;
    const time = at ? (isToday(at) ? clockOf.format(at) : shortDayOf.format(at)) : "";
    const line = last ? `${last.inbound ? "↩ " : ""}${last.body}` : "";
    const classes = [unread ? "unread" : "", handset.optedOut ? "stopped-number" : ""].filter(Boolean);
    const item = numberButton(phone, nameOf(handset.contact) || pretty(phone), line, time, classes);
    const button = item.firstChild;
    const notes = [pretty(phone), unread ? "new messages" : "", handset.optedOut ? "opted out" : ""].filter(Boolean);
    button.append(make("span", "hush", `, ${notes.join(", ")}`));
    if (handset.optedOut) button.querySelector(".last").prepend(make("em", "tag", "opted out"), " ");
    return item;
  });
  $("handsets").replaceChildren(...items);
  $("no-handsets").hidden = items.length > 0;
  if (focused) document.querySelector(`#handsets button[data-phone="${CSS.escape(focused)}"]`)?.focus();
}

function showScripted(numbers) {
  $("sandbox-numbers").replaceChildren(...numbers.map(({ phone, script }) => numberButton(phone, pretty(phone), script, "", ["wide"])));
}

// The conversation

/** The text of a message, in its segments. */
function fillText(element, message) {
  const parts = message.parts && message.parts.length ? message.parts : [message.body];
  const shape = JSON.stringify(parts);
  if (element.dataset.shape === shape) return;
  element.dataset.shape = shape;
  element.replaceChildren(
    ...parts.map((part, index) => {
      const span = make("span", "part", part);
      span.dataset.part = `${index + 1}/${parts.length}`;
      return span;
    }),
  );
  element.classList.toggle("single", parts.length === 1);
}

function newBubble() {
  const item = make("li");
  const sender = make("span", "sender");
  const bubble = make("div", "bubble");
  const text = make("p", "text");
  const meta = make("p", "meta");
  bubble.append(text);
  item.append(make("span", "day"), sender, bubble, meta);
  return item;
}

function fillBubble(item, entry, before, heard) {
  const message = entry.message || entry.inbound;
  const at = new Date(entry.message ? message.createdAt : message.receivedAt);
  const beforeAt = before && new Date(before.message ? before.message.createdAt : before.inbound.receivedAt);
  const [day, sender, bubble, meta] = item.children;
  const newDay = !beforeAt || beforeAt.toDateString() !== at.toDateString();
  write(day, newDay ? (isToday(at) ? "Today" : dayOf.format(at)) : "");
  let classes, note;
  if (entry.message) {
    const sameSender = before && before.message && before.message.from === message.from && !newDay;
    write(sender, sameSender ? "" : message.from);
    classes = ["received"];
    if (ON_ITS_WAY.has(message.status)) classes.push("coming");
    if (NEVER_ARRIVED.has(message.status)) classes.push("lost");
    note = [clockOf.format(at), statusOf(message), segmentsOf(message)];
    if (message.kind === "AUTO") note.push("automatic");
    if (message.error) note.push(message.error.message);
  } else {
    write(sender, "");
    classes = ["sent"];
    note = [clockOf.format(at), message.keyword ? `understood as ${message.keyword}` : ""];
    if (heard && message.to !== heard) note.push(`to ${message.to}`);
  }
  item.className = classes.join(" ");
  fillText(bubble.firstChild, message);
  write(meta, note.filter(Boolean).join(" · "));
}

function showConversation() {
  const { conversation } = state;
  const list = $("bubbles");
  const log = $("log");
  const low = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  const entries = conversation ? [...conversation.entries].reverse() : [];
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const kept = new Set();
  // Who wrote last: a reply that goes to somebody else says so.
  let heard = null;
  entries.forEach((entry, index) => {
    const { id } = entry.message || entry.inbound;
    let item = known.get(id);
    if (!item) {
      item = newBubble();
      item.dataset.id = id;
    }
    kept.add(id);
    fillBubble(item, entry, entries[index - 1], heard);
    heard = entry.message ? entry.message.from : heard;
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] || null);
  });
  known.forEach((item, id) => kept.has(id) || item.remove());
  const handset = conversation && conversation.handset;
  const last = entries.findLast((entry) => entry.message)?.message;
  const name = handset && nameOf(handset.contact);
  write($("sender"), last ? last.from : handset ? "No messages" : "No number");
  write($("owner"), handset ? `${name ? `${name} · ` : ""}${pretty(handset.phone)}` : "Pick a number to look at its phone");
  $("opted-out").hidden = !(handset && handset.optedOut);
  $("earlier").hidden = !state.olderCursor;
  $("empty").hidden = entries.length > 0 || !(handset || !state.phone);
  write($("empty-title"), handset ? "Nothing received yet" : "Pick a number");
  write(
    $("empty-text"),
    handset
      ? `Messages to ${handset.phone} from this sandbox appear here as they are sent: by the API, by a campaign, or now.`
      : "Choose one that has messages, a test number, or type any other.",
  );
  const mayAnswer = Boolean(handset) && state.viewer.role !== "READ_ONLY";
  // Where nothing is open, one who has no message yet is offered the number that answers by itself.
  $("first").hidden = state.viewer?.role === "READ_ONLY" || Boolean(handset?.optedOut) || !(handset || !state.handsets.length);
  for (const control of [$("answer"), ...document.querySelectorAll("#quick button, #send-form button")]) control.disabled = !mayAnswer;
  $("answer").placeholder = state.viewer?.role === "READ_ONLY" ? "Your role only reads" : "Text message";
  write($("about-phone"), handset ? handset.phone : "–");
  write($("about-script"), handset ? handset.script || "Delivered after about a second." : "–");
  write($("about-consent"), handset ? consentOf(handset) : "–");
  $("about-consent").classList.toggle("bad", Boolean(handset && handset.optedOut));
  write($("about-status"), last ? statusOf(last) + (last.error ? `: ${last.error.message}` : "") : "–");
  write($("about-segments"), last ? segmentsOf(last) : "–");
  write($("about-id"), last ? last.id : "–");
  if (low) log.scrollTop = log.scrollHeight;
}

function consentOf({ contact, optedOut }) {
  if (!contact) return optedOut ? "opted out" : "no contact yet";
  const { status, source } = contact.optIn;
  return (optedOut ? "opted out" : CONSENTS[status]) + (source ? ` (${source})` : "");
}

// Reading

let refreshing = null;
let wanted = false;

/** Read what is shown again, at most so often; what is asked for meanwhile is read afterwards. */
function refresh() {
  wanted = true;
  refreshing ??= (async () => {
    while (wanted) {
      wanted = false;
      await Promise.all([readHandsets(), readConversation()].map((reading) => reading.catch(report)));
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MILLISECONDS));
    }
    refreshing = null;
  })();
}

function report(problem) {
  if (problem instanceof Problem && problem.endsSession) leave("Your session has ended.");
  else if (problem instanceof Problem) say($("send-problem"), problem);
  else throw problem;
}

async function readHandsets() {
  state.handsets = (await run("Handsets")).handsets;
  showHandsets();
}

async function readConversation() {
  const { phone } = state;
  if (!phone) return;
  const { handset, handsetMessages: page } = await run("Conversation", { phone, first: PAGE });
  if (phone !== state.phone) return;
  const ids = new Set(page.nodes.map((entry) => (entry.message || entry.inbound).id));
  if (!state.older.length) state.olderCursor = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  const older = state.older.filter((entry) => !ids.has((entry.message || entry.inbound).id));
  state.conversation = { handset, entries: [...page.nodes, ...older] };
  if ($("send-problem").dataset.kind !== "answer") say($("send-problem"), null);
  showConversation();
}

async function readEarlier() {
  const { phone, conversation } = state;
  const answer = await run("Conversation", { phone, first: PAGE, after: state.olderCursor });
  if (phone !== state.phone) return;
  const page = answer.handsetMessages;
  // Those that stood on the first page too, so that what has been shown stays while newer ones come.
  state.older = [...conversation.entries, ...page.nodes];
  state.olderCursor = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  state.conversation = { ...conversation, entries: state.older };
  const log = $("log");
  const height = log.scrollHeight;
  showConversation();
  log.scrollTop += log.scrollHeight - height;
}

/** Look at a number's phone. Throws Problem where it is none. */
async function look(phone) {
  const { handset, handsetMessages: page } = await run("Conversation", { phone, first: PAGE });
  state.phone = handset.phone;
  state.older = [];
  state.olderCursor = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  state.conversation = { handset, entries: page.nodes };
  $("bubbles").replaceChildren();
  $("send-problem").dataset.kind = "";
  say($("send-problem"), null);
  document.body.dataset.view = "phone";
  history.replaceState(null, "", `#${handset.phone}`);
  showConversation();
  showHandsets();
  document.querySelectorAll("#sandbox-numbers button").forEach((button) => {
    if (button.dataset.phone === state.phone) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  $("log").scrollTop = $("log").scrollHeight;
}

/** Send a first message to the phone that is open, or to one that answers by itself. */
async function sendFirst() {
  const button = $("first");
  button.disabled = true;
  try {
    if (!state.phone) await look(FIRST_PHONE);
    await change("Send", { input: { to: state.phone, body: FIRST_BODY } });
    say($("send-problem"), null);
    $("log").focus();
  } catch (problem) {
    $("send-problem").dataset.kind = "answer";
    report(problem);
  } finally {
    button.disabled = false;
    refresh();
  }
}

/** What a log-in lacks, as a sentence and the field to fill in; null where it is complete. */
function missing() {
  const [email, password] = [$("email"), $("password")];
  const [noEmail, noPassword] = [!email.value.trim(), !password.value];
  email.setAttribute("aria-invalid", String(noEmail));
  password.setAttribute("aria-invalid", String(noPassword));
  if (noEmail && noPassword) return { message: "Enter your e-mail address and your password.", field: email };
  if (noEmail) return { message: "Enter your e-mail address.", field: email };
  return noPassword ? { message: "Enter your password.", field: password } : null;
}

async function answer(body) {
  const text = body.trim();
  if (!text || !state.phone) return;
  const last = state.conversation.entries.find((entry) => entry.message)?.message;
  const input = { from: state.phone, body: text };
  // A reply goes to the last sender, as on a phone.
  if (last) input.to = last.from;
  try {
    await change("Answer", { input });
    $("send-problem").dataset.kind = "";
    say($("send-problem"), null);
    $("log").scrollTop = $("log").scrollHeight;
  } catch (problem) {
    $("send-problem").dataset.kind = "answer";
    report(problem);
    return;
  } finally {
    refresh();
  }
  if ($("answer").value.trim() === text) $("answer").value = "";
  fitAnswer();
}

// What happens

function onItem(id, item) {
  const phone = id === "Replies" ? item.from : item.data.to || item.data.phone;
  if (id === "Events" && phone === state.phone) {
    const words = { "message.delivered": "delivered", "contact.opted_out": "opted out" }[item.type];
    if (words) write($("announce"), `${pretty(phone)}: ${words}`);
  }
  refresh();
}

function onState(link) {
  $("link").dataset.link = link;
  write($("link-text"), link === "live" ? "Live" : "Reconnecting");
}

// Coming and going

function leave(reason = "") {
  state.live?.close();
  Object.assign(state, { live: null, viewer: null, phone: null, conversation: null, handsets: [], older: [], olderCursor: null });
  state.seen.clear();
  $("bubbles").replaceChildren();
  $("handsets").replaceChildren();
  document.body.dataset.state = "out";
  $("desk").hidden = true;
  $("login").hidden = false;
  say($("login-problem"), reason ? { message: reason } : null);
  $("email").focus();
}

async function arrive() {
  let { viewer } = await run("Viewer");
  const places = viewer.session.memberships;
  const kept = sessionStorage.getItem(KEPT_WORKSPACE);
  const place = places.find(({ workspaceId }) => workspaceId === kept) || places[0];
  if (!place) {
    leave("You have no place in a workspace yet: accept an invitation first.");
    return;
  }
  enter(place.workspaceId);
  ({ viewer } = await run("Viewer"));
  state.viewer = viewer;
  $("workspace").replaceChildren(
    ...places.map(({ workspaceId, workspaceName }) => {
      const option = make("option", "", workspaceName);
      option.value = workspaceId;
      option.selected = workspaceId === place.workspaceId;
      return option;
    }),
  );
  $("workspace").disabled = places.length < 2;
  write($("who"), viewer.session.user.email);
  document.body.dataset.state = "in";
  $("login").hidden = true;
  $("desk").hidden = false;
  showScripted((await run("Numbers")).sandboxNumbers);
  await readHandsets();
  const wantedPhone = decodeURIComponent(location.hash.slice(1));
  const first = wantedPhone || (matchMedia("(min-width: 60rem)").matches && state.handsets[0]?.phone);
  showConversation();
  if (first) await look(first).catch(report);
  if (!state.handsets.length) $("scripted").open = true;
  state.live = new Live([["Events", { types: TYPES }], ["Replies", {}]], {
    onItem, onState, onOpen: refresh, onRefused: () => leave("Your session has ended."),
  });
  state.live.open();
}

async function start() {
  try {
    if (await resume()) await arrive();
    else leave();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    leave(problem.endsSession ? "" : problem.message);
  }
}

function fitAnswer() {
  const box = $("answer");
  box.rows = Math.min(5, box.value.split("\n").length + Math.floor(box.value.length / 34));
}

function tick() {
  write($("clock"), clockOf.format(new Date()));
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const lack = missing();
  say($("login-problem"), lack);
  if (lack) {
    lack.field.focus();
    return;
  }
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    await logIn($("email").value.trim(), $("password").value);
    $("password").value = "";
    say($("login-problem"), null);
    await arrive();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    say($("login-problem"), problem);
  } finally {
    button.disabled = false;
  }
});
$("log-out").addEventListener("click", async () => {
  try {
    await logOut();
    leave();
  } catch (problem) {
    report(problem);
  }
});
$("workspace").addEventListener("change", () => {
  sessionStorage.setItem(KEPT_WORKSPACE, $("workspace").value);
  history.replaceState(null, "", location.pathname);
  location.reload();
});
$("open-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const typed = $("number").value.replace(/[\s().-]/g, "");
  try {
    await look(typed);
    say($("open-problem"), null);
    $("number").value = "";
  } catch (problem) {
    if (problem.code === "phone_number_invalid" || problem.code === "offline") say($("open-problem"), problem);
    else report(problem);
  }
});
for (const list of [$("handsets"), $("sandbox-numbers")]) {
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) look(button.dataset.phone).catch(report);
  });
}
$("back").addEventListener("click", () => {
  document.body.dataset.view = "list";
  document.querySelector("#handsets button[aria-current], #handsets button")?.focus();
});
$("earlier").addEventListener("click", () => readEarlier().catch(report));
$("first").addEventListener("click", sendFirst);
$("quick").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) answer(button.dataset.answer);
});
$("send-form").addEventListener("submit", (event) => {
  event.preventDefault();
  answer($("answer").value);
});
$("answer").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    answer($("answer").value);
  }
});
$("answer").addEventListener("input", fitAnswer);
$("show-parts").addEventListener("change", () => {
  document.body.classList.toggle("parts", $("show-parts").checked);
  localStorage.setItem(KEPT_PARTS, String($("show-parts").checked));
});
$("show-parts").checked = localStorage.getItem(KEPT_PARTS) === "true";
document.body.classList.toggle("parts", $("show-parts").checked);
tick();
setInterval(tick, 5000);
start();
