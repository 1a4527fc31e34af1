"""Senders: what stands in a message's "from", and which a workspace may use where."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids, sender_rules
from msvs.api.context import Context
from msvs.api.errors import ComplianceRefused, InvalidRequest, NotFound
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.sender_rules import kind_of
from msvs.database import Row, encode_json, execute, fetch, fetch_row
from msvs.models import Sender, SenderKind

# Alphanumeric (3GPP TS 23.040 § 9.1.2.5: at most 11 characters, here with a letter among them), E.164, or short code.
_SENDER = re.compile(r"(?=.{0,10}[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}|\+[1-9][0-9]{6,14}|[0-9]{3,8}")


def check_sender(sender: str, *, param: str = "from") -> str:
    """A sender that carriers can carry. Raises InvalidRequest code `sender_invalid`."""
    if not _SENDER.fullmatch(sender) or sender.endswith(" "):
        raise InvalidRequest(
            "A sender is 1 to 11 letters and digits with at least one letter, a phone in E.164, or a short code.",
            code="sender_invalid",
            param=param,
        )
    return sender


@dataclass(frozen=True, slots=True)
class OwnedSender:
    """A sender of a workspace: the regions it is for (none: all that its kind admits), and whether it is registered."""

    value: str
    regions: frozenset[str] = frozenset()
    is_registered: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """The senders that a workspace may use: those it owns, and its default one."""

    default: str
    owned: Mapping[str, OwnedSender] = field(default_factory=dict)

    def refusal(self, sender: str, region: str | None) -> str | None:
        """Why a sender may not be used for a region, as a sentence, or None."""
        owned = self.owned.get(sender)
        if owned is None:
            if self.owned and sender != self.default:
                return "The sender is not one of this workspace's."
            return sender_rules.refusal(sender, region, is_registered=False)
        if owned.regions and region is not None and region not in owned.regions:
            return f"The sender is not for {region}."
        return sender_rules.refusal(sender, region, is_registered=owned.is_registered)

    def choose(self, region: str | None, *, last: str | None = None, key: str = "") -> str | None:
        """The sender for a recipient: the one it knows, else the default, else one of the pool; None if none may.

        `last` is the sender of the latest message to it; `key` (its phone) spreads recipients over like senders.
        """
        if last is not None and (last in self.owned or last == self.default) and self.refusal(last, region) is None:
            return last
        if self.refusal(self.default, region) is None:
            return self.default
        usable = sorted(value for value in self.owned if self.refusal(value, region) is None)
        if not usable:
            return None
        best = min(usable, key=lambda value: _ORDER[kind_of(value)])
        alike = [value for value in usable if kind_of(value) is kind_of(best)]
        return alike[zlib.crc32(key.encode()) % len(alike)]

    @property
    def has_choice(self) -> bool:
        """Whether more than one sender could be meant."""
        return bool(self.owned.keys() - {self.default})


# Where several would do: what carriers throttle least goes first.
_ORDER = {
    SenderKind.SHORT_CODE: 0,
    SenderKind.ALPHANUMERIC: 1,
    SenderKind.TOLL_FREE: 2,
    SenderKind.LONG_CODE: 3,
}

POOL = "SELECT value, regions, registration FROM senders WHERE workspace_id = $1"


async def find_pool(workspace_id: UUID, default: str) -> Pool:
    """The senders of a workspace."""
    rows = await fetch(POOL, workspace_id)
    owned = {row.value: OwnedSender(row.value, frozenset(row.regions), row.registration is not None) for row in rows}
    return Pool(default, owned)


LAST = """
SELECT wanted.contact_id, last.sender
FROM unnest($3::uuid[]) AS wanted (contact_id) CROSS JOIN LATERAL (
    SELECT sender FROM messages WHERE contact_id = wanted.contact_id AND workspace_id = $1 AND livemode = $2
        AND sent_at IS NOT NULL ORDER BY id DESC LIMIT 1
) AS last
"""


async def find_last(workspace_id: UUID, livemode: bool, contact_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """The sender of the latest message that went out to each contact."""
    rows = await fetch(LAST, workspace_id, livemode, list(contact_ids))
    return {row.contact_id: row.sender for row in rows}


OTHERS = "SELECT EXISTS (SELECT FROM senders WHERE value = $1 AND workspace_id <> $2) AS is_taken"


async def check_allowed(ctx: Context, pool: Pool, sender: str, region: str | None, *, param: str = "from") -> str:
    """A sender that a live message to a region may name. Raises ComplianceRefused code `sender_not_allowed`.

    A number that another workspace has registered is refused like one that is not allowed.
    """
    reason = pool.refusal(sender, region)
    if reason is None and sender not in pool.owned and kind_of(sender) is not SenderKind.ALPHANUMERIC:
        row = await fetch_row(OTHERS, sender, ctx.workspace_id)
        if row is not None and row.is_taken:
            reason = "The sender is not one of this workspace's."
    if reason is not None:
        raise not_allowed(reason, param=param)
    return sender


async def choose_sender(
    ctx: Context, named: str | None, default: str, *, region: str | None, contact_id: UUID | None, phone: str
) -> str:
    """The sender of one live message by a real carrier: the one it names, else the one its recipient knows.

    Raises ComplianceRefused code `sender_not_allowed`.
    """
    pool = await find_pool(ctx.workspace_id, default)
    if named is not None:
        return await check_allowed(ctx, pool, named, region)
    last = None
    if pool.has_choice and contact_id is not None:
        last = (await find_last(ctx.workspace_id, ctx.livemode, [contact_id])).get(contact_id)
    chosen = pool.choose(region, last=last, key=phone)
    if chosen is None:
        raise not_allowed(pool.refusal(default, region) or "No sender of this workspace may be used for this region.")
    return chosen


def not_allowed(reason: str, *, param: str = "from") -> ComplianceRefused:
    """The refusal of a sender."""
    return ComplianceRefused(reason, code="sender_not_allowed", param=param)


async def list_senders(ctx: Context, page: PageRequest) -> Page[Sender]:
    """The senders that the workspace may use live, newest first."""
    return await fetch_page(Sender.filter(workspace_id=ctx.workspace_id), page)


async def get_sender(ctx: Context, id: UUID) -> Sender:
    """One sender. Raises NotFound."""
    sender = await Sender.filter(id=id, workspace_id=ctx.workspace_id).first()
    if sender is None:
        raise ids.missing("sender", ids.encode_id(ids.SENDER, id))
    return sender


def check_regions(regions: Iterable[str], *, param: str = "regions") -> list[str]:
    """ISO 3166-1 alpha-2 codes in capitals, sorted. Raises InvalidRequest."""
    found = sorted({region.strip().upper() for region in regions})
    for region in found:
        if region not in SUPPORTED_REGIONS:
            raise InvalidRequest(f"No such region: '{region[:10]}'.", param=param)
    return found


async def add_sender(
    workspace_id: UUID,
    value: str,
    *,
    regions: Iterable[str] = (),
    registration: str | None = None,
    is_shared: bool = False,
) -> Row:
    """Let a workspace use a sender: the operator's act, who knows that it is the workspace's to use.

    Added again, its regions and registration are replaced. A number that another workspace has is refused unless it
    `is_shared`. Raises InvalidRequest and NotFound.
    """
    check_sender(value, param="value")
    if not is_shared and kind_of(value) is not SenderKind.ALPHANUMERIC:
        taken = await fetch_row(OTHERS, value, workspace_id)
        if taken is not None and taken.is_taken:
            raise InvalidRequest("Another workspace has this sender.", param="value")
    row = await fetch_row(
        "INSERT INTO senders (id, workspace_id, value, kind, regions, registration, created_at)"
        " SELECT $1, id, $3, $4, $5::jsonb, $6, $7 FROM workspaces WHERE id = $2"
        " ON CONFLICT (workspace_id, value) DO UPDATE SET regions = excluded.regions,"
        " registration = excluded.registration RETURNING *",
        ids.new_id(),
        workspace_id,
        value,
        kind_of(value).value,
        encode_json(check_regions(regions)),
        registration,
        datetime.now(UTC),
    )
    if row is None:
        raise NotFound("No such workspace.", code="resource_missing")
    return row


async def remove_sender(workspace_id: UUID, value: str) -> None:
    """Take a sender from a workspace; what is queued from it still goes out. Raises NotFound."""
    if not await execute("DELETE FROM senders WHERE workspace_id = $1 AND value = $2", workspace_id, value):
        raise NotFound("The workspace has no such sender.", code="resource_missing")


async def find_owners(sender: str) -> Sequence[Row]:
    """The workspaces that a message to a sender may be for: those it is registered for, else whose default it is."""
    rows = await fetch("SELECT workspace_id FROM senders WHERE value = $1 ORDER BY workspace_id", sender)
    return rows or await fetch(
        "SELECT id AS workspace_id FROM workspaces WHERE default_sender = $1 ORDER BY id LIMIT 1000", sender
    )
