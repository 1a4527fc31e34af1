"""Tags: labels on contacts, for searches and audiences."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment
from msvs.api.scope import find, scoped
from msvs.database import execute, fetch
from msvs.fields import ULID, Request, about, named
from msvs.models import Contact, Tag, rows

MAX_TAG = 40
# Per contact, and per request.
MAX_TAGS = 50

# Ordered by name, so that two transactions that add the same new tags do not deadlock.
ENSURE_TAGS = """
INSERT INTO tags (id, workspace_id, livemode, name, contact_count, created_at)
SELECT named.id, $1, $2, named.name, 0, $5::timestamptz
FROM unnest($3::uuid[], $4::varchar[]) AS named (id, name) ORDER BY named.name ON CONFLICT DO NOTHING
"""
FIND_TAGS = "SELECT id, name FROM tags WHERE workspace_id = $1 AND livemode = $2 AND name = ANY($3::varchar[])"
LOCK_TAGGED = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[])
ORDER BY id FOR NO KEY UPDATE
"""
# Skips contacts whose tags do not change, and contacts that would exceed the limit.
CHANGE_TAGS = f"""
UPDATE contacts SET tags = changed.tags, updated_at = $6::timestamptz
FROM unnest($3::uuid[]) AS named (id) JOIN contacts AS c ON c.id = named.id CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(name ORDER BY name COLLATE "C"), '[]') AS tags FROM (
        SELECT jsonb_array_elements_text(c.tags) AS name UNION SELECT unnest($4::text[])
        EXCEPT SELECT unnest($5::text[])
    ) AS kept
) AS changed
WHERE contacts.workspace_id = $1 AND contacts.livemode = $2 AND contacts.id = c.id AND contacts.tags <> changed.tags
    AND jsonb_array_length(changed.tags) <= greatest({MAX_TAGS}, jsonb_array_length(contacts.tags))
RETURNING contacts.id
"""
ADD_TAGGED = """
INSERT INTO tag_members (tag_id, contact_id)
SELECT tag.id, member.id FROM unnest($1::uuid[]) AS tag (id) CROSS JOIN unnest($2::uuid[]) AS member (id)
ORDER BY tag.id, member.id ON CONFLICT DO NOTHING
"""
REMOVE_TAGGED = "DELETE FROM tag_members WHERE tag_id = ANY($1::uuid[]) AND contact_id = ANY($2::uuid[])"
# Lock tags in id order before their contacts are deleted, as `LOCK_LISTS` in contacts.py does for lists.
LOCK_TAGS_OF = """
SELECT count(*) FROM (
    SELECT 1 FROM tags WHERE workspace_id = $1 AND livemode = $2
        AND id IN (SELECT tag_id FROM tag_members WHERE contact_id = ANY($3::uuid[]))
    ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

# What may be asked for as a tag.
TAG: Mapping[str, object] = {**named(MAX_TAG), "pattern": "^[^,]*$"}
TagName = Annotated[str, about("A tag, kept in lower case.", example="webinar", **TAG)]


class ChangeTags(Request, frozen=True, kw_only=True):
    """Tags to add to a contact and to remove from it."""

    add: Annotated[
        list[Annotated[str, about(**TAG)]],
        about("The tags to add.", example=["vip", "webinar"], maxItems=MAX_TAGS),
    ] = []  # noqa: RUF012
    remove: Annotated[
        list[Annotated[str, about(**TAG)]],
        about("The tags to remove; one that it does not have is no error.", example=["lead"], maxItems=MAX_TAGS),
    ] = []  # noqa: RUF012


class ListTags(PageQuery, frozen=True, kw_only=True):
    """Which tags."""

    q: Annotated[str, about("Only tags that begin with this.", maxLength=MAX_TAG)] | None = None


class TagResource(Resource, kw_only=True):
    """A tag, and how many contacts have it."""

    id: Annotated[str, about(example=f"tag_{ULID}")]
    object: Literal["tag"] = "tag"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: Annotated[str, about("The tag.", example="webinar")]
    contact_count: Annotated[int, about("The number of contacts that have it.", example=120)]
    created_at: Annotated[str, about("When it was first given to a contact.")]


class _Named(Protocol):
    id: UUID
    name: str


class _Id(Protocol):
    id: UUID


def tag_resource(row: rows.TagRow) -> TagResource:
    """Return the resource of a tag."""
    return TagResource(
        id=ids.encode_id(ids.TAG, row.id),
        livemode=row.livemode,
        name=row.name,
        contact_count=row.contact_count,
        created_at=moment(row.created_at),
    )


def read_tag(text: str, *, param: str) -> str:
    """Normalize a tag: lower case, single spaces. Raises InvalidRequest."""
    name = " ".join(text.split()).lower()
    if not 1 <= len(name) <= MAX_TAG:
        raise InvalidRequest(
            f"A tag has from 1 to {MAX_TAG} characters.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name) or "," in name:
        raise InvalidRequest("A tag must not contain commas or control characters.", param=param)
    return name


def read_tags(texts: Sequence[str], *, param: str) -> list[str]:
    """Normalize tags; return them sorted, without duplicates. Raises InvalidRequest."""
    if len(texts) > MAX_TAGS:
        raise InvalidRequest(
            f"{param} holds at most {MAX_TAGS} tags.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return sorted({read_tag(text, param=f"{param}[{index}]") for index, text in enumerate(texts)})


async def list_tags(ctx: Context, page: PageRequest, which: ListTags | None = None) -> Page[Tag]:
    """List the tags that contacts have, newest first. Raises InvalidRequest."""
    return await fetch_page(tag_query(ctx, which), page)


async def count_tags(ctx: Context, which: ListTags | None = None) -> int:
    """Count the tags that contacts have."""
    return await tag_query(ctx, which).count()


def tag_query(ctx: Context, which: ListTags | None) -> QuerySet[Tag]:
    """Return the query of the tags that contacts have. Raises InvalidRequest."""
    query = scoped(ctx, Tag).filter(contact_count__gt=0)
    if which is None or not which.q:
        return query
    if len(which.q) > MAX_TAG:
        raise InvalidRequest(f"q has at most {MAX_TAG} characters.", param="q", code=ErrorCode.PARAMETER_OUT_OF_RANGE)
    return query.filter(name__startswith=which.q.strip().lower())


async def tag_contact(ctx: Context, id: UUID, data: ChangeTags) -> Contact:
    """Add tags to a contact and remove others. Raises NotFound, and InvalidRequest beyond 50 tags."""
    allow(ctx, Permission.CONTACTS_WRITE)
    add, remove = read_tags(data.add, param="add"), read_tags(data.remove, param="remove")
    contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact", lock=True)
    if len(({*contact.tags} | {*add}) - {*remove}) > max(MAX_TAGS, len(contact.tags)):
        raise InvalidRequest(
            f"A contact has at most {MAX_TAGS} tags.", param="add", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    await change_tags(ctx, [id], add=add, remove=remove, now=ctx.services.clock())
    return await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact")


async def change_tags(
    ctx: Context, contact_ids: Sequence[UUID], *, add: Sequence[str] = (), remove: Sequence[str] = (), now: datetime
) -> int:
    """Add and remove tags of contacts, in the caller's transaction. Return the number of contacts changed.

    A tag in both `add` and `remove` is removed. A contact that would exceed the limit is not changed.
    """
    scope = (ctx.workspace_id, ctx.livemode)
    add = sorted({*add} - {*remove})
    locked = [row.id for row in await fetch(_Id, LOCK_TAGGED, *scope, list(contact_ids))]
    if add:
        await execute(ENSURE_TAGS, *scope, [ids.new_id() for _ in add], add, now)
    found = {row.name: row.id for row in await fetch(_Named, FIND_TAGS, *scope, [*add, *remove])}
    changed = [row.id for row in await fetch(_Id, CHANGE_TAGS, *scope, locked, add, list(remove), now)]
    if changed and add:
        await execute(ADD_TAGGED, [found[name] for name in add], changed)
    if changed and (gone := [found[name] for name in remove if name in found]):
        await execute(REMOVE_TAGGED, gone, changed)
    return len(changed)


async def find_tag(ctx: Context, text: str, *, param: str) -> UUID | None:
    """Return the id of a tag; None if no contact ever had it. Raises InvalidRequest."""
    found = await fetch(_Named, FIND_TAGS, ctx.workspace_id, ctx.livemode, [read_tag(text, param=param)])
    return found[0].id if found else None
