"""Erase a person: delete or anonymize every record; accounting, consent and opt-outs are kept without personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.consent import consent
from msvs.api.contacts.bulk_actions import forget_ids, forget_names
from msvs.api.contacts.contacts import DELETE_CONTACT, DETAILS, LOCK_LISTS
from msvs.api.contacts.import_erasure import erase_from_imports, hash_of, hold_imports
from msvs.api.contacts.saved_views import forget_views
from msvs.api.contacts.sync_erasure import erase_from_syncs, hold_sources
from msvs.api.context import Context
from msvs.api.dispatch import cancellation
from msvs.api.errors import Conflict, ErrorCode
from msvs.api.messages.export_jobs import forget_files_of_people, rename_in_conditions
from msvs.api.permissions import Permission, allow
from msvs.api.privacy.naming import Person, without_target
from msvs.api.resources import Resource, moment
from msvs.api.scope import scoped
from msvs.api.text.phones import canonical, parse_phone, with_spellings
from msvs.database import encode_json, execute, fetch, fetch_row, fetch_value, now
from msvs.fields import ULID, about
from msvs.models import Contact, ListMember

BATCH = 1000
# A row's id may be so much older than its commit.
ID_MARGIN = timedelta(minutes=5)
PENDING_SECONDS = 5
# What it may take to read a large table to its end; nothing is locked meanwhile.
READ_SECONDS = 600.0

# What is said of a person in the shapes that are stored; a phone may stand in any text.
BLANKED: Mapping[str, object] = {
    "body": "",
    **dict.fromkeys(DETAILS),
    "ip": None,
    "user_agent": None,
    "text": None,
    "attributes": {},
    "tags": [],
    "metadata": {},
    "parts": [],
    "suggested_body": None,
    "warnings": [],
    # Of conversions: it leads to the person in another system.
    "order_id": "",
}

# A number may have been somebody else's before, who has another by now: what is theirs stays theirs.
NOT_OF_ANOTHER = """
NOT EXISTS (
    SELECT FROM contacts WHERE workspace_id = $1 AND livemode = $2
        AND contacts.id = {table}.contact_id AND contacts.id IS DISTINCT FROM {contact_id}::uuid
)
"""

# The large tables are read before anything is locked, and what was written since is read again under the locks.
FIND_MESSAGES = f"""
SELECT id, to_phone FROM messages
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND (
    contact_id = $4
    OR to_phone = ANY($5::varchar[]) AND {NOT_OF_ANOTHER.format(table="messages", contact_id="$4")}
)
"""
FIND_MESSAGES_OF_CONTACT = """
SELECT id, to_phone FROM messages WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3
"""
FIND_EVENTS_TO_ERASE = """
SELECT id FROM events
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND (resource_id = ANY($4::uuid[])
    OR EXISTS (SELECT FROM unnest($5::text[]) AS phone WHERE strpos(data, phone) > 0))
"""
FIND_ATTEMPTS = """
SELECT id FROM webhook_attempts
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND response_head <> '' AND (event_id = ANY($4::uuid[])
    OR EXISTS (SELECT FROM unnest($5::text[]) AS phone WHERE strpos(response_head, phone) > 0))
"""
FIND_SUBMISSIONS = """
SELECT id FROM virtual_submissions
WHERE workspace_id = $1 AND livemode = $2 AND id >= $3 AND to_phone NOT LIKE 'erased:%'
    AND (message_id = ANY($4::uuid[]) OR to_phone = ANY($5::varchar[]))
