"""Requests, and answers that are not a resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.pages import Page
from msvs.api.resources import MessageResource
from msvs.fields import about

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType

T = TypeVar("T")
R = TypeVar("R")


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of bodies and query strings: nothing but the fields it names."""


class NoBody(Input, kw_only=True):
    """A body without parameters: none at all, or an empty object."""


class NoQuery(Input, kw_only=True):
    """A query string without parameters."""


# Requests


class ContactUpsert(Input, kw_only=True):
    """Whether a contact that is there is changed."""

    upsert: (
        Annotated[
            Literal["true", "false"],
            about(
                "`true` updates the contact with the external_id, or else with the phone; fields that are"
                " left out stay.",
                type="string",
            ),
        ]
        | None
    ) = None


# Answers


class ListOf(msgspec.Struct, Generic[T], kw_only=True):
    """One page of resources, newest first."""

    object: Literal["list"] = "list"
    url: Annotated[str, about(example="https://api.cohortlabs.co/webhooks/sms")]
    has_more: Annotated[bool, about(example=False)]
    data: list[T]


class FilteredListOf(ListOf[T], Generic[T], kw_only=True):
    """One page of a filtered list, newest first."""

    next_cursor: (
        Annotated[
            str,
            about(
                "The id to continue from, as `starting_after` or `ending_before`. Present only if the search"
                " stopped before the page was full.",
            ),
        ]
        | UnsetType
    ) = UNSET


class Deleted(msgspec.Struct, kw_only=True):
    """Confirmation that a resource was deleted."""

    id: Annotated[str, about("The deleted id.")]
    object: str
    deleted: Annotated[Literal[True], about(type="boolean")] = True


class CampaignTestSent(msgspec.Struct, kw_only=True):
    """The messages of a campaign test."""

    id: str
    object: Literal["campaign_test"] = "campaign_test"
    messages: list[MessageResource]


class SegmentPreview(msgspec.Struct, kw_only=True):
    """The number of contacts that match a filter now."""

    object: Literal["segment_preview"] = "segment_preview"
    contact_count: Annotated[int, about(example=37)]


def list_of(url: str, page: Page[R], shape: Callable[[R], T]) -> ListOf[T]:
    """List the envelope of one page."""
    return ListOf(url=url, has_more=page.has_more, data=[shape(item) for item in page.items])


def filtered_list_of(prefix: str, url: str, page: Page[R], shape: Callable[[R], T]) -> FilteredListOf[T]:
    """List the envelope of one page, which may say where to go on; `prefix` is that of its ids."""
    reached = UNSET if page.reached is None else ids.encode_id(prefix, page.reached)
    data = [shape(item) for item in page.items]
    return FilteredListOf(url=url, has_more=page.has_more, data=data, next_cursor=reached)


def optional_ref(prefix: str, text: str | None, param: str) -> UUID | None:
    """Return the UUID of an optional id. Raises InvalidRequest with `param`."""
    return None if text is None else ids.read_id(prefix, text, param)
