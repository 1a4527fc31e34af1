"""Keywords of a workspace: words that opt in anyone who texts them, and add them to a list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, UnsetType
from tortoise.exceptions import IntegrityError

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.revocation import OWN_ACT
from msvs.api.contacts import lists
from msvs.api.contacts.details import read_name
from msvs.api.context import Context
from msvs.api.dispatch.sequence_signals import enter_by_keyword
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import keyword_version
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import MAX_TEXT_LENGTH, find_settings
from msvs.api.text.opt_out_phrases import wants_out
from msvs.api.text.templates import is_visible
from msvs.api.text.words import classify_reply, fold
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row, execute, fetch_row
from msvs.fields import LIST_ID, Ref, Request, Version, about, id_pattern, named
from msvs.models import Contact, ContactList, Keyword, OptInStatus

MAX_WORD = 30
# What a word folds to may be longer than the word: "ﬃ" is three letters.
MAX_FOLDED = 60
MAX_REPLY = MAX_TEXT_LENGTH
# A message that is a word with so much around it is none.
MAX_TEXT = 240

# A list that came to be kept by another service takes nobody in: what was a keyword of it is a reply.
MATCH_KEYWORD = """
SELECT keywords.* FROM keywords JOIN contact_lists AS list ON list.id = keywords.list_id
    AND list.workspace_id = keywords.workspace_id AND list.livemode = keywords.livemode AND list.kind = 'static'
WHERE keywords.workspace_id = $1 AND keywords.livemode = $2 AND keywords.folded = $3
"""


Word = Annotated[
    str,
    about(
        "The word. Case, accents and punctuation do not matter when a message is compared with it.", **named(MAX_WORD)
    ),
]
JoinReply = Annotated[
    str, about("The SMS that answers anyone who joins; null for the workspace's welcome text.", **named(MAX_REPLY))
]
ListRef = Annotated[
    str, Ref(ids.CONTACT_LIST), about("The list to which it adds contacts.", pattern=id_pattern(ids.CONTACT_LIST))
]


class CreateKeyword(Request, frozen=True):
    """A new keyword."""

    word: Annotated[Word, about(example="COHORT6")]
    list_id: Annotated[ListRef, about(example=LIST_ID)]
    reply: Annotated[JoinReply, about(example="You are on the list for Cohort 06. Reply STOP to opt out.")] | None = (
        None
    )


class UpdateKeyword(Request, frozen=True):
    """Changes to a keyword. Fields that are left out stay; null clears a field."""

    word: Annotated[Word, about(example="COHORT7")] | UnsetType = UNSET
    list_id: ListRef | UnsetType = UNSET
    reply: JoinReply | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class ListKeywords(PageQuery, frozen=True, kw_only=True):
    """Which keywords."""

    list_id: Annotated[ListRef, about("Only keywords of this list.")] | None = None


async def create_keyword(ctx: Context, data: CreateKeyword) -> Keyword:
    """Make a keyword of a list. Raises InvalidRequest `keyword_reserved`, Conflict `keyword_exists`, `list_synced`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    word, folded = _read_word(data.word)
    reply = None if data.reply is None else _read_reply(data.reply)
    list_id = await _hold_list(ctx, data.list_id)
    row = Keyword(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        word=word,
        folded=folded,
        list_id=list_id,
        reply=reply,
    )
    await _save(ctx, row)
    return row


async def get_keyword(ctx: Context, id: UUID) -> Keyword:
    """Return one keyword. Raises NotFound."""
    return await find(ctx, Keyword, id, prefix=ids.KEYWORD, noun="keyword")


async def list_keywords(ctx: Context, page: PageRequest, *, list_id: UUID | None = None) -> Page[Keyword]:
    """Keywords, newest first, optionally of one list."""
    query = scoped(ctx, Keyword)
    return await fetch_page(query if list_id is None else query.filter(list_id=list_id), page)


async def update_keyword(ctx: Context, id: UUID, data: UpdateKeyword) -> Keyword:
    """Change a keyword; people who joined with it stay on their list. Raises NotFound, and as create_keyword."""
    allow(ctx, Permission.CONTACTS_WRITE)
    # Lists are locked before their keywords, here and where a list is deleted.
    list_id = UNSET if data.list_id is UNSET else await _hold_list(ctx, data.list_id)
    row = await find(ctx, Keyword, id, prefix=ids.KEYWORD, noun="keyword", lock=True)
    check_version(data.version, keyword_version(row), "keyword")
    changes: dict[str, object] = {}
    if data.word is not UNSET:
        changes["word"], changes["folded"] = _read_word(data.word)
    if list_id is not UNSET:
        changes["list_id"] = list_id
    if data.reply is not UNSET:
        changes["reply"] = None if data.reply is None else _read_reply(data.reply)
    row.update_from_dict(changes)
    await _save(ctx, row)
    return row