"""

FIND_OLD_PHONES = """
SELECT phone FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3 AND phone IS NOT NULL
UNION
SELECT from_phone FROM inbound_messages WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3
"""
FIND_PHONES_OF_OTHERS = """
SELECT canonical FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[]) AND id IS DISTINCT FROM $4
"""

# On the wire, or brought by a carrier and not yet applied: what becomes of it still needs the phone.
IS_PENDING = """
SELECT EXISTS (
    SELECT FROM messages WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[]) AND status = 'sending'
) OR EXISTS (
    SELECT FROM virtual_signals
    WHERE workspace_id = $1 AND livemode = $2 AND kind = 'inbound' AND phone = ANY($4::varchar[])
) OR $2 AND EXISTS (
    SELECT FROM carrier_signals WHERE kind = 'inbound'
        AND ltrim(regexp_replace(from_phone, '[^0-9]', '', 'g'), '0') = ANY($5::varchar[])
        OR kind = 'opt_out' AND message_id = ANY($3::uuid[])
)
"""

ERASE_MESSAGES = """
UPDATE messages SET to_phone = named.placeholder, body = '', metadata = '{}', warnings = NULL
FROM unnest($4::varchar[], $5::varchar[]) AS named (phone, placeholder)
WHERE messages.workspace_id = $1 AND messages.livemode = $2 AND messages.id = ANY($3::uuid[])
    AND messages.to_phone = named.phone
"""
# With their clicks: a link that a person still has leads nowhere from now on.
ERASE_LINKS = """
DELETE FROM short_links
WHERE workspace_id = $1 AND livemode = $2 AND (message_id = ANY($3::uuid[]) OR contact_id = $4)
"""
# Their sums stay, and the message that each is attributed to.
ERASE_CONVERSIONS = """
UPDATE conversions SET contact_id = NULL, order_id = 'erased:' || id, metadata = '{}'
WHERE workspace_id = $1 AND livemode = $2 AND (contact_id = $3 OR message_id = ANY($4::uuid[]))
"""
ERASE_INBOUND = f"""
WITH named AS (SELECT * FROM unnest($4::varchar[], $5::varchar[]) AS named (phone, placeholder))
UPDATE inbound_messages SET body = '',
    from_phone = coalesce((SELECT placeholder FROM named WHERE phone = from_phone), from_phone),
    dedupe_key = coalesce((
        SELECT left(replace(dedupe_key, phone, placeholder), 240) FROM named WHERE strpos(dedupe_key, phone) > 0 LIMIT 1
    ), dedupe_key)
WHERE workspace_id = $1 AND livemode = $2
    AND (
        contact_id = $3 OR message_id = ANY($7::uuid[])
        OR from_phone = ANY($6::varchar[]) AND {NOT_OF_ANOTHER.format(table="inbound_messages", contact_id="$3")}
    )
"""
ERASE_SUBMISSIONS = """
UPDATE virtual_submissions SET to_phone = named.placeholder
FROM unnest($2::varchar[], $3::varchar[]) AS named (phone, placeholder)
WHERE virtual_submissions.id = ANY($1::uuid[]) AND virtual_submissions.to_phone = named.phone
"""
ERASE_VIRTUAL_EVENTS = """
UPDATE virtual_signals SET phone = named.placeholder, text = ''
FROM unnest($3::varchar[], $4::varchar[]) AS named (phone, placeholder)
WHERE virtual_signals.workspace_id = $1 AND virtual_signals.livemode = $2 AND virtual_signals.phone = named.phone
"""
ERASE_CARRIER_EVENTS = """
UPDATE carrier_signals SET from_phone = NULL, text = '' WHERE message_id = ANY($1::uuid[])
"""
# Nothing is told any more of a message whose phone is forgotten.
ERASE_CALLBACKS = """
UPDATE twilio_messages SET callback_url = NULL, signatures = NULL
WHERE workspace_id = $1 AND livemode = $2 AND message_id = ANY($3::uuid[])
"""
ERASE_ATTEMPTS = """
UPDATE webhook_attempts SET response_head = ''
WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[])
"""
READ_EVENTS = """
SELECT id, data FROM events WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[])
"""
WRITE_EVENTS = """
UPDATE events SET data = redacted.data FROM unnest($3::uuid[], $4::text[]) AS redacted (id, data)
WHERE events.workspace_id = $1 AND events.livemode = $2 AND events.id = redacted.id
"""
READ_ANSWERS = """
SELECT id, body FROM idempotency_records
WHERE workspace_id = $1 AND livemode = $2
    AND EXISTS (SELECT FROM unnest($3::text[]) AS named WHERE strpos(body, named) > 0)
