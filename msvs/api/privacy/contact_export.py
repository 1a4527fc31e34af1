"""Export everything about one contact in one shape (GDPR art. 15 and 20, LGPD art. 18)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
from tortoise.expressions import Q, Subquery
from tortoise.models import Model
from tortoise.queryset import QuerySet

from msvs import database
from msvs.api import ids
from msvs.api.campaigns.sequence_shapes import EnrollmentResource, enrollment_resource
from msvs.api.campaigns.sequence_versions import find_versions
from msvs.api.consent.consent import ConsentEntryResource, consent_entry_resource, hashes_of, is_of_phone
from msvs.api.contacts.suppressions import SuppressionResource, suppression_resource
from msvs.api.context import Context
from msvs.api.messages.conversion_shapes import ConversionResource, conversion_resource
from msvs.api.messages.statistics import ID_MARGIN
from msvs.api.permissions import Permission, allow
from msvs.api.resources import (
    ContactListResource,
    ContactNoteResource,
    ContactResource,
    InboundMessageResource,
    MessageResource,
    Resource,
    contact_list_resource,
    contact_note_resource,
    contact_resource,
    inbound_message_resource,
    message_resource,
    moment,
)
from msvs.api.scope import find, scoped
from msvs.api.text.phones import spellings
from msvs.fields import about
from msvs.models import (
    ConsentEvent,
    Contact,
    ContactList,
    ContactNote,
    Conversion,
    InboundMessage,
    ListMember,
    Message,
    SequenceEnrollment,
    Suppression,
)

# In one answer, of each kind, newest first.
MAX_ROWS = 1000
BATCH = 1000

# Every event of a contact is younger than the contact.
COUNT_EVENTS = """
SELECT count(*) FROM events
WHERE workspace_id = $1 AND livemode = $2 AND id >= $4 AND (resource_id = $3 OR resource_id IN (
    SELECT id FROM messages WHERE workspace_id = $1 AND livemode = $2 AND contact_id = $3
))
"""

# The history under a phone that a contact no longer has, and whose contacts live on that had its phone before.
OLD_PHONES = """
SELECT DISTINCT phone FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND id >= $4 AND contact_id = $3 AND phone <> ALL($5::varchar[])
"""
OTHERS = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id <> $3 AND id IN (
    SELECT contact_id FROM consent_events
    WHERE workspace_id = $1 AND livemode = $2
        AND (phone_hash = ANY($4::varchar[]) OR phone = ANY($5::varchar[]) AND phone_hash IS NULL)
)
"""


class ContactExportResource(Resource, kw_only=True):
    """All data about a contact, newest first; `complete` is false if it holds only the newest rows of a kind."""

    id: str
    object: Literal["contact_export"] = "contact_export"
    exported_at: str
    contact: ContactResource
    lists: list[ContactListResource]
    consent: list[ConsentEntryResource]
    suppression: Annotated[SuppressionResource | None, about(example=None)]
    messages: list[MessageResource]
    inbound_messages: list[InboundMessageResource]
    notes: list[ContactNoteResource]
    enrollments: Annotated[list[EnrollmentResource], about("The sequences that the contact entered.")]
    conversions: list[ConversionResource]
    event_count: Annotated[int, about(example=4, minimum=0)]
    complete: Annotated[bool, about(example=True)]


async def export_contact(ctx: Context, id: UUID) -> ContactExportResource:
    """Return a contact's record, at most 1,000 rows of each kind. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.CONTACTS_READ)
    contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact")
    sections = await _sections(ctx, contact)
    lists = await sections.lists.newest()
    consent = await sections.consent.newest()
    messages = await sections.messages.newest()
    inbound = await sections.inbound_messages.newest()
    notes = await sections.notes.newest()
    enrollments = await sections.enrollments.newest()
    conversions = await sections.conversions.newest()
    suppression = await scoped(ctx, Suppression).filter(canonical=contact.canonical).first()
    return ContactExportResource(
        id=ids.encode_id(ids.CONTACT, id),
        exported_at=moment(await database.now()),
        contact=contact_resource(contact),
        suppression=None if suppression is None else suppression_resource(suppression),
        event_count=await _count_events(ctx, contact),
        lists=lists[:MAX_ROWS],
        consent=consent[:MAX_ROWS],
        messages=messages[:MAX_ROWS],
        inbound_messages=inbound[:MAX_ROWS],
        notes=notes[:MAX_ROWS],
        enrollments=enrollments[:MAX_ROWS],
        conversions=conversions[:MAX_ROWS],
        complete=all(
            len(each) <= MAX_ROWS for each in (lists, consent, messages, inbound, notes, enrollments, conversions)
        ),
    )


async def stream_contact(ctx: Context, id: UUID) -> AsyncGenerator[bytes, None]:
    """Yield the JSON text of a contact's record, all of it, piece by piece, as of one instant. Raises NotFound."""
    allow(ctx, Permission.CONTACTS_READ)
    async with database.transaction():
        await database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact")
        suppression = await scoped(ctx, Suppression).filter(canonical=contact.canonical).first()
        head = {
            "id": ids.encode_id(ids.CONTACT, id),
            "object": "contact_export",
            "exported_at": moment(await database.now()),
            "contact": contact_resource(contact),
            "suppression": None if suppression is None else suppression_resource(suppression),
            "event_count": await _count_events(ctx, contact),
            "complete": True,
        }
        yield msgspec.json.encode(head)[:-1]
        sections: Mapping[str, _Pieces] = (await _sections(ctx, contact))._asdict()
        for name, section in sections.items():
            yield b',"%s":[' % name.encode()
            async for piece in section.pieces():
                yield piece
            yield b"]"
        yield b"}"


