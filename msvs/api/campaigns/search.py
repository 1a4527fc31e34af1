"""Search of a workspace by one text, at a bounded cost: ids and phones by indexes, words among the newest rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.campaigns.campaigns import campaign_query
from msvs.api.campaigns.requests import ListCampaigns
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import MAX_SEARCH, ListContacts
from msvs.api.contacts.details import read_name
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.messages.messages import list_messages
from msvs.api.pages import PageRequest, fetch_sparse_page
from msvs.api.permissions import Permission, allow
from msvs.api.scope import scoped
from msvs.api.text.phones import canonical, read_phone
from msvs.models import Campaign, CampaignStatus, Contact, ContactList, Message, Segment
from msvs.models.rows import ContactRow
from msvs.replica_reads import from_replica

# Of each kind.
MOST_FOUND = 5
# Words are looked for among so many of the newest of a kind.
MOST_LOOKED_AT = 50_000
# So few digits are a part of too many phones, and more than these are none.
PHONE_DIGITS = range(5, 16)
PHONE_MARKS = frozenset("+-()./  ")
NOWHERE = "ZZ"

M = TypeVar("M", bound=Model)
PAGE = PageRequest(MOST_FOUND)


@dataclass(frozen=True, slots=True)
class Term:
    """A search term: the text, and the digits of a phone that it may contain."""

    text: str
    digits: str | None = None

    def id(self, prefix: str) -> UUID | None:
        """Return the id that the text is, of a prefix."""
        return ids.decode_id(prefix, self.text)

    @property
    def is_id(self) -> bool:
        """Whether the text is an id of any kind, which is no word."""
        return ids.decode_id(self.text.partition("_")[0], self.text) is not None


def read_term(text: str) -> Term:
    """Read what is looked for. Raises InvalidRequest with `param`."""
    text = read_name(text.strip(), param="q", maximum=MAX_SEARCH)
    if not set(text) - PHONE_MARKS - set("0123456789"):
        digits = "".join(each for each in text if each.isdigit()).lstrip("0")
        if len(digits) in PHONE_DIGITS:
            return Term(text, digits)
    return Term(text)


@from_replica
async def search_contacts(ctx: Context, term: Term) -> list[ContactRow]:
    """Find contacts by id, external id, e-mail address, phone as people write it, or words of a name."""
    allow(ctx, Permission.CONTACTS_READ)
    exact = Q(external_id=term.text)
    if (id := term.id(ids.CONTACT)) is not None:
        exact |= Q(id=id)
    if term.digits is not None:
        exact |= Q(canonical=_canonical(term))
    found: list[ContactRow] = list(await scoped(ctx, Contact).filter(exact).order_by("-id").limit(MOST_FOUND))
    if "@" in term.text:
        with suppress(InvalidRequest):
            found += (await list_matching(ctx, PageRequest(MOST_FOUND), ListContacts(email=term.text))).items
    if term.is_id:
        return found
    asked = term.text if term.digits is None else term.digits
    return _join(found, (await list_matching(ctx, PAGE, ListContacts(search=asked))).items)


@from_replica
async def search_campaigns(ctx: Context, term: Term) -> list[Campaign]:
    """Find campaigns, drafts too, by id or a part of the name."""
    allow(ctx, Permission.CAMPAIGNS_READ)
    if term.is_id:
        return await _by_id(ctx, Campaign, term.id(ids.CAMPAIGN))
    named = campaign_query(ctx, ListCampaigns(q=term.text, statuses=[*CampaignStatus]))
    return await _newest(scoped(ctx, Campaign).filter(sequence_id__isnull=True), named)


@from_replica
async def search_messages(ctx: Context, term: Term) -> list[Message]:
    """Find messages by id, recipient phone, or words of the body, such as a numeric code."""
    allow(ctx, Permission.MESSAGES_READ)
    if term.is_id:
        return await _by_id(ctx, Message, term.id(ids.MESSAGE))
    saying = (await list_messages(ctx, PAGE, q=term.text, status="all")).items
    if term.digits is None:
        return list(saying)
    to = (await list_matching(ctx, PAGE, ListContacts(search=term.digits))).items
    query = scoped(ctx, Message).filter(contact_id__in=[contact.id for contact in to])
    sent = await query.order_by("-id").limit(MOST_FOUND) if to else []
    both = {row.id: row for row in (*sent, *saying)}
    return [both[id] for id in sorted(both, reverse=True)][:MOST_FOUND]


@from_replica
async def search_lists(ctx: Context, term: Term) -> list[ContactList]:
    """Find lists by id or a part of the name."""
    return await _named(ctx, ContactList, term, ids.CONTACT_LIST)


@from_replica
async def search_segments(ctx: Context, term: Term) -> list[Segment]:
    """Find segments by id or a part of the name."""
    return await _named(ctx, Segment, term, ids.SEGMENT)


async def _named(ctx: Context, model: type[M], term: Term, prefix: str) -> list[M]:
    allow(ctx, Permission.CONTACTS_READ)
    if term.is_id:
        return await _by_id(ctx, model, term.id(prefix))
    return await _newest(scoped(ctx, model), scoped(ctx, model).filter(name__icontains=term.text))


async def _by_id(ctx: Context, model: type[M], id: UUID | None) -> list[M]:
    return [] if id is None else await scoped(ctx, model).filter(id=id)


async def _newest(among: QuerySet[M], query: QuerySet[M]) -> list[M]:
    return list((await fetch_sparse_page(query, PAGE, among=among, most=MOST_LOOKED_AT)).items)


def _join(first: Iterable[ContactRow], then: Sequence[ContactRow]) -> list[ContactRow]:
    return list({row.id: row for row in (*first, *then)}.values())[:MOST_FOUND]


def _canonical(term: Term) -> str:
    """Return the phone that a text is if it names its country, or else one that nobody has."""
    try:
        return canonical(read_phone(term.text, NOWHERE).e164)
    except InvalidRequest:
        return canonical(f"+{term.digits}")