"""
WRITE_ANSWERS = """
UPDATE idempotency_records SET body = redacted.body FROM unnest($3::uuid[], $4::text[]) AS redacted (id, body)
WHERE idempotency_records.workspace_id = $1 AND idempotency_records.livemode = $2
    AND idempotency_records.id = redacted.id
"""
# A filter that names the person holds for nobody from now on.
READ_SEGMENTS = """
SELECT id, conditions FROM segments
WHERE workspace_id = $1 AND livemode = $2
    AND EXISTS (SELECT FROM unnest($3::text[]) AS named WHERE strpos(lower(conditions::text), lower(named)) > 0)
ORDER BY id FOR NO KEY UPDATE
"""
WRITE_SEGMENT = "UPDATE segments SET conditions = $4::jsonb WHERE workspace_id = $1 AND livemode = $2 AND id = $3"

ERASE_CONSENT = f"""
UPDATE consent_events SET phone = NULL, ip = NULL, user_agent = NULL, text = NULL, erased_at = $6
WHERE workspace_id = $1 AND livemode = $2 AND erased_at IS NULL
    AND (
        contact_id = $3
        OR (phone = ANY($4::varchar[]) OR phone_hash = ANY($5::varchar[]))
        AND {NOT_OF_ANOTHER.format(table="consent_events", contact_id="$3")}
    )
"""
# As the hash of the canonical number, and of each other spelling that the history has an entry of: anyone who
# verifies the chain has no more of an erased entry than its hash.
ERASE_SUPPRESSIONS = """
WITH gone AS (
    DELETE FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[])
    RETURNING id, canonical, source, created_at
)
INSERT INTO erased_suppressions (id, workspace_id, livemode, phone_hash, source, created_at)
SELECT CASE WHEN named.is_canonical THEN gone.id ELSE named.id END, $1, $2, named.phone_hash, gone.source,
    gone.created_at
FROM gone JOIN unnest($3::varchar[], $4::varchar[], $5::bool[], $6::uuid[])
    AS named (canonical, phone_hash, is_canonical, id) ON named.canonical = gone.canonical
