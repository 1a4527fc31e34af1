"""Canned answers: prepared texts with names."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, UnsetType

from msvs.api.contacts.details import read_name
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, check_version
from msvs.api.inbound.notes import read_text
from msvs.api.messages.messages import Body
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import version_of
from msvs.api.scope import find, scoped
from msvs.api.text.rendering import MAX_BODY
from msvs.api.unit_of_work import save_unique
from msvs.fields import Request, Version, about, named
from msvs.models import CannedAnswer, rows

CANNED_ANSWER = "can"
MAX_NAME = 60

AnswerName = Annotated[str, about("The name, which must be unique.", example="Payment plan", **named(MAX_NAME))]


class CreateCannedAnswer(Request, frozen=True):
    """A new canned answer; variables in braces are filled in when it is sent."""

    name: AnswerName
    body: Annotated[Body, about(example="Hi {firstName}, you can pay in three parts: cohortlabs.co/plan")]


class UpdateCannedAnswer(Request, frozen=True):
    """Changes to a canned answer."""

    name: AnswerName | UnsetType = UNSET
    body: Body | UnsetType = UNSET
    version: Version | UnsetType = UNSET


def canned_answer_version(row: rows.CannedAnswerRow) -> str:
    """Return the version of a canned answer."""
    return version_of(row.name, row.body)


async def create_canned_answer(ctx: Context, data: CreateCannedAnswer) -> CannedAnswer:
    """Make a canned answer. Raises InvalidRequest, Conflict code `canned_answer_exists`, PermissionDenied."""
    allow(ctx, Permission.INBOX_WRITE)
    row = CannedAnswer(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=read_name(data.name.strip(), param="name", maximum=MAX_NAME),
        body=read_text(data.body, param="body", maximum=MAX_BODY),
    )
    await save_unique(row, _taken(row))
    return row


async def get_canned_answer(ctx: Context, id: UUID) -> CannedAnswer:
    """Return one canned answer. Raises NotFound."""
    return await find(ctx, CannedAnswer, id, prefix=CANNED_ANSWER, noun="canned answer")


async def list_canned_answers(ctx: Context, page: PageRequest) -> Page[CannedAnswer]:
    """List canned answers, newest first."""
    allow(ctx, Permission.MESSAGES_READ)
    return await fetch_page(scoped(ctx, CannedAnswer), page)


async def update_canned_answer(ctx: Context, id: UUID, data: UpdateCannedAnswer) -> CannedAnswer:
    """Change a canned answer. Raises NotFound, and what create_canned_answer raises."""
    allow(ctx, Permission.INBOX_WRITE)
    row = await find(ctx, CannedAnswer, id, prefix=CANNED_ANSWER, noun="canned answer", lock=True)
    check_version(data.version, canned_answer_version(row), "canned answer")
    if data.name is not UNSET:
        row.name = read_name(data.name.strip(), param="name", maximum=MAX_NAME)
    if data.body is not UNSET:
        row.body = read_text(data.body, param="body", maximum=MAX_BODY)
    await save_unique(row, _taken(row))
    return row


async def delete_canned_answer(ctx: Context, id: UUID) -> None:
    """Delete a canned answer. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.INBOX_WRITE)
    row = await find(ctx, CannedAnswer, id, prefix=CANNED_ANSWER, noun="canned answer", lock=True)
    await row.delete()


def _taken(row: CannedAnswer) -> Conflict:
    return Conflict(
        f"There is a canned answer '{row.name}' already.", param="name", code=ErrorCode.CANNED_ANSWER_EXISTS
    )
