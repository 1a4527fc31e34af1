"""Senders: the values of `from`, and which ones a workspace may use."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol
from uuid import UUID

from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context, Services, name_lock
from msvs.api.dispatch import lookalikes, sender_rules
from msvs.api.dispatch.lookalikes import platform_names
from msvs.api.dispatch.sender_rules import kind_of
from msvs.api.errors import ComplianceRefused, ErrorCode, InvalidRequest, NotFound
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.text.phones import with_spellings
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.database import Row, encode_json, execute, fetch, fetch_row, fetch_value
from msvs.json_types import JSONObject
from msvs.models import Sender, SenderKind, Workspace

# Alphanumeric (3GPP TS 23.040 § 9.1.2.5: at most 11 characters, here with a letter among them), E.164, or short code.
_SENDER = re.compile(r"(?=.{0,10}[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10}|\+[1-9][0-9]{6,14}|[0-9]{3,8}")


def check_sender(sender: str, *, param: str = "from") -> str:
    """Return a sender that carriers can carry. Raises InvalidRequest code `sender_invalid`."""
    if not _SENDER.fullmatch(sender) or sender.endswith(" "):
        raise InvalidRequest(
            "A sender is 1 to 11 letters and digits with at least one letter, a phone in E.164, or a short code.",
            code=ErrorCode.SENDER_INVALID,
            param=param,
        )
    return sender


@dataclass(frozen=True, slots=True)
class OwnedSender:
    """A sender of a workspace: the regions it is for (none: all that its kind admits), and whether it is registered."""

    value: str
    regions: frozenset[str] = frozenset()
    is_registered: bool = False


NOT_OWNED = "The sender is not one of this workspace's."


@dataclass(frozen=True, slots=True)
class Pool:
    """The senders that a workspace may use live: those it owns, and the platform's. The default is one of them."""

    default: str
    owned: Mapping[str, OwnedSender] = field(default_factory=dict)
    shared: Mapping[str, OwnedSender] = field(default_factory=dict)

    def has(self, sender: str) -> bool:
        """Return whether a sender is the workspace's, or the platform's."""
        return sender in self.owned or sender in self.shared or sender in platform_names()

    def refusal(self, sender: str, region: str | None) -> str | None:
        """Return why a sender may not be used for a region, as a sentence, or None."""
        if not self.has(sender):
            return NOT_OWNED
        known = self.owned.get(sender) or self.shared.get(sender) or OwnedSender(sender)
        if known.regions and region is not None and region not in known.regions:
            return f"The sender is not for {region}."
        return sender_rules.refusal(sender, region, is_registered=known.is_registered)

    def choose(self, region: str | None, *, last: str | None = None, key: str = "") -> str | None:
        """Choose the sender for a recipient: the one it knows, else the default, else one of the pool, or None if none
        may.

        `last` is the sender of the latest message to it; `key` (its phone) spreads recipients over like senders.
        """
        if last is not None and self.refusal(last, region) is None:
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

FIND_SENDER_POOL = """
SELECT workspace_id, value, regions, registration FROM senders WHERE workspace_id = $1 OR workspace_id IS NULL
"""


class _PoolSender(Protocol):
    workspace_id: UUID | None
    value: str
    regions: list[str]
    registration: JSONObject | None


async def find_pool(workspace_id: UUID, default: str) -> Pool:
    """Find the senders of a workspace, and the platform's."""
    owned: dict[str, OwnedSender] = {}
    shared: dict[str, OwnedSender] = {}
    for row in await fetch(_PoolSender, FIND_SENDER_POOL, workspace_id):
        found = shared if row.workspace_id is None else owned
        found[row.value] = OwnedSender(row.value, frozenset(row.regions), row.registration is not None)
    return Pool(default, owned, shared)