WHERE named.is_canonical OR EXISTS (
    SELECT FROM consent_events WHERE workspace_id = $1 AND livemode = $2 AND phone_hash = named.phone_hash
)
ON CONFLICT DO NOTHING
"""

FIND_ERASURE = """
SELECT created_at FROM audit_entries
WHERE workspace_id = $1 AND action = $2 AND resource_id = $3 AND (changes ->> 'livemode')::bool = $4
ORDER BY id DESC LIMIT 1
"""


class ErasureResource(Resource, kw_only=True):
    """Confirmation that a contact was erased, with the time."""

    id: Annotated[str, about(example=f"con_{ULID}")] | None
    object: Literal["contact"] = "contact"
    erased: Annotated[bool, about(example=True)] = True
    erased_at: str


@dataclass(frozen=True, slots=True)
class _Subject:
    """Who is erased: a contact or only a phone, the phones it had, and what stands for each from now on.

    `own` are the phones that no other contact has by now; `names` are its ids as they stand in stored shapes.
    """

    contact_id: UUID | None
    placeholders: Mapping[str, str]
    own: Sequence[str]
    names: frozenset[str]


async def erase_contact(ctx: Context, id: UUID) -> ErasureResource:
    """Erase a contact: its rows are gone, and messages, events and consent keep nothing that names it.

    Doing it again changes nothing. Raises NotFound, PermissionDenied, and Conflict `erasure_pending` while a message
    to it is being handed over or one from it waits to be taken in.
    """
    allow(ctx, Permission.CONTACTS_ERASE)
    contact = await scoped(ctx, Contact).filter(id=id).first()
    if contact is not None:
        erased_at = await _erase(ctx, contact.phone, id)
        if erased_at is not None:
            return ErasureResource(id=ids.encode_id(ids.CONTACT, id), erased_at=moment(erased_at))
    # A statement of its own, after the lock: it sees what another erasure committed.
    name = ids.encode_id(ids.CONTACT, id)
    done = await fetch_row(FIND_ERASURE, ctx.workspace_id, AuditAction.CONTACT_ERASED.value, name, ctx.livemode)
    if done is None:
        raise ids.missing("contact", name)
    return ErasureResource(id=name, erased_at=moment(done.created_at))


async def erase_phone(ctx: Context, phone: str) -> ErasureResource:
    """Erase anyone who had a phone, also where its contact is long deleted. Raises InvalidRequest, Conflict."""
    allow(ctx, Permission.CONTACTS_ERASE)
    e164 = parse_phone(phone, param="phone").e164
    contact = await scoped(ctx, Contact).filter(canonical=canonical(e164)).first()
    if contact is not None:
        return await erase_contact(ctx, contact.id)
    erased_at = await _erase(ctx, e164, None)
    assert erased_at is not None, "there is no row to lose"
    return ErasureResource(id=None, erased_at=moment(erased_at))


async def _erase(ctx: Context, phone: str, contact_id: UUID | None) -> datetime | None:
    """Erase, in the current transaction; when, or None if the contact is gone by now."""
    scope = (ctx.workspace_id, ctx.livemode)
    began = await now()
    messages = {row.id: row.to_phone for row in await fetch(FIND_MESSAGES_OF_CONTACT, *scope, contact_id)}
    early = await _subject(ctx, contact_id, phone, messages)
    for row in await fetch(FIND_MESSAGES, *scope, UUID(int=0), contact_id, list(early.own), timeout=READ_SECONDS):
        messages[row.id] = row.to_phone
    found = await _find(ctx, early, messages, UUID(int=0))

    await hold_imports(ctx)
    await hold_sources(ctx)
    contact = None
    if contact_id is not None:
        contact = await scoped(ctx, Contact).filter(id=contact_id).select_for_update().first()
        if contact is None or contact.phone != phone:
            return None if contact is None else await _erase(ctx, contact.phone, contact_id)
    await consent.lock_suppressions(ctx)
    if contact_id is not None:
        # Before messages and credits, as where a contact is deleted or joins a list.
        await fetch_value(LOCK_LISTS, contact_id, *scope)
        # Anyone who expands a campaign right now is waited for, and its message found below.
        await execute("DELETE FROM campaign_recipients WHERE contact_id = $1", contact_id)
        for row in await fetch(FIND_MESSAGES_OF_CONTACT, *scope, contact_id):
            messages[row.id] = row.to_phone
    subject = await _subject(ctx, contact_id, phone, messages)
    since = ids.id_from(began, before=ID_MARGIN)
    for row in await fetch(FIND_MESSAGES, *scope, since, contact_id, list(subject.own)):
        messages[row.id] = row.to_phone
    subject = replace(subject, names=_names(contact_id, messages))
    at = await now()
    await cancellation.cancel_messages(ctx, list(messages), reason="recipient_deleted", now=at)
    await _refuse_pending(ctx, subject, messages)
    found = found | await _find(ctx, subject, messages, since)
    await _redact(ctx, subject, list(messages), found)
    await _redact_searches(ctx, subject, contact)
    await _erase_consent(ctx, subject, at)
    if contact_id is not None:
        await ListMember.filter(contact_id=contact_id).delete()
        await execute(DELETE_CONTACT, contact_id, *scope)
    await record_audit(
        ctx,
        AuditAction.CONTACT_ERASED,
        None if contact_id is None else ids.encode_id(ids.CONTACT, contact_id),
        {"livemode": ctx.livemode, "messages": len(messages)},
    )
    return at


async def _refuse_pending(ctx: Context, subject: _Subject, messages: Mapping[UUID, str]) -> None:
    """Raise Conflict `erasure_pending` while a message to or from the subject is on its way."""
    # Many carriers leave the plus out, or write 00 for it, or put something between the digits.
    bare = [each.removeprefix("+") for each in subject.own]
    if await fetch_value(IS_PENDING, ctx.workspace_id, ctx.livemode, list(messages), list(subject.own), bare):
        raise Conflict(
            "A message to or from this contact is on its way; try again shortly, under another Idempotency-Key.",
            code=ErrorCode.ERASURE_PENDING,
            retry_after=PENDING_SECONDS,
        )


async def _subject(ctx: Context, contact_id: UUID | None, phone: str, messages: Mapping[UUID, str]) -> _Subject:
    old = await fetch(FIND_OLD_PHONES, ctx.workspace_id, ctx.livemode, contact_id)
    phones = {phone, *messages.values(), *(row.phone for row in old)}
    phones = set(with_spellings(each for each in phones if each.startswith("+")))
    wanted = [canonical(each) for each in phones]
    rows = await fetch(FIND_PHONES_OF_OTHERS, ctx.workspace_id, ctx.livemode, wanted, contact_id)
    others = {row.canonical for row in rows}
    salt = contact_id or ids.new_id()
    return _Subject(
        contact_id,
        {each: ctx.services.keyring.phone_placeholder(salt, each) for each in sorted(phones)},
        sorted(each for each in phones if canonical(each) not in others),
        _names(contact_id, messages),
    )


def _names(contact_id: UUID | None, messages: Iterable[UUID]) -> frozenset[str]:
    names = [ids.encode_id(ids.MESSAGE, id) for id in messages]
    return frozenset(names if contact_id is None else [*names, ids.encode_id(ids.CONTACT, contact_id)])


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of the large tables that are about the subject."""

    events: frozenset[UUID]
    attempts: frozenset[UUID]
    submissions: frozenset[UUID]

    def __or__(self, other: _Found) -> _Found:
        return _Found(self.events | other.events, self.attempts | other.attempts, self.submissions | other.submissions)


