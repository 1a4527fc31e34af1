"""Saved views: the filters of a page of the dashboard under a name, shared by the members of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.contacts.details import read_name
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied, check_version
from msvs.api.permissions import Permission, allow
from msvs.api.resources import version_of
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import save_unique
from msvs.database import fetch_value
from msvs.fields import Request, Version, about, named
from msvs.models import SavedView, rows
from msvs.postgres_values import can_keep

SAVED_VIEW = "vew"
MAX_NAME = 60
MAX_VIEWS = 50
MAX_FILTERS = 30
MAX_KEY = 40
MAX_VALUE = 200


class ViewPage(StrEnum):
    """A page whose filters can be saved."""

    CONTACTS = "contacts"
    MESSAGES = "messages"
    CAMPAIGNS = "campaigns"


ViewName = Annotated[
    str, about("The name, which must be unique on the page.", example="Agreed in May", **named(MAX_NAME))
]
Filters = Annotated[
    dict[str, Annotated[str, about(maxLength=MAX_VALUE)]],
    about("The filters as the page's address has them.", example={"consent": "OPTED_IN"}, maxProperties=MAX_FILTERS),
]


class CreateSavedView(Request, frozen=True):
    """A new saved view."""

    page: Annotated[ViewPage, about("The page.")]
    name: ViewName
    filters: Filters


class UpdateSavedView(Request, frozen=True):
    """Changes to a saved view."""

    name: ViewName | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    version: Version | UnsetType = UNSET


def saved_view_version(row: rows.SavedViewRow) -> str:
    """Return the version of a saved view."""
    return version_of(row.name, row.filters)


async def list_saved_views(ctx: Context, page: ViewPage) -> Sequence[SavedView]:
    """List the saved views of a page by name. Raises PermissionDenied for a key."""
    _require_member(ctx)
    return await scoped(ctx, SavedView).filter(page=page.value).order_by("name")


async def create_saved_view(ctx: Context, data: CreateSavedView) -> SavedView:
    """Save the filters of a page.

    Raises InvalidRequest, PermissionDenied, and Conflict: `saved_view_exists` where the page has a view of the same
    name, `saved_view_limit` at 50 views of a page.
    """
    _require_writer(ctx)
    row = SavedView(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        page=data.page.value,
        name=read_name(data.name.strip(), param="name", maximum=MAX_NAME),
        filters=_read_filters(data.filters),
        created_by=ctx.actor,
    )
    # So that none is added meanwhile.
    await fetch_value("SELECT id FROM workspaces WHERE id = $1 FOR UPDATE", ctx.workspace_id)
    if await scoped(ctx, SavedView).filter(page=row.page).count() >= MAX_VIEWS:
        raise Conflict(f"A page has at most {MAX_VIEWS} saved views.", code=ErrorCode.SAVED_VIEW_LIMIT)
    await save_unique(row, _taken(row))
    return row


async def update_saved_view(ctx: Context, id: UUID, data: UpdateSavedView) -> SavedView:
    """Change a saved view. Raises NotFound, InvalidRequest, PermissionDenied, Conflict code `saved_view_exists`."""
    _require_writer(ctx)
    row = await find(ctx, SavedView, id, prefix=SAVED_VIEW, noun="saved view", lock=True)
    check_version(data.version, saved_view_version(row), "saved view")
    if data.name is not UNSET:
        row.name = read_name(data.name.strip(), param="name", maximum=MAX_NAME)
    if data.filters is not UNSET:
        row.filters = {**_read_filters(data.filters)}
    await save_unique(row, _taken(row))
    return row


async def delete_saved_view(ctx: Context, id: UUID) -> None:
    """Delete a saved view. Raises NotFound, PermissionDenied."""
    _require_writer(ctx)
    row = await find(ctx, SavedView, id, prefix=SAVED_VIEW, noun="saved view", lock=True)
    await row.delete()


async def forget_views(ctx: Context, is_named: Callable[[str], bool]) -> None:
    """Delete the saved views whose name or filters name a person."""
    for row in await scoped(ctx, SavedView).order_by("id"):
        if any(is_named(str(text)) for text in (row.name, *row.filters.values())):
            await row.delete()


def _require_member(ctx: Context) -> None:
    if ids.decode_id(ids.USER, ctx.actor) is None:
        raise PermissionDenied("Saved views are for people: log in for this.")


def _require_writer(ctx: Context) -> None:
    allow(ctx, Permission.CONTACTS_WRITE)
    _require_member(ctx)


def _read_filters(filters: Mapping[str, object]) -> dict[str, str]:
    """Read the filters of a page: names and texts. Raises InvalidRequest."""
    if not 1 <= len(filters) <= MAX_FILTERS:
        raise InvalidRequest(
            f"filters must have from 1 to {MAX_FILTERS} entries.",
            param="filters",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    read: dict[str, str] = {}
    for key, value in filters.items():
        if not key.isascii() or not key.isidentifier() or len(key) > MAX_KEY:
            raise InvalidRequest("filters has a name that is not a filter's.", param="filters")
        if not isinstance(value, str) or not can_keep(value):
            raise InvalidRequest(f"filters.{key} must be a text.", param=f"filters.{key}")
        if len(value) > MAX_VALUE:
            raise InvalidRequest(
                f"filters.{key} must have at most {MAX_VALUE} characters.",
                param=f"filters.{key}",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
        read[key] = value
    return read


def _taken(row: SavedView) -> Conflict:
    return Conflict(f"There is a saved view '{row.name}' already.", param="name", code=ErrorCode.SAVED_VIEW_EXISTS)