async def delete_keyword(ctx: Context, id: UUID) -> None:
    """Delete a keyword; people who joined with it stay opted in and on the list. Raises NotFound."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await find(ctx, Keyword, id, prefix=ids.KEYWORD, noun="keyword", lock=True)
    await row.delete()


async def match_keyword(ctx: Context, text: str) -> Row | None:
    """Return the keyword that a whole message is, case, accents and punctuation aside, or None for any other text."""
    folded = fold(text) if len(text) <= MAX_TEXT else ""
    if not folded or len(folded) > MAX_FOLDED:
        return None
    return await fetch_row(MATCH_KEYWORD, ctx.workspace_id, ctx.livemode, folded)


async def join(
    ctx: Context, keyword: Row, contact: Contact | Row, *, text: str, now: datetime, sender: str | None = None
) -> str | None:
    """Opt a contact in by its own message and put it on the keyword's list. Return what to answer, None for nothing.

    For a member that is opted in nothing changes. Where the workspace asks for double opt-in, the question is the
    answer, and comes from `sender`.
    """
    # Contacts are locked before lists, as where a contact is put on a list by hand.
    current = await scoped(ctx, Contact).filter(id=contact.id).select_for_update().first()
    listed = await scoped(ctx, ContactList).filter(id=keyword.list_id).select_for_update().first()
    if current is None or listed is None:
        return None
    await enter_by_keyword(ctx, keyword.id, current.id)
    added = await execute(lists.ADD_MEMBERS, listed.id, [ids.new_id()], [current.id], now)
    is_in = current.opt_in_status == OptInStatus.OPTED_IN
    if is_in and not added:
        return None
    workspace = await find_settings(ctx)
    confirmed = is_in or not workspace.double_opt_in
    source = f"keyword:{keyword.word}"
    await consent.opt_in(
        ctx, current, source=source, ip=None, now=now, confirmed=confirmed, text=text, sender=sender, claim=OWN_ACT
    )
    return (keyword.reply or workspace.welcome_text) if confirmed else None


async def _hold_list(ctx: Context, text: str) -> UUID:
    """Lock a list until the end of the transaction. Raises InvalidRequest, and Conflict `list_synced`."""
    id = ids.read_id(ids.CONTACT_LIST, text, "list_id")
    row = await scoped(ctx, ContactList).filter(id=id).select_for_update().first()
    if row is None:
        raise InvalidRequest(
            f"No such list: '{ids.encode_id(ids.CONTACT_LIST, id)}'.", code=ErrorCode.RESOURCE_MISSING, param="list_id"
        )
    if row.kind != lists.STATIC:
        raise Conflict(
            "The list is kept in step with another service; nobody can join it here.", code=ErrorCode.LIST_SYNCED
        )
    return id


async def _save(ctx: Context, row: Keyword) -> None:
    try:
        async with unit_of_work():
            await row.save()
    except IntegrityError:
        existing = await scoped(ctx, Keyword).filter(folded=row.folded).first()
        raise Conflict(
            f"There is a keyword {row.word} already.",
            code=ErrorCode.KEYWORD_EXISTS,
            param="word",
            existing_id=None if existing is None else ids.encode_id(ids.KEYWORD, existing.id),
        ) from None


def _read_word(text: str) -> tuple[str, str]:
    word = " ".join(read_name(text, param="word", maximum=MAX_WORD).split())
    folded = fold(word)
    if not folded or len(folded) > MAX_FOLDED:
        raise InvalidRequest("word must have a letter or a digit.", param="word")
    if classify_reply(word) is not None or wants_out(word) is not None:
        raise InvalidRequest(
            f"{word} means something to every sender, such as STOP or HELP; choose another word.",
            code=ErrorCode.KEYWORD_RESERVED,
            param="word",
        )
    return word, folded


def _read_reply(text: str) -> str:
    if not is_visible(text) or len(text) > MAX_REPLY:
        raise InvalidRequest(
            f"reply must have from 1 to {MAX_REPLY} characters.", param="reply", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return text
