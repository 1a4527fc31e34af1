"""Notes about contacts, for the members of a workspace; they are never sent."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import CONTACT_NOTE, MAX_NOTE
from msvs.api.scope import find, scoped
from msvs.api.text.kept_text import check_kept
from msvs.models import Contact, ContactNote


async def add_note(ctx: Context, contact_id: UUID, body: str) -> ContactNote:
    """Write a note about a contact down. Raises NotFound, InvalidRequest, PermissionDenied."""
    allow(ctx, Permission.INBOX_WRITE)
    text = read_text(body, param="body", maximum=MAX_NOTE)
    await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id", lock=True)
    return await ContactNote.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        contact_id=contact_id,
        body=text,
        author=ctx.actor,
        created_at=ctx.services.clock(),
    )


async def list_notes(ctx: Context, contact_id: UUID, page: PageRequest) -> Page[ContactNote]:
    """List the notes about a contact, newest first. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.CONTACTS_READ)
    await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id")
    return await fetch_page(scoped(ctx, ContactNote).filter(contact_id=contact_id), page)


async def delete_note(ctx: Context, id: UUID) -> None:
    """Delete a note. Raises NotFound, PermissionDenied."""
    allow(ctx, Permission.INBOX_WRITE)
    row = await find(ctx, ContactNote, id, prefix=CONTACT_NOTE, noun="note", lock=True)
    await row.delete()


def read_text(text: str, *, param: str, maximum: int) -> str:
    """Return a text that a person wrote, without space around it. Raises InvalidRequest."""
    found = text.strip()
    if not 1 <= len(found) <= maximum:
        raise InvalidRequest(f"{param} must have 1 to {maximum} characters.", param=param)
    return check_kept(found, param=param)