M = TypeVar("M", bound=Model)
R = TypeVar("R", bound=Resource)


class _Pieces(Protocol):
    def pieces(self) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Section(Generic[M, R]):
    """The rows of a kind, and their shape."""

    query: QuerySet[M]
    shape: Callable[[M], R]

    async def newest(self) -> list[R]:
        """Return the newest, one more than an answer holds where there are more."""
        rows: Sequence[M] = await self.query.order_by("-id").limit(MAX_ROWS + 1)
        return [self.shape(row) for row in rows]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the JSON text of all, newest first, a batch at a time."""
        comma = b""
        before: UUID | None = None
        while True:
            query = self.query if before is None else self.query.filter(id__lt=before)
            rows: Sequence[M] = await query.order_by("-id").limit(BATCH)
            if not rows:
                return
            yield comma + b",".join(msgspec.json.encode(self.shape(row)) for row in rows)
            comma, before = b",", rows[-1].pk


class _Sections(NamedTuple):
    lists: _Section[ContactList, ContactListResource]
    consent: _Section[ConsentEvent, ConsentEntryResource]
    messages: _Section[Message, MessageResource]
    inbound_messages: _Section[InboundMessage, InboundMessageResource]
    notes: _Section[ContactNote, ContactNoteResource]
    enrollments: _Section[SequenceEnrollment, EnrollmentResource]
    conversions: _Section[Conversion, ConversionResource]


async def _sections(ctx: Context, contact: Contact) -> _Sections:
    """Return the kinds of rows there are of a contact: how they are found, and their shape."""
    lists = ListMember.filter(contact_id=contact.id).values_list("list_id", flat=True)
    return _Sections(
        lists=_Section(scoped(ctx, ContactList).filter(id__in=Subquery(lists)), contact_list_resource),
        consent=_Section(await _consent(ctx, contact), consent_entry_resource),
        messages=_Section(scoped(ctx, Message).filter(contact_id=contact.id), message_resource),
        inbound_messages=_Section(scoped(ctx, InboundMessage).filter(contact_id=contact.id), inbound_message_resource),
        notes=_Section(scoped(ctx, ContactNote).filter(contact_id=contact.id), contact_note_resource),
        enrollments=await _enrollments(ctx, contact.id),
        conversions=_Section(scoped(ctx, Conversion).filter(contact_id=contact.id), conversion_resource),
    )


async def _enrollments(ctx: Context, contact_id: UUID) -> _Section[SequenceEnrollment, EnrollmentResource]:
    query = scoped(ctx, SequenceEnrollment).filter(contact_id=contact_id)
    versions = await find_versions(ctx, {row.version_id for row in await query.only("version_id")})
    return _Section(query, lambda row: enrollment_resource(row, versions[row.version_id]))


async def _consent(ctx: Context, contact: Contact) -> QuerySet[ConsentEvent]:
    """Return the contact's own entries under any phone, and those of its phone that are not another contact's."""
    scope = (ctx.workspace_id, ctx.livemode, contact.id)
    named = (hashes_of(ctx, contact.phone), list(spellings(contact.phone)))
    others = [row.id for row in await database.fetch(OTHERS, *scope, *named)]
    own = is_of_phone(ctx, contact.phone) & (Q(contact_id__isnull=True) | Q(contact_id__not_in=others))
    since = ids.id_since(contact.created_at - ID_MARGIN, contact)
    for row in await database.fetch(OLD_PHONES, *scope, since, named[1]):
        own |= is_of_phone(ctx, row.phone) & Q(contact_id=contact.id)
    return scoped(ctx, ConsentEvent).filter(own)


async def _count_events(ctx: Context, contact: Contact) -> int:
    since = ids.id_since(contact.created_at - ID_MARGIN, contact)
    return int(await database.fetch_value(COUNT_EVENTS, ctx.workspace_id, ctx.livemode, contact.id, since))
