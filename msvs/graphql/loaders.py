"""Loaders: many fields of a request share one statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast
from uuid import UUID

from strawberry.dataloader import DataLoader
from tortoise.models import Model

from msvs.api.campaigns import campaigns
from msvs.api.campaigns.ab_tests import AbTestReport, ab_test_reports
from msvs.api.campaigns.enrollments import enrollment_resources
from msvs.api.campaigns.sequence_shapes import EnrollmentResource, SequenceResource
from msvs.api.campaigns.sequences import sequence_resources
from msvs.api.contacts import sources
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context
from msvs.api.messages.explanations import TimelineEntry, message_timelines
from msvs.api.messages.statistics import FailureCount, campaign_failures
from msvs.api.pages import Page, PageRequest
from msvs.api.resources import CampaignStats, MessageView
from msvs.api.scope import scoped
from msvs.api.webhooks.events import list_campaign_events
from msvs.database import Row, fetch
from msvs.models import MessageSequence, rows


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows that belong to a parent: `source` names the tables, with the rows themselves AS child."""

    source: str
    match: str
    key_type: str = "uuid"


CONTACT_MESSAGES = Relation("messages AS child", "child.contact_id = parent.id AND child.status <> 'skipped'")
CAMPAIGN_MESSAGES = Relation("messages AS child", "child.campaign_id = parent.id AND child.status <> 'skipped'")
CONTACT_LISTS = Relation(
    "list_members AS member JOIN contact_lists AS child ON child.id = member.list_id", "member.contact_id = parent.id"
)
LIST_MEMBERS = Relation(
    "list_members AS member JOIN contacts AS child ON child.id = member.contact_id", "member.list_id = parent.id"
)
# By the hashes of the phone's spellings and, for entries from before there were any, the spellings: in one key, with
# commas between those of a kind, and a blank between the kinds.
CONSENT_HISTORY = Relation(
    "consent_events AS child",
    "(child.phone_hash = ANY(string_to_array(split_part(parent.id, ' ', 1), ','))"
    " OR child.phone_hash IS NULL AND child.phone = ANY(string_to_array(split_part(parent.id, ' ', 2), ',')))",
    "text",
)
MESSAGE_REPLIES = Relation("inbound_messages AS child", "child.message_id = parent.id")
LIST_SYNCS = Relation("list_syncs AS child", "child.list_id = parent.id")
WEBHOOK_ATTEMPTS = Relation("webhook_attempts AS child", "child.endpoint_id = parent.id")

READ_CHILDREN = """
SELECT parent.id AS parent_id, child.* FROM unnest($1::{key_type}[]) AS parent (id) CROSS JOIN LATERAL (
    SELECT child.* FROM {source}
    WHERE {match} AND child.workspace_id = $2 AND child.livemode = $3 {after}
    ORDER BY child.id {direction} LIMIT {limit}
) AS child
"""

COUNT_CHILDREN = """
SELECT parent.id AS parent_id, (
    SELECT count(*) FROM {source} WHERE {match} AND child.workspace_id = $2 AND child.livemode = $3
) AS number FROM unnest($1::{key_type}[]) AS parent (id)
"""


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=_Identified)
M = TypeVar("M", bound=Model)
K = TypeVar("K")
V = TypeVar("V")


