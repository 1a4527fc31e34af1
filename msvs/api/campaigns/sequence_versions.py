"""Published versions of sequences: read once a process, as they never change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast
from uuid import UUID

import msgspec

from msvs.api.campaigns.sequence_requests import Definition
from msvs.api.context import Context
from msvs.api.scope import scoped
from msvs.json_types import JSONObject
from msvs.models import SequenceVersion

MOST_KEPT = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """A version of a sequence; `campaign_ids` are the campaigns of its steps, in their order."""

    id: UUID
    sequence_id: UUID
    number: int
    definition: Definition
    campaign_ids: tuple[UUID, ...]

    def key_of(self, step: int) -> str | None:
        """Return the key of a step, or None after the last."""
        steps = self.definition.steps
        return steps[step].key if step < len(steps) else None


class KeptVersions:
    """The versions that a process has read; of MOST_KEPT, the last read."""

    def __init__(self) -> None:
        self._versions: dict[UUID, Published] = {}

    def find(self, wanted: Collection[UUID]) -> dict[UUID, Published]:
        """Return those that are known."""
        return {id: self._versions[id] for id in wanted if id in self._versions}

    def note(self, version: Published) -> None:
        """Keep a version."""
        self._versions[version.id] = version
        if len(self._versions) > MOST_KEPT:
            del self._versions[next(iter(self._versions))]


def read_definition(kept: JSONObject) -> Definition:
    """Return a definition as it is kept in a row."""
    return msgspec.convert(kept, Definition)


def kept_definition(definition: Definition) -> JSONObject:
    """Return a definition as rows keep it."""
    return cast("JSONObject", msgspec.json.decode(msgspec.json.encode(definition)))


def published(row: SequenceVersion) -> Published:
    """Return a version as it was read."""
    return Published(
        row.id,
        row.sequence_id,
        row.number,
        read_definition(row.definition),
        tuple(UUID(each) for each in row.campaign_ids),
    )


async def find_versions(ctx: Context, wanted: Collection[UUID]) -> Mapping[UUID, Published]:
    """Return the caller's versions with these ids."""
    kept = ctx.services.keep(KeptVersions)
    found = kept.find(wanted)
    missing = [id for id in wanted if id not in found]
    if missing:
        for row in await scoped(ctx, SequenceVersion).filter(id__in=missing):
            found[row.id] = published(row)
            kept.note(found[row.id])
    return found


async def current_version(ctx: Context, sequence_id: UUID, number: int) -> Published:
    """Return the version of a sequence with a number; there is one."""
    row = await scoped(ctx, SequenceVersion).get(sequence_id=sequence_id, number=number)
    return published(row)