FIND_LAST_SENDERS = """
SELECT wanted.contact_id, last.sender
FROM unnest($3::uuid[]) AS wanted (contact_id) CROSS JOIN LATERAL (
    SELECT sender FROM messages WHERE contact_id = wanted.contact_id AND workspace_id = $1 AND livemode = $2
        AND sent_at IS NOT NULL ORDER BY id DESC LIMIT 1
) AS last
"""


class _Last(Protocol):
    contact_id: UUID
    sender: str


async def find_last(workspace_id: UUID, livemode: bool, contact_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Find the sender of the latest message that went out to each contact."""
    rows = await fetch(_Last, FIND_LAST_SENDERS, workspace_id, livemode, list(contact_ids))
    return {row.contact_id: row.sender for row in rows}


class Standing(Enum):
    """The relation of a sender to a workspace."""

    OWNED = "owned"
    PLATFORM = "platform"
    TAKEN = "taken"
    FREE = "free"


# A row that the release before wrote has no skeleton.
FIND_CLAIMANTS = "SELECT workspace_id, value FROM senders WHERE skeleton = ANY($1) OR value = ANY($2)"


async def standing_of(workspace_id: UUID | None, sender: str) -> Standing:
    """Return who owns a sender: the workspace, the platform, nobody, or another; lookalikes count as another's."""
    if sender in platform_names():
        return Standing.PLATFORM
    spellings = [sender] if kind_of(sender) is SenderKind.ALPHANUMERIC else with_spellings([sender])
    rows = await fetch(FIND_CLAIMANTS, list(lookalikes.skeletons(sender)), spellings)
    holders = {row.workspace_id for row in rows if row.value == sender}
    if workspace_id is not None and workspace_id in holders:
        return Standing.OWNED
    if None in holders:
        return Standing.PLATFORM
    if any(row.workspace_id != workspace_id for row in rows) or lookalikes.resembles_platform(sender):
        return Standing.TAKEN
    return Standing.FREE


def refusal_of(standing: Standing, sender: str, *, must_own: bool = True) -> str | None:
    """Return why a sender of such a standing may not be used, as a sentence, or None."""
    if standing is Standing.TAKEN:
        return "The sender is another's, or looks like one that is."
    if standing is not Standing.FREE or not must_own:
        return None
    if kind_of(sender) is SenderKind.ALPHANUMERIC:
        return f"{NOT_OWNED} A name becomes it when it is made the live default_sender."
    return f"{NOT_OWNED} Numbers and short codes are added by the operator."


async def is_usable(ctx: Context, sender: str) -> bool:
    """Return whether the caller may use a sender at all: the workspace's or the platform's.

    Where the virtual carrier alone takes messages, as in the sandbox, a free one will do: nothing leaves.
    """
    return await _why_unusable(ctx, sender) is None


async def check_usable(ctx: Context, sender: str, *, param: str = "from") -> str:
    """Return a sender that the caller may use at all. Raises ComplianceRefused code `sender_not_allowed`."""
    reason = await _why_unusable(ctx, sender)
    if reason is not None:
        raise not_allowed(reason, param=param)
    return sender


async def _why_unusable(ctx: Context, sender: str) -> str | None:
    standing = await standing_of(ctx.workspace_id, sender)
    return refusal_of(standing, sender, must_own=ctx.services.carriers.is_real(ctx.livemode))


FIND_HELD_SENDERS = """
SELECT value, bool_or(workspace_id = $1 OR workspace_id IS NULL) AS is_usable FROM senders
WHERE value = ANY($2) GROUP BY value
"""


async def find_foreign(services: Services, workspace_id: UUID, senders: Iterable[str]) -> frozenset[str]:
    """Return those of some senders that a workspace may not use live at this moment."""
    wanted = frozenset(senders).difference(platform_names())
    if not wanted:
        return frozenset()
    held = {row.value: row.is_usable for row in await fetch(FIND_HELD_SENDERS, workspace_id, list(wanted))}
    return frozenset(sender for sender in wanted if not held.get(sender, not services.carriers.is_real(True)))


class Wish(NamedTuple):
    """A message that needs a sender: the one it names, if any, and its recipient."""

    named: str | None
    region: str | None
    contact_id: UUID | None
    phone: str


async def choose_sender(ctx: Context, wish: Wish, default: str) -> str:
    """Choose the sender of one message: see choose_senders. Raises ComplianceRefused `sender_not_allowed`."""
    (chosen,) = await choose_senders(ctx, [wish], default)
    if isinstance(chosen, ComplianceRefused):
        raise chosen
    return chosen


async def choose_senders(ctx: Context, wishes: Sequence[Wish], default: str) -> list[str | ComplianceRefused]:
    """Choose each message's sender: the one it names, else live the one its recipient knows, else the default.

    Carriers' rules for regions hold where a real carrier may take it. A message for which there is none has a
    ComplianceRefused `sender_not_allowed` in its place.
    """
    if not ctx.services.carriers.is_real(ctx.livemode):
        reasons = {sender: await _why_unusable(ctx, sender) for sender in {wish.named or default for wish in wishes}}
        return [_or_refused(wish.named or default, reasons[wish.named or default]) for wish in wishes]
    pool = await find_pool(ctx.workspace_id, default)
    foreign = {wish.named for wish in wishes if wish.named is not None and not pool.has(wish.named)}
    standings = {sender: refusal_of(await standing_of(ctx.workspace_id, sender), sender) for sender in foreign}
    known = {wish.contact_id for wish in wishes if wish.named is None and wish.contact_id is not None}
    last = await find_last(ctx.workspace_id, ctx.livemode, list(known)) if pool.has_choice and known else {}
    chosen: list[str | ComplianceRefused] = []
    for named, region, contact_id, phone in wishes:
        if named is not None:
            chosen.append(_or_refused(named, standings[named] if named in foreign else pool.refusal(named, region)))
            continue
        latest = None if contact_id is None else last.get(contact_id)
        sender = pool.choose(region, last=latest, key=phone)
        if sender is None:
            reason = pool.refusal(default, region) or "No sender of this workspace may be used for this region."
            chosen.append(not_allowed(reason))
        else:
            chosen.append(sender)
    return chosen


def _or_refused(sender: str, reason: str | None) -> str | ComplianceRefused:
    return sender if reason is None else not_allowed(reason)


async def automatic_sender(ctx: Context, answered: str | None, default: str) -> str:
    """Return the sender of an automatic message: the one that was written to, else the default, else the platform's."""
    for sender in (answered, default):
        if sender and await is_usable(ctx, sender):
            return sender
    return platform_names()[0]


def not_allowed(reason: str, *, param: str = "from") -> ComplianceRefused:
    """Return the refusal of a sender."""
    return ComplianceRefused(reason, code=ErrorCode.SENDER_NOT_ALLOWED, param=param)


async def list_senders(ctx: Context, page: PageRequest) -> Page[Sender]:
    """List the senders that the workspace can use in live mode, newest first."""
    return await fetch_page(Sender.filter(workspace_id=ctx.workspace_id), page)


async def get_sender(ctx: Context, id: UUID) -> Sender:
    """Return one sender. Raises NotFound."""
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


# Of names that a workspace may take for itself; the operator adds more.
MOST_CLAIMED = 10

UPSERT_SENDER = """
INSERT INTO senders (id, workspace_id, value, skeleton, is_claimed, kind, regions, registration, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT {target} DO UPDATE SET regions = excluded.regions, registration = excluded.registration,
    skeleton = excluded.skeleton, is_claimed = excluded.is_claimed
RETURNING *
"""
OF_WORKSPACE = UPSERT_SENDER.format(target="(workspace_id, value)")
OF_PLATFORM = UPSERT_SENDER.format(target="(value) WHERE workspace_id IS NULL")


async def claim_default(ctx: Context, sender: str, *, param: str) -> None:
    """See that a sender may be the default: live, a free name becomes the workspace's own.

    Of two workspaces that want one name at once, exactly one gets it. Raises ComplianceRefused `sender_not_allowed`.
    """
    if not ctx.livemode or sender in platform_names():
        await check_usable(ctx, sender, param=param)
        return
    await _hold(sender)
    standing = await standing_of(ctx.workspace_id, sender)
    if standing is Standing.FREE and kind_of(sender) is SenderKind.ALPHANUMERIC:
        claimed = await Sender.filter(workspace_id=ctx.workspace_id, is_claimed=True).count()
        if claimed >= MOST_CLAIMED:
            raise not_allowed(f"The workspace took {MOST_CLAIMED} names already; the operator adds more.", param=param)
        row = await _insert(ctx.services, ctx.workspace_id, sender, is_claimed=True)
        await _tell(ctx, AuditAction.SENDER_CLAIMED, row.id, [None, sender])
    elif (reason := refusal_of(standing, sender)) is not None:
        raise not_allowed(reason, param=param)


async def add_sender(
    services: Services,
    workspace_id: UUID | None,
    value: str,
    *,
    regions: Iterable[str] = (),
    registration: str | None = None,
    is_shared: bool = False,
) -> Row:
    """Let a workspace use a sender, or with None all of them: the operator's act, who knows whose it is.

    Added again, its regions and registration are replaced. One that another workspace has, or that looks like another's
    or the platform's, is refused unless it `is_shared`. Raises InvalidRequest and NotFound.
    """
    check_sender(value, param="value")
    found = check_regions(regions)
    async with unit_of_work():
        if workspace_id is not None and not await Workspace.exists(id=workspace_id):
            raise NotFound("No such workspace.", code=ErrorCode.RESOURCE_MISSING)
        await _hold(value)
        if not is_shared and await standing_of(workspace_id, value) is Standing.TAKEN:
            raise InvalidRequest("Another has this sender, or one that looks like it.", param="value")
        row = await _insert(services, workspace_id, value, regions=found, registration=registration)
        if workspace_id is not None:
            await _tell(Context(workspace_id, True, services=services), AuditAction.SENDER_ADDED, row.id, [None, value])
    return row


async def remove_sender(services: Services, workspace_id: UUID | None, value: str) -> None:
    """Take a sender from a workspace, or with None from the platform: what waits to be sent from it is not sent.

    Where it is the default, the platform's own becomes it. Raises NotFound.
    """
    async with unit_of_work():
        await _hold(value)
        gone = await fetch_row(
            "DELETE FROM senders WHERE workspace_id IS NOT DISTINCT FROM $1 AND value = $2 RETURNING id",
            workspace_id,
            value,
        )
        if gone is None:
            raise NotFound("The workspace has no such sender.", code=ErrorCode.RESOURCE_MISSING)
        if workspace_id is not None:
            await _tell(
                Context(workspace_id, True, services=services), AuditAction.SENDER_REMOVED, gone.id, [value, None]
            )
        await _reset_defaults(services, value)


async def transfer_sender(services: Services, workspace_id: UUID, value: str) -> Row:
    """Give a sender to one workspace, with its regions and registration; other workspaces lose it.

    Raises NotFound.
    """
    async with unit_of_work():
        if not await Workspace.exists(id=workspace_id):
            raise NotFound("No such workspace.", code=ErrorCode.RESOURCE_MISSING)
        await _hold(value)
        rows = await fetch("DELETE FROM senders WHERE value = $1 RETURNING *", value)
        if not rows:
            raise NotFound("No workspace has this sender.", code=ErrorCode.RESOURCE_MISSING)
        kept = max(rows, key=lambda row: (row.registration is not None, row.workspace_id == workspace_id))
        for row in rows:
            if row.workspace_id not in (None, workspace_id):
                await _tell(
                    Context(row.workspace_id, True, services=services),
                    AuditAction.SENDER_REMOVED,
                    row.id,
                    [value, None],
                )
        row = await _insert(services, workspace_id, value, regions=kept.regions, registration=kept.registration)
        await _tell(Context(workspace_id, True, services=services), AuditAction.SENDER_ADDED, row.id, [None, value])
        await _reset_defaults(services, value)
    return row


async def _insert(
    services: Services,
    workspace_id: UUID | None,
    value: str,
    *,
    regions: Sequence[str] = (),
    registration: str | None = None,
    is_claimed: bool = False,
) -> Row:
    row = await fetch_row(
        OF_PLATFORM if workspace_id is None else OF_WORKSPACE,
        ids.new_id(),
        workspace_id,
        value,
        lookalikes.skeleton(value),
        is_claimed,
        kind_of(value).value,
        encode_json(list(regions)),
        registration,
        services.clock(),
    )
    assert row is not None
    return row


async def _hold(sender: str) -> None:
    """Have all senders that look alike to oneself until the end of the transaction, in one order."""
    for skeleton in sorted(lookalikes.skeletons(sender)):
        await fetch_value("SELECT pg_advisory_xact_lock($1)", name_lock(b"sender", skeleton.encode()))


# The workspaces whose default has ceased to be theirs, live and in the sandbox.
LOCK_LOST_DEFAULTS = """
SELECT id FROM workspaces WHERE default_sender = $1
    AND NOT EXISTS (SELECT FROM senders WHERE value = $1 AND (workspace_id = workspaces.id OR workspace_id IS NULL))
ORDER BY id FOR UPDATE
"""
RESET_SANDBOX = """
UPDATE workspaces SET sandbox_settings = sandbox_settings - 'default_sender'
WHERE sandbox_settings ->> 'default_sender' = $1
    AND EXISTS (SELECT FROM senders WHERE value = $1)
    AND NOT EXISTS (SELECT FROM senders WHERE value = $1 AND (workspace_id = workspaces.id OR workspace_id IS NULL))
"""


async def _reset_defaults(services: Services, value: str) -> None:
    """Give the platform's sender to the workspaces whose default is theirs no longer, and tell them."""
    default = platform_names()[0]
    if value == default:
        return
    for row in await fetch(LOCK_LOST_DEFAULTS, value):
        await execute("UPDATE workspaces SET default_sender = $2 WHERE id = $1", row.id, default)
        await record_audit(
            Context(row.id, True, services=services),
            AuditAction.WORKSPACE_UPDATED,
            ids.encode_id(ids.WORKSPACE, row.id),
            {"default_sender": [value, default]},
        )
    await execute(RESET_SANDBOX, value)


async def _tell(ctx: Context, action: AuditAction, id: UUID, change: Sequence[str | None]) -> None:
    sender_id = ids.encode_id(ids.SENDER, id)
    await record_audit(ctx, action, sender_id, {"value": list(change)})
    if action is AuditAction.SENDER_REMOVED:
        notice = Notice(NotificationKind.SENDER_REMOVED, ctx.workspace_id, True, sender_id, change[0])
        await notify_members([notice], ctx.services.clock())


async def find_owners(sender: str) -> Sequence[Row]:
    """Find the workspaces that own a sender: a message to it is for one of them."""
    return await fetch(
        "SELECT workspace_id FROM senders WHERE value = $1 AND workspace_id IS NOT NULL ORDER BY workspace_id", sender
    )


async def find_users(sender: str) -> Sequence[Row]:
    """Find the workspaces that may have written from a sender.

    Its owners, and of the platform's whose default it is.
    """
    owners = await find_owners(sender)
    if owners or await standing_of(None, sender) is not Standing.PLATFORM:
        return owners
    return await fetch(
        "SELECT id AS workspace_id FROM workspaces WHERE default_sender = $1 ORDER BY id LIMIT 1000", sender
    )