class Loaders:
    """The loaders of one request, each made when it is first asked for."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._made: dict[object, object] = {}

    def row(self, model: type[M], id: UUID) -> Awaitable[M | None]:
        """Return one of the caller's rows by id, or None."""

        async def read(keys: list[UUID]) -> Sequence[M | None]:
            found = {row.pk: row for row in await scoped(self._ctx, model).filter(id__in=keys)}
            return [found.get(key) for key in keys]

        return self._loader(model, read).load(id)

    def list_source(self, list_id: UUID) -> Awaitable[tuple[rows.ListSourceRow, rows.ListSyncRow | None] | None]:
        """Return the source of a list with its newest sync, or None."""

        async def read(
            keys: list[UUID],
        ) -> Sequence[tuple[rows.ListSourceRow, rows.ListSyncRow | None] | None]:
            found = await sources.read_sources(self._ctx, keys)
            return [found.get(key) for key in keys]

        return self._loader("list_source", read).load(list_id)

    def stats(self, campaign: rows.CampaignRow) -> Awaitable[CampaignStats]:
        """Return the stats of a campaign that was read under this caller."""
        return self._stats().load(_Keyed(campaign))

    def keep_stats(self, campaign: rows.CampaignRow, stats: CampaignStats) -> None:
        """Have `stats` told of a campaign, which were read together with it."""
        self._stats().prime(_Keyed(campaign), stats)

    def _stats(self) -> DataLoader[_Keyed[rows.CampaignRow], CampaignStats]:
        async def read(keys: list[_Keyed[rows.CampaignRow]]) -> Sequence[CampaignStats]:
            stats = await campaigns.campaign_stats(self._ctx, [key.row for key in keys])
            return [stats[key.row.id] for key in keys]

        return self._loader("stats", read)

    def ab_test(self, campaign: rows.CampaignRow) -> Awaitable[AbTestReport | None]:
        """Return the A/B test of a campaign that was read under this caller; None if it has none."""

        async def read(keys: list[_Keyed[rows.CampaignRow]]) -> Sequence[AbTestReport | None]:
            found = await ab_test_reports(self._ctx, [key.row for key in keys])
            return [found.get(key.row.id) for key in keys]

        return self._loader("ab_test", read).load(_Keyed(campaign))

    def sequence(self, sequence: MessageSequence) -> Awaitable[SequenceResource]:
        """Return the shape, with its stats, of a sequence that was read under this caller."""

        async def read(keys: list[_Keyed[MessageSequence]]) -> Sequence[SequenceResource]:
            return await sequence_resources(self._ctx, [key.row for key in keys])

        return self._loader("sequence", read).load(_Keyed(sequence))

    def enrollment(self, enrollment: rows.SequenceEnrollmentRow) -> Awaitable[EnrollmentResource]:
        """Return the shape of an enrollment that was read under this caller."""

        async def read(keys: list[_Keyed[rows.SequenceEnrollmentRow]]) -> Sequence[EnrollmentResource]:
            return await enrollment_resources(self._ctx, [key.row for key in keys])

        return self._loader("enrollment", read).load(_Keyed(enrollment))

    def failures(self, campaign_id: UUID) -> Awaitable[list[FailureCount]]:
        """Return why recipients of a campaign were not reached."""

        async def read(keys: list[UUID]) -> Sequence[list[FailureCount]]:
            found = await campaign_failures(self._ctx, keys)
            return [found[key] for key in keys]

        return self._loader("failures", read).load(campaign_id)

    def campaign_events(self, campaign_id: UUID) -> Awaitable[list[rows.EventRow]]:
        """Return what happened to a campaign, newest first."""

        async def read(keys: list[UUID]) -> Sequence[list[rows.EventRow]]:
            found = await list_campaign_events(self._ctx, keys)
            return [found[key] for key in keys]

        return self._loader("campaign_events", read).load(campaign_id)

    def timeline(self, message: MessageView) -> Awaitable[list[TimelineEntry]]:
        """Return what happened to a message that was read under this caller."""

        async def read(keys: list[_Keyed[MessageView]]) -> Sequence[list[TimelineEntry]]:
            found = await message_timelines(self._ctx, [key.row for key in keys])
            return [found[key.row.id] for key in keys]

        return self._loader("timeline", read).load(_Keyed(message))

    def segment_count(self, segment: rows.SegmentRow) -> Awaitable[int]:
        """Return how many contacts a segment holds now."""

        async def read(keys: list[_Keyed[rows.SegmentRow]]) -> Sequence[int]:
            values: list[object] = [self._ctx.workspace_id, self._ctx.livemode]
            counts = []
            for key in keys:
                compiled = compile_filter(key.row.conditions, len(values) + 1)
                values += compiled.values
                counts.append(
                    "(SELECT count(*) FROM contacts AS c"
                    f" WHERE c.workspace_id = $1 AND c.livemode = $2 AND {compiled.sql})"
                )
            rows = await fetch(f"SELECT unnest(ARRAY[{', '.join(counts)}]) AS number", *values)
            return [row.number for row in rows]

        return self._loader("segment_count", read).load(_Keyed(segment))

    def segment_members(self, segment: rows.SegmentRow, page: PageRequest) -> Awaitable[Page[Row]]:
        """Return one page of the contacts that a segment holds now, newest first."""
        backward = page.ending_before is not None
        cursor = page.ending_before if backward else page.starting_after

        async def read(keys: list[_Keyed[rows.SegmentRow]]) -> Sequence[Page[Row]]:
            values: list[object] = [self._ctx.workspace_id, self._ctx.livemode, *([] if cursor is None else [cursor])]
            after = "" if cursor is None else f"AND c.id {'>' if backward else '<'} $3"
            parts = []
            for place, key in enumerate(keys):
                compiled = compile_filter(key.row.conditions, len(values) + 1)
                values += compiled.values
                parts.append(
                    f"(SELECT {place} AS place, c.* FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2"
                    f" {after} AND {compiled.sql} ORDER BY c.id {'ASC' if backward else 'DESC'} LIMIT {page.limit + 1})"
                )
            found: list[list[Row]] = [[] for _ in keys]
            for row in await fetch(" UNION ALL ".join(parts), *values):
                found[row.place].append(row)
            return [_page(sorted(each, key=lambda row: row.id.int), page, backward) for each in found]

        return self._loader(("segment_members", page), read).load(_Keyed(segment))

    def children(self, relation: Relation, parent: UUID | str, page: PageRequest) -> Awaitable[Page[Row]]:
        """Return one page of what belongs to a parent, newest first."""

        async def read(keys: list[UUID | str]) -> Sequence[Page[Row]]:
            backward = page.ending_before is not None
            cursor = page.ending_before if backward else page.starting_after
            sql = READ_CHILDREN.format(
                key_type=relation.key_type,
                source=relation.source,
                match=relation.match,
                after="" if cursor is None else f"AND child.id {'>' if backward else '<'} $4",
                direction="ASC" if backward else "DESC",
                limit=page.limit + 1,
            )
            values = [] if cursor is None else [cursor]
            found: dict[UUID | str, list[Row]] = {key: [] for key in keys}
            for row in await fetch(sql, keys, self._ctx.workspace_id, self._ctx.livemode, *values):
                found[row.parent_id].append(row)
            return [_page(sorted(found[key], key=lambda row: row.id.int), page, backward) for key in keys]

        return self._loader((relation, page), read).load(parent)

    def count_children(self, relation: Relation, parent: UUID | str) -> Awaitable[int]:
        """Return how many rows belong to a parent."""

        async def read(keys: list[UUID | str]) -> Sequence[int]:
            sql = COUNT_CHILDREN.format(key_type=relation.key_type, source=relation.source, match=relation.match)
            rows = await fetch(sql, keys, self._ctx.workspace_id, self._ctx.livemode)
            found = {row.parent_id: row.number for row in rows}
            return [found[key] for key in keys]

        return self._loader((relation, "count"), read).load(parent)

    def _loader(self, name: object, read: Callable[[list[K]], Awaitable[Sequence[V]]]) -> DataLoader[K, V]:
        # A name's loader is always of the same keys and values.
        loader = cast("DataLoader[K, V] | None", self._made.get(name))
        if loader is None:
            loader = self._made[name] = DataLoader(read)
        return loader


@dataclass(frozen=True, slots=True, eq=False)
class _Keyed(Generic[R]):
    """A row that stands for its id, so that asking twice reads once."""

    row: R

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and bool(self.row.id == other.row.id)

    def __hash__(self) -> int:
        return hash(self.row.id)


def _page(oldest_first: list[Row], page: PageRequest, backward: bool) -> Page[Row]:
    has_more = len(oldest_first) > page.limit
    kept = oldest_first[: page.limit] if backward else oldest_first[max(len(oldest_first) - page.limit, 0) :]
    return Page(kept[::-1], has_more)