async def _find(ctx: Context, subject: _Subject, messages: Mapping[UUID, str], since: UUID) -> _Found:
    scope = (ctx.workspace_id, ctx.livemode, since)
    resources = [*messages, *([] if subject.contact_id is None else [subject.contact_id])]
    events = [
        row.id for row in await fetch(FIND_EVENTS_TO_ERASE, *scope, resources, list(subject.own), timeout=READ_SECONDS)
    ]
    attempts = [row.id for row in await fetch(FIND_ATTEMPTS, *scope, events, list(subject.own), timeout=READ_SECONDS)]
    taken = await fetch(FIND_SUBMISSIONS, *scope, list(messages), list(subject.own), timeout=READ_SECONDS)
    return _Found(frozenset(events), frozenset(attempts), frozenset(row.id for row in taken))


async def _redact(ctx: Context, subject: _Subject, messages: list[UUID], found: _Found) -> None:
    scope = (ctx.workspace_id, ctx.livemode)
    phones, placeholders = list(subject.placeholders), list(subject.placeholders.values())
    await execute(ERASE_MESSAGES, *scope, messages, phones, placeholders)
    await execute(ERASE_LINKS, *scope, messages, subject.contact_id)
    await execute(ERASE_CONVERSIONS, *scope, subject.contact_id, messages)
    own = list(subject.own)
    stand_ins = [subject.placeholders[phone] for phone in own]
    await execute(ERASE_INBOUND, *scope, subject.contact_id, phones, placeholders, own, messages)
    await execute(ERASE_SUBMISSIONS, list(found.submissions), phones, placeholders)
    await execute(ERASE_VIRTUAL_EVENTS, *scope, own, stand_ins)
    await execute(ERASE_CARRIER_EVENTS, messages)
    await execute(ERASE_CALLBACKS, *scope, messages)
    await erase_from_imports(ctx, own, READ_SECONDS)
    await erase_from_syncs(ctx, subject.contact_id, own)
    await forget_files_of_people(ctx, await now())
    events = sorted(found.events)
    for start in range(0, len(events), BATCH):
        rows = await fetch(READ_EVENTS, *scope, events[start : start + BATCH])
        texts = [_redacted_text(subject, row.data) for row in rows]
        await execute(WRITE_EVENTS, *scope, [row.id for row in rows], texts)
    await execute(ERASE_ATTEMPTS, *scope, list(found.attempts))
    # An answer stays, so that its request is not done twice.
    named = [*own, *([] if subject.contact_id is None else [ids.encode_id(ids.CONTACT, subject.contact_id)])]
    await forget_ids(ctx, [*named, *(phone.removeprefix("+") for phone in own)])
    answers = await fetch(READ_ANSWERS, *scope, named)
    texts = [_redacted_text(subject, row.body) for row in answers]
    await execute(WRITE_ANSWERS, *scope, [row.id for row in answers], texts)


