"""Imports a CSV of contacts, sends them a campaign over the public API and reconciles every count."""

from __future__ import annotations

import argparse
import asyncio
import csv
import hashlib
import hmac
import json
import os
import random
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

SAMPLE = Path(__file__).with_name("contacts.csv")
BODY = (
    "Hey {firstName|there}, Cohort 06 opens today at 8pm ET. Your seat is held until midnight. Reply STOP to opt out."
)
EVENT_TYPES = (
    "message.queued",
    "message.sent",
    "message.delivered",
    "message.failed",
    "message.replied",
    "contact.opted_out",
    "campaign.dispatched",
    "campaign.completed",
)
ATTRIBUTES = ("country", "tier", "joined_at", "language")
CONCURRENCY = 20
LIST_CHUNK = 1000
PAGE = 100
REQUEST_SECONDS = 30.0
PATIENCE_SECONDS = 180.0
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
SIGNATURE_AGE_SECONDS = 300
QUIET_SECONDS = 3.0
RECOUNT_SECONDS = 5.0
BAD_ROWS_SHOWN = 10

ENDED_CAMPAIGNS = frozenset({"completed", "canceled", "failed"})
DELIVERED = frozenset({"delivered", "replied"})
# What the virtual carrier acts out for these numbers, and so what their messages may end as.
SCRIPTED: Mapping[str, tuple[str, frozenset[str]]] = {
    "+14155550101": ("invalid number", frozenset({"failed"})),
    "+14155550102": ("filtered by the carrier", frozenset({"failed"})),
    "+14155550103": ("sent, then unreachable", frozenset({"failed"})),
    "+14155550105": ("replies STOP", DELIVERED),
    "+14155550107": ("replies with text", frozenset({"replied"})),
    "+14155550109": ("duplicate, disordered reports", frozenset({"delivered"})),
    "+14155550111": ("throttled, then accepted", frozenset({"delivered"})),
    "+14155550112": ("carrier times out after accepting", frozenset({"delivered"})),
}


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Refused(Exception):
    """The API answered a request with an error that a retry would not change."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(error.get("code", "unknown"))
        self.param = error.get("param")
        self.message = mask_text(str(error.get("message", "")))
        self.existing_id = error.get("existing_id")
        super().__init__(f"{status} {self.code}: {self.message}")


# Printing


def mask(phone: str) -> str:
    """A phone number with its middle digits hidden, such as `+14******0101`."""
    keep = (3, 4) if len(phone) >= 11 else (2, 1)
    hidden = len(phone) - sum(keep)
    return phone if hidden <= 0 else phone[: keep[0]] + "*" * hidden + phone[-keep[1] :]


def mask_text(text: str) -> str:
    """A text fit for a terminal: its phone numbers masked, control characters gone."""
    masked = re.sub(r"\+?\d[\d ().-]{5,}\d", lambda found: mask(found.group()), text)
    return "".join(c if c.isprintable() else " " for c in masked)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a header in aligned columns."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, tuple("-" * width for width in widths))
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


class Progress:
    """A progress bar on a terminal; a line now and then elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tty = stream.isatty()
        self._drawn = ""
        self._title = ""
        self._last: tuple[float, int] = (0.0, -1)

    def step(self, title: str) -> None:
        """Begin a step."""
        self._title = title
        self._last = (0.0, -1)

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` is done."""
        share = done / total if total else 0.0
        if self._tty:
            filled = int(share * 24)
            self._draw(f"{self._title:<20} [{'#' * filled}{'.' * (24 - filled)}] {done:>5}/{total}  {note}")
            return
        now, tenth = time.monotonic(), int(share * 10)
        if tenth != self._last[1] or now - self._last[0] >= 10:
            self._last = (now, tenth)
            print(f"{self._title}: {done}/{total}  {note}".rstrip(), file=self._stream, flush=True)

    def say(self, text: str) -> None:
        """Print a line without disturbing the bar."""
        drawn = self._drawn
        self._draw("")
        print(text, file=self._stream, flush=True)
        self._draw(drawn)

    def end(self) -> None:
        """Leave the bar as it stands and go to the next line."""
        if self._drawn:
            self._stream.write("\n")
            self._drawn = ""

    def _draw(self, text: str) -> None:
        if self._tty:
            text = text[:118]
            if text == self._drawn:
                return
            self._stream.write("\r" + text.ljust(len(self._drawn)) + ("\r" if not text else ""))
            self._stream.flush()
            self._drawn = text


# The API client


class Pace:
    """Keeps requests within what the service says is left of a rate limit."""

    def __init__(self, spare: int) -> None:
        self._spare = spare
        self._spacing = 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next request may go out."""
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._spacing
        if start > now:
            await asyncio.sleep(start - now)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read X-RateLimit-*: near the end of the burst, go on at the refill rate."""
        limit, remaining = headers.get("X-RateLimit-Limit", ""), headers.get("X-RateLimit-Remaining", "")
        if limit.isdigit() and remaining.isdigit() and int(limit) > 0:
            self._spacing = 1 / int(limit) if int(remaining) <= self._spare else 0.0

    def hold(self, seconds: float) -> None:
        """Let nothing out for `seconds`."""
        self._next = max(self._next, time.monotonic() + seconds)


class Api:
    """The public API: bearer key, pacing, and retries that repeat the idempotency key."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        # Campaign routes have a limit of their own.
        self._paces = {False: Pace(CONCURRENCY), True: Pace(CONCURRENCY)}
        self.counts: Counter[str] = Counter()

    async def get(self, path: str, **query: str | int) -> Any:
        """The body of GET `path`."""
        return await self._request("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> Any:
        """The body of POST `path`; `key` is its Idempotency-Key. Raises Refused."""
        return await self._request("POST", path, body=body, key=key)

    async def delete(self, path: str, *, key: str) -> Any:
        """The body of DELETE `path`. Raises Refused."""
        return await self._request("DELETE", path, key=key)

    async def pages(self, path: str, **query: str | int) -> AsyncIterator[dict[str, Any]]:
        """Every resource of a list, newest first."""
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, limit=PAGE, **query, **cursor)
            for item in page["data"]:
                yield item
            if not page["has_more"] or not page["data"]:
                return
            cursor = {"starting_after": page["data"][-1]["id"]}

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        headers = dict(self._headers)
        if key is not None:
            headers["Idempotency-Key"] = key
        pace = self._paces[path.startswith("/v1/campaigns")]
        give_up = time.monotonic() + PATIENCE_SECONDS
        attempt = 0
        while True:
            await pace.turn()
            self.counts["requests"] += 1
            wait: float | None = None
            try:
                async with self._session.request(
                    method, self._base_url + path, params=query, json=body, headers=headers
                ) as response:
                    pace.learn(response.headers)
                    answer = json.loads(await response.read())
                    if response.status < 300:
                        return answer
                    refusal = Refused(response.status, answer.get("error") or {})
                    retry_after = response.headers.get("Retry-After", "")
                    wait = float(retry_after) if retry_after.isdigit() else None
            except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError) as error:
                # No answer, or a truncated one: the same key makes asking again safe.
                self.counts["connection errors"] += 1
                reason = type(error).__name__
            else:
                if refusal.status == 429:
                    self.counts["rate limited"] += 1
                    pace.hold(wait or 1.0)
                elif refusal.status >= 500:
                    self.counts["server errors"] += 1
                elif refusal.code != "idempotency_key_in_use":
                    raise refusal
                reason = str(refusal)
            if time.monotonic() > give_up:
                raise DemoError(f"{method} {path}: gave up after {PATIENCE_SECONDS:.0f} s ({reason})")
            backoff = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
            await asyncio.sleep(wait if wait is not None else backoff * random.uniform(0.5, 1.5))
            attempt += 1
            self.counts["retries"] += 1


# The webhook receiver


@dataclass(frozen=True, slots=True)
class Event:
    """One distinct event: its id, type, the resource it is about, and that resource's campaign."""

    id: str
    type: str
    subject: str
    campaign_id: str | None


def verify_signature(body: bytes, header: str, secret: str, now: float) -> bool:
    """Whether an MSVS-Signature header signs this body with this secret, at most 5 minutes from `now`."""
    timestamp = ""
    signatures = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            timestamp = value
        elif name == "v1":
            signatures.append(value)
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        return False
    if abs(now - int(timestamp)) > SIGNATURE_AGE_SECONDS:
        return False
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures)


class Receiver:
    """A webhook endpoint on a free loopback port that keeps every distinct event."""

    def __init__(self, on_event: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.secret = f"whsec_{secrets.token_hex(24)}"
        self.url = ""
        self.events: dict[str, Event] = {}
        self.signature_failures = 0
        self.repeats = 0
        self.last_at = time.monotonic()
        self._on_event = on_event

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs; `url` is set inside it."""
        application = web.Application()
        application.router.add_post("/webhooks/sms", self._receive)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            self.url = f"http://127.0.0.1:{port}/webhooks/sms"
            yield
        finally:
            await runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        header = request.headers.get("MSVS-Signature", "")
        if not verify_signature(body, header, self.secret, time.time()):
            self.signature_failures += 1
            return web.Response(status=400, text="bad signature")
        event = json.loads(body)
        data = event["data"]
        self.last_at = time.monotonic()
        if event["id"] in self.events:
            self.repeats += 1
        else:
            self.events[event["id"]] = Event(event["id"], event["type"], data["id"], data.get("campaign_id"))
            self._on_event(event["type"], data)
        return web.Response(text="ok")


# The steps


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the CSV: the line it ends on and its trimmed fields."""

    line: int
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row the API refused, and why; the phone is masked."""

    line: int
    phone: str
    status: int
    code: str
    message: str


@dataclass(slots=True)
class Imported:
    """What became of the rows; `contacts` maps each contact id to its phone."""

    created: int = 0
    duplicates: int = 0
    bad: list[BadRow] = field(default_factory=list)
    contacts: dict[str, str] = field(default_factory=dict)
    existing: set[str] = field(default_factory=set)


def read_rows(path: Path, limit: int | None = None) -> list[Row]:
    """The first `limit` rows of a UTF-8 CSV with a header. Raises DemoError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if "phone" not in (reader.fieldnames or ()):
                raise DemoError(f"{path} has no column named phone")
            return [
                Row(reader.line_num, {name: (value or "").strip() for name, value in record.items() if name})
                for record in islice(reader, limit)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DemoError(f"cannot read {path}: {error}") from None


def contact_body(row: Row) -> dict[str, Any]:
    """The body of POST /v1/contacts for a row; empty fields are left out."""
    body: dict[str, Any] = {"phone": row.fields["phone"], "opt_in": {"source": "csv import"}}
    body |= {name: row.fields[name] for name in ("first_name", "last_name", "email") if row.fields.get(name)}
    attributes = {name: row.fields[name] for name in ATTRIBUTES if row.fields.get(name)}
    return body | ({"attributes": attributes} if attributes else {})


async def import_rows(api: Api, rows: Sequence[Row], run_id: str, progress: Progress) -> Imported:
    """POST every row as a contact, twenty at a time. Raises DemoError when the service cannot be used."""
    imported = Imported()
    pending = iter(rows)
    began = time.monotonic()

    async def work() -> None:
        for row in pending:
            await _import_row(api, row, run_id, imported)
            done = imported.created + imported.duplicates + len(imported.bad)
            rate = done / max(time.monotonic() - began, 0.001)
            progress.update(done, len(rows), f"{rate:.0f}/s, {len(imported.bad)} bad")

    workers = [asyncio.create_task(work()) for _ in range(CONCURRENCY)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    imported.bad.sort(key=lambda bad: bad.line)
    return imported


async def _import_row(api: Api, row: Row, run_id: str, imported: Imported) -> None:
    phone = row.fields["phone"]
    try:
        contact = await api.post("/v1/contacts", contact_body(row), key=f"{run_id}-contact-{row.line}")
    except Refused as refusal:
        # Who said STOP in an earlier run stays out, no matter what the file says.
        if refusal.code in ("contact_exists", "opt_in_revoked") and isinstance(refusal.existing_id, str):
            imported.duplicates += 1
            if refusal.existing_id not in imported.contacts:
                imported.contacts[refusal.existing_id] = phone
                imported.existing.add(refusal.existing_id)
        elif refusal.status in (400, 422) or refusal.code == "opt_in_revoked":
            bad = BadRow(row.line, mask_text(phone), refusal.status, refusal.code, refusal.message)
            imported.bad.append(bad)
        else:
            raise
    else:
        imported.created += 1
        imported.contacts[contact["id"]] = phone
        imported.existing.discard(contact["id"])


async def make_list(api: Api, contact_ids: Sequence[str], run_id: str, progress: Progress) -> tuple[str, int]:
    """A new list of these contacts: its id and how many it now has."""
    created = await api.post("/v1/lists", {"name": f"Cohort 06 — {run_id}"}, key=f"{run_id}-list")
    members = 0
    for start in range(0, len(contact_ids), LIST_CHUNK):
        chunk = list(contact_ids[start : start + LIST_CHUNK])
        path = f"/v1/lists/{created['id']}/contacts"
        answer = await api.post(path, {"contact_ids": chunk}, key=f"{run_id}-members-{start}")
        members += answer["added"] + answer["already_members"]
        progress.update(start + len(chunk), len(contact_ids))
    return created["id"], members


async def count_without_consent(api: Api, list_id: str) -> int:
    """How many members of a list a campaign leaves out, because they are not opted in."""
    count = 0
    for status in ("unknown", "pending", "opted_out"):
        async for _ in api.pages("/v1/contacts", list_id=list_id, opt_in_status=status):
            count += 1
    return count


async def watch_campaign(api: Api, campaign_id: str, seconds: float, progress: Progress) -> dict[str, Any]:
    """Poll a campaign each second until it ends or `seconds` pass; its last state."""
    deadline = time.monotonic() + seconds
    status = ""
    while True:
        campaign: dict[str, Any] = await api.get(f"/v1/campaigns/{campaign_id}")
        stats = campaign["stats"]
        done = sum(stats[name] for name in ("delivered", "failed", "skipped", "canceled"))
        note = " ".join(f"{name} {stats[name]}" for name in ("queued", "sent", "delivered", "failed", "replied"))
        progress.update(done, stats["recipients"], f"{campaign['status']}: {note}")
        if campaign["status"] != status:
            status = campaign["status"]
            if status == "paused":
                progress.say(f"  the campaign is paused: {campaign.get('pause_reason')}")
        if status in ENDED_CAMPAIGNS or time.monotonic() > deadline:
            return campaign
        await asyncio.sleep(1)


# The reconciliation


@dataclass(frozen=True, slots=True)
class Message:
    """What the reconciliation needs of a message; `was_sent`, whether the carrier took it, where that is told."""

    id: str
    to: str
    status: str
    credits_used: int
    was_sent: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything the demo saw: what it asked for, what the API says, what the webhooks said."""

    rows: int
    created: int
    duplicates: int
    bad: int
    contacts: Mapping[str, str]
    existing: frozenset[str]
    members: int
    without_consent: int
    campaign_id: str
    campaign_status: str
    stats: Mapping[str, int]
    messages: Sequence[Message]
    events: Sequence[Event]
    signature_failures: int
    livemode: bool
    balance_before: int
    balance_after: int
    other_credits: int


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the reconciliation."""

    name: str
    expected: str
    found: str
    ok: bool


@dataclass(frozen=True, slots=True)
class EventCount:
    """One event type: distinct events wanted, seen, and the resources with none, too many, or an unwanted one."""

    type: str
    expected: int
    found: int
    missing: int
    duplicate: int
    unexpected: int

    @property
    def ok(self) -> bool:
        """Whether every resource has exactly the events it should."""
        return not (self.missing or self.duplicate or self.unexpected)


def count_events(facts: Facts) -> list[EventCount]:
    """Each event type's distinct events against what the messages, the campaign and its stats call for."""
    by_status: dict[str, set[str]] = {}
    for message in facts.messages:
        by_status.setdefault(message.status, set()).add(message.id)

    def having(*statuses: str) -> set[str]:
        return set().union(*(by_status.get(status, set()) for status in statuses))

    delivered, failed = having(*DELIVERED), having("failed")
    handed_off = having("sent") | delivered | {m.id for m in facts.messages if m.was_sent}
    campaign = {facts.campaign_id}
    completed = campaign if facts.campaign_status == "completed" else set()
    # Of each type: the resources that need an event, and those that may have one besides.
    wanted: dict[str, tuple[set[str], set[str]]] = {
        "message.queued": (handed_off | failed | having("queued", "sending"), having("skipped", "canceled")),
        # A carrier may refuse a message at hand-off (never sent) or after it (sent, then failed).
        "message.sent": (handed_off, failed),
        "message.delivered": (delivered, set()),
        "message.failed": (failed, set()),
        "message.replied": (having("replied"), set()),
        "campaign.dispatched": (campaign, set()),
        "campaign.completed": (completed, set()),
    }
    seen: dict[str, Counter[str]] = {kind: Counter() for kind in EVENT_TYPES}
    for event in facts.events:
        ours = event.campaign_id == facts.campaign_id or event.subject in campaign
        if event.type == "contact.opted_out":
            ours = event.subject in facts.contacts
        if ours and event.type in seen:
            seen[event.type][event.subject] += 1
    counts = []
    for kind in EVENT_TYPES:
        subjects = seen[kind]
        # Each reply is an event of its own, so a message may have several.
        extra = 0 if kind == "message.replied" else sum(count - 1 for count in subjects.values())
        if kind == "contact.opted_out":
            expected = facts.stats["opted_out"]
            missing, unexpected = max(expected - len(subjects), 0), max(len(subjects) - expected, 0)
        else:
            needed, allowed = wanted[kind]
            expected = len(needed | (allowed & subjects.keys()))
            missing, unexpected = len(needed - subjects.keys()), len(subjects.keys() - needed - allowed)
        counts.append(EventCount(kind, expected, sum(subjects.values()), missing, extra, unexpected))
    return counts


def reconcile(facts: Facts) -> list[Check]:
    """Every line of the reconciliation; the run is good when all are ok."""
    checks: list[Check] = []

    def equal(name: str, expected: object, found: object) -> None:
        checks.append(Check(name, str(expected), str(found), expected == found))

    stats = facts.stats
    statuses = Counter(message.status for message in facts.messages)
    delivered = sum(statuses[status] for status in DELIVERED)

    equal("CSV rows = created + duplicates + bad", facts.rows, facts.created + facts.duplicates + facts.bad)
    equal("list members = distinct contacts", len(facts.contacts), facts.members)
    equal("campaign status", "completed", facts.campaign_status)
    least = facts.members - facts.without_consent
    span = str(facts.members) if least == facts.members else f"{least} to {facts.members}"
    reached = least <= stats["recipients"] <= facts.members
    checks.append(Check("recipients = members with consent", span, str(stats["recipients"]), reached))
    ended = sum(stats[name] for name in ("delivered", "failed", "skipped", "canceled"))
    equal("recipients = delivered + failed + skipped + canceled", stats["recipients"], ended)

    # A recipient skipped before a message was made has no message to list.
    unlisted = 0 if statuses["skipped"] else stats["skipped"]
    equal("messages listed = recipients", stats["recipients"] - unlisted, len(facts.messages))
    equal("distinct message ids", len(facts.messages), len({message.id for message in facts.messages}))
    equal("distinct phones (one message each)", len(facts.messages), len({m.to for m in facts.messages}))
    equal("delivered, recounted", stats["delivered"], delivered)
    equal("failed, recounted", stats["failed"], statuses["failed"])
    equal("replied, recounted", stats["replied"], statuses["replied"])
    equal("skipped, recounted", stats["skipped"], statuses["skipped"] + unlisted)
    equal("canceled, recounted", stats["canceled"], statuses["canceled"])
    unfinished = len(facts.messages) - delivered - sum(statuses[s] for s in ("failed", "skipped", "canceled"))
    equal("messages not finished", 0, unfinished)

    credits_used = sum(message.credits_used for message in facts.messages)
    equal("credits: stats = sum over messages", stats["credits_used"], credits_used)
    moved = facts.balance_before - facts.balance_after
    if facts.livemode:
        equal("credits: balance moved (with confirmations)", credits_used + facts.other_credits, moved)
    else:
        equal("credits: balance moved (sandbox)", 0, moved)

    for count in count_events(facts):
        problems = ((count.missing, "missing"), (count.duplicate, "duplicate"), (count.unexpected, "unexpected"))
        details = ", ".join(f"{number} {word}" for number, word in problems if number)
        found = f"{count.found} ({details})" if details else str(count.found)
        checks.append(Check(f"events {count.type}", str(count.expected), found, count.ok))
    equal("events in order: dispatched, completed", True, _in_order(facts))
    equal("signature failures", 0, facts.signature_failures)
    if not facts.livemode:
        checks += _check_scripted(facts)
    return checks


def _in_order(facts: Facts) -> bool:
    """Whether the campaign was dispatched before it completed; event ids sort by time."""
    ids = [
        [event.id for event in facts.events if event.type == kind and event.subject == facts.campaign_id]
        for kind in ("campaign.dispatched", "campaign.completed")
    ]
    return bool(ids[0] and ids[1]) and max(ids[0]) < min(ids[1])


def _check_scripted(facts: Facts) -> Iterable[Check]:
    """The sandbox numbers among the contacts did what their scripts say."""
    ends = {message.to: message.status for message in facts.messages}
    for contact_id, phone in sorted(facts.contacts.items(), key=lambda item: item[1]):
        if phone not in SCRIPTED:
            continue
        story, allowed = SCRIPTED[phone]
        end = ends.get(phone, "skipped")
        # A contact of an earlier run may have opted out then.
        ok = end in allowed or (end == "skipped" and contact_id in facts.existing)
        yield Check(f"{mask(phone)} {story}", " or ".join(sorted(allowed)), end, ok)


def is_scripted_waiting(facts: Facts) -> bool:
    """Whether a scripted reply or STOP of the sandbox has yet to show."""
    if facts.livemode:
        return False
    by_phone = {phone: contact_id for contact_id, phone in facts.contacts.items()}
    stop = by_phone.get("+14155550105")
    told = {event.subject for event in facts.events if event.type == "contact.opted_out"}
    waits_for_stop = stop is not None and stop not in facts.existing and stop not in told
    return waits_for_stop or any(not check.ok for check in _check_scripted(facts))


# The run


class Demo:
    """One run: its options, its connection, and what it has seen so far."""

    def __init__(self, options: argparse.Namespace, base_url: str, key: str) -> None:
        self.options = options
        self.base_url = base_url
        self.key = key
        self.run_id = f"demo-{secrets.token_hex(5)}"
        self.out: TextIO = sys.stderr if options.json else sys.stdout
        self.progress = Progress(sys.stderr)
        self.receiver = Receiver(self._show)
        self.timings: dict[str, float] = {}

    async def run(self) -> dict[str, Any]:
        """Do every step; the summary, whose `ok` says whether all reconciles. Raises DemoError, Refused."""
        rows = read_rows(self.options.csv, self.options.contacts)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(limit=CONCURRENCY * 2)
        async with (
            self.receiver.listening(),
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
        ):
            api = Api(session, self.base_url, self.key)
            hook = {"url": self.receiver.url, "events": list(EVENT_TYPES), "secret": self.receiver.secret}
            webhook = await api.post("/v1/webhooks", hook, key=f"{self.run_id}-webhook")
            try:
                return await self._run(api, rows)
            finally:
                self.progress.end()
                await self._forget(api, webhook["id"])

    async def _run(self, api: Api, rows: Sequence[Row]) -> dict[str, Any]:
        balance_before: int = (await api.get("/v1/credits"))["balance"]
        with self._step("import contacts"):
            imported = await import_rows(api, rows, self.run_id, self.progress)
        self._show_bad(imported.bad)
        if not imported.contacts:
            raise DemoError("no row made a contact, so there is nobody to send to")
        with self._step("make the list"):
            list_id, members = await make_list(api, list(imported.contacts), self.run_id, self.progress)
            without_consent = await count_without_consent(api, list_id)
        with self._step("send the campaign"):
            order = {
                "name": f"Cohort 06 — open cart ({self.run_id})",
                "body": BODY,
                "audience": {"list_ids": [list_id]},
                "metadata": {"campaign": "cohort_06_open", "run": self.run_id},
            }
            campaign = await api.post("/v1/campaigns", order, key=f"{self.run_id}-campaign")
            campaign = await watch_campaign(api, campaign["id"], self.options.timeout, self.progress)

        async def gather() -> Facts:
            now = await api.get(f"/v1/campaigns/{campaign['id']}")
            messages = await self._recount(api, now)
            return Facts(
                rows=len(rows),
                created=imported.created,
                duplicates=imported.duplicates,
                bad=len(imported.bad),
                contacts=imported.contacts,
                existing=frozenset(imported.existing),
                members=members,
                without_consent=without_consent,
                campaign_id=now["id"],
                campaign_status=now["status"],
                stats=now["stats"],
                messages=messages,
                events=list(self.receiver.events.values()),
                signature_failures=self.receiver.signature_failures,
                livemode=self.options.live,
                balance_before=balance_before,
                balance_after=(await api.get("/v1/credits"))["balance"],
                other_credits=await self._other_credits(api, now, imported) if self.options.live else 0,
            )

        with self._step("await the webhooks"):
            facts = await self._settle(gather)
        checks = reconcile(facts)
        summary = self._summary(api, facts, imported, list_id, checks)
        self._show_summary(summary, checks)
        return summary

    async def _settle(self, gather: Callable[[], Awaitable[Facts]]) -> Facts:
        """Recount until all reconciles and no event has come for a while, or the time for it is up."""
        deadline = time.monotonic() + self.options.catch_up
        facts = await gather()
        while True:
            while time.monotonic() < min(deadline, self.receiver.last_at + QUIET_SECONDS):
                self._show_events(replace(facts, events=list(self.receiver.events.values())))
                await asyncio.sleep(0.25)
            facts = await gather()
            self._show_events(facts)
            settled = all(check.ok for check in reconcile(facts)) and not is_scripted_waiting(facts)
            if settled or time.monotonic() > deadline:
                return facts
            await asyncio.sleep(RECOUNT_SECONDS)

    async def _recount(self, api: Api, campaign: Mapping[str, Any]) -> list[Message]:
        return [
            Message(item["id"], item["to"], item["status"], item["credits_used"], bool(item.get("sent_at")))
            async for item in api.pages("/v1/messages", campaign_id=campaign["id"])
        ]

    async def _other_credits(self, api: Api, campaign: Mapping[str, Any], imported: Imported) -> int:
        """Credits of what else the service sent to our contacts meanwhile: the confirmations of opt-outs."""
        told = {e.subject for e in self.receiver.events.values() if e.type == "contact.opted_out"}
        total = 0
        for contact_id in told & imported.contacts.keys():
            async for item in api.pages("/v1/messages", contact_id=contact_id):
                if item["created_at"] < campaign["created_at"]:
                    break
                if item.get("campaign_id") != campaign["id"]:
                    total += item["credits_used"]
        return total

    async def _forget(self, api: Api, webhook_id: str) -> None:
        """Remove the subscription: nobody will listen at its address again."""
        try:
            async with asyncio.timeout(10):
                await api.delete(f"/v1/webhooks/{webhook_id}", key=f"{self.run_id}-webhook-delete")
        except (Refused, DemoError, TimeoutError) as error:
            print(f"the webhook {webhook_id} could not be removed: {error}", file=sys.stderr)

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        self.progress.step(title)
        try:
            yield
        finally:
            self.progress.end()
            self.timings[title] = round(time.monotonic() - began, 2)

    def _show(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "message.replied":
            text = mask_text(str((data.get("reply") or {}).get("body", "")))[:80]
            self.progress.say(f"  reply from {mask(str(data.get('to', '')))}: {text}")
        elif kind == "contact.opted_out":
            self.progress.say(f"  {mask(str(data.get('phone', '')))} opted out")

    def _show_events(self, facts: Facts) -> None:
        counts = count_events(facts)
        missing = sum(count.missing for count in counts)
        found = sum(count.found for count in counts)
        self.progress.update(found, found + missing, f"{missing} events to come")

    def _show_bad(self, bad: Sequence[BadRow]) -> None:
        if not bad:
            return
        print(f"\nBad rows ({len(bad)}):", file=self.out)
        shown = [
            (str(row.line), row.phone[:24], f"{row.status} {row.code}", row.message[:72])
            for row in bad[:BAD_ROWS_SHOWN]
        ]
        print(table(("line", "phone", "error", "message"), shown), file=self.out)
        if len(bad) > BAD_ROWS_SHOWN:
            print(f"… and {len(bad) - BAD_ROWS_SHOWN} more; --json lists them all", file=self.out)
        print(file=self.out, flush=True)

    def _show_summary(self, summary: Mapping[str, Any], checks: Sequence[Check]) -> None:
        lines = [("ok" if c.ok else "FAIL", c.name, c.expected, c.found) for c in checks]
        print("\n" + table(("", "check", "expected", "found"), lines), file=self.out)
        print("\n" + table(("step", "seconds"), [(k, str(v)) for k, v in self.timings.items()]), file=self.out)
        http = ", ".join(f"{number} {name}" for name, number in sorted(summary["http"].items()))
        print(f"\nHTTP: {http}; webhook events repeated: {summary['event_repeats']}", file=self.out)
        failed = sum(not check.ok for check in checks)
        print(f"{failed} CHECKS FAILED" if failed else "Everything reconciles.", file=self.out, flush=True)

    def _summary(
        self, api: Api, facts: Facts, imported: Imported, list_id: str, checks: Sequence[Check]
    ) -> dict[str, Any]:
        return {
            "ok": all(check.ok for check in checks),
            "run_id": self.run_id,
            "livemode": facts.livemode,
            "list_id": list_id,
            "campaign_id": facts.campaign_id,
            "campaign_status": facts.campaign_status,
            "rows": facts.rows,
            "created": facts.created,
            "duplicates": facts.duplicates,
            "bad": facts.bad,
            "bad_rows": [asdict(row) for row in imported.bad],
            "stats": dict(facts.stats),
            "checks": [asdict(check) for check in checks],
            "events": {count.type: asdict(count) for count in count_events(facts)},
            "event_repeats": self.receiver.repeats,
            "signature_failures": facts.signature_failures,
            "seconds": self.timings,
            "http": dict(api.counts),
        }


def read_connection(options: argparse.Namespace) -> tuple[str, str]:
    """The base URL and API key: from the arguments, else from DATA_DIR/demo.json. Raises DemoError."""
    known: dict[str, str] = {}
    if not (options.url and options.key):
        path = Path(os.environ.get("DATA_DIR") or ".data") / "demo.json"
        try:
            known = json.loads(path.read_text())
        except (OSError, ValueError):
            raise DemoError(f"cannot read {path}; start the service first, or give --url and --key") from None
    url = options.url or known.get("base_url", "")
    key = options.key or known.get("live_key" if options.live else "test_key", "")
    if not url or not key:
        raise DemoError("the base URL or the API key is missing")
    if not key.startswith("msvs_live_" if options.live else "msvs_test_"):
        raise DemoError("the key must be a live key with --live and a sandbox key without")
    # The sample's numbers are made up, but somebody may own one: they must never leave for a real service.
    local = urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    if options.live and not local and options.csv == SAMPLE:
        raise DemoError("the sample is not for live sending; give a CSV of your own with --csv")
    return url, key


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="base URL of the API (default: from DATA_DIR/demo.json)")
    parser.add_argument("--key", help="API key (default: from DATA_DIR/demo.json)")
    parser.add_argument("--live", action="store_true", help="use the live key: real messages, real credits")
    parser.add_argument("--csv", type=Path, default=SAMPLE, help="the contacts (default: the sample)")
    parser.add_argument("--contacts", type=int, metavar="N", help="use the first N rows only")
    parser.add_argument("--timeout", type=float, default=300, help="seconds the campaign may take (default 300)")
    parser.add_argument("--catch-up", type=float, default=120, help="seconds to await webhooks (default 120)")
    parser.add_argument("--json", action="store_true", help="print a JSON summary alone on standard output")
    options = parser.parse_args(arguments)
    if options.contacts is not None and options.contacts < 1:
        parser.error("--contacts must be at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 when everything reconciles."""
    options = read_options(arguments)
    try:
        summary = asyncio.run(Demo(options, *read_connection(options)).run())
    except (DemoError, Refused) as error:
        print(f"demo: {error}", file=sys.stderr)
        if options.json:
            print(json.dumps({"ok": False, "error": str(error)}))
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(json.dumps(summary, ensure_ascii=False, indent=2))
    return 0 if summary["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