async def _redact_searches(ctx: Context, subject: _Subject, contact: Contact | None) -> None:
    """Take the subject out of segments, exports and bulk actions, and delete the saved views that name it."""
    await _redact_segments(ctx, subject, None if contact is None else contact.email)
    person = Person(list(subject.own))
    if contact is not None:
        person = replace(
            person, **{name: getattr(contact, name) for name in ("email", "first_name", "last_name", "external_id")}
        )
    placeholder = next(iter(subject.placeholders.values()))
    await rename_in_conditions(ctx, lambda text: placeholder if person.is_named_by(text) else text)
    await forget_names(ctx, person.is_named_by)
    await forget_views(ctx, lambda text: text in subject.names or person.is_named_by(text))


async def _redact_segments(ctx: Context, subject: _Subject, email: str | None) -> None:
    """Take the phones and the address of the subject out of the filters that name them."""
    named = {}
    for phone in subject.own:
        named[phone] = named[phone.removeprefix("+")] = subject.placeholders[phone]
    if email is not None:
        named[email.lower()] = next(iter(subject.placeholders.values()))
    for row in await fetch(READ_SEGMENTS, ctx.workspace_id, ctx.livemode, list(named)):
        conditions = _renamed(row.conditions, named)
        await execute(WRITE_SEGMENT, ctx.workspace_id, ctx.livemode, row.id, encode_json(conditions))


def _renamed(value: object, names: Mapping[str, str]) -> object:
    """Return a JSON value with other texts in the place of `names`, which are in lower case."""
    match value:
        case str():
            return names.get(value.lower(), value)
        case list():
            return [_renamed(each, names) for each in value]
        case dict():
            return {name: _renamed(each, names) for name, each in value.items()}
    return value


async def _erase_consent(ctx: Context, subject: _Subject, at: datetime) -> None:
    scope = (ctx.workspace_id, ctx.livemode)
    own = list(subject.own)
    hashes = [hash_of(ctx, phone) for phone in own]
    await execute(ERASE_CONSENT, *scope, subject.contact_id, own, hashes, at)
    await execute(
        ERASE_SUPPRESSIONS,
        *scope,
        [canonical(phone) for phone in own],
        hashes,
        [phone == canonical(phone) for phone in own],
        [ids.new_id() for _ in own],
    )


def _redacted_text(subject: _Subject, text: str) -> str:
    """Return a stored JSON text without what it says of the subject."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _without_phones(subject, text)
    return msgspec.json.encode(_redacted(subject, value)).decode()


def _redacted(subject: _Subject, value: object) -> object:
    match value:
        case str():
            return _without_phones(subject, value)
        case list():
            return [_redacted(subject, each) for each in value]
        case dict():
            if _is_about(subject, value):
                return {
                    name: BLANKED[name] if name in BLANKED else _opt_in_or(subject, name, each)
                    for name, each in value.items()
                }
            return {name: _redacted(subject, each) for name, each in value.items()}
    return value


def _opt_in_or(subject: _Subject, name: str, value: object) -> object:
    if name == "click" and isinstance(value, dict):
        return without_target(value)
    if name == "opt_in" and isinstance(value, dict):
        return {key: BLANKED.get(key, _redacted(subject, each)) for key, each in value.items()}
    return _redacted(subject, value)


def _is_about(subject: _Subject, value: Mapping[str, object]) -> bool:
    texts = [value.get(name) for name in ("id", "contact_id", "message_id", "to", "from", "phone")]
    return any(isinstance(text, str) and (text in subject.names or text in subject.placeholders) for text in texts)


def _without_phones(subject: _Subject, text: str) -> str:
    for phone, placeholder in subject.placeholders.items():
        text = text.replace(phone, placeholder)
    return text
