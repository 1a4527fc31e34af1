"""The shared inbox: notes, assignments and canned answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.inbound import assignments, canned_answers, inbox, notes
from msvs.api.inbound.canned_answers import CANNED_ANSWER, canned_answer_version
from msvs.api.resources import CONTACT_NOTE, MAX_NOTE
from msvs.api.scope import scoped
from msvs.fields import descriptions
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inbound import InboxThread, ThreadContactId
from msvs.graphql.inputs import Deleted, optional_ref, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row
from msvs.models import CannedAnswer as CannedAnswerRow
from msvs.models import ContactNote as ContactNoteRow
from msvs.models import rows

TOLD = descriptions(canned_answers.CreateCannedAnswer)


@strawberry.type(description="A note about a contact, for the members of the workspace. It is never sent.")
class ContactNote(Node):
    body: str = strawberry.field(description="The note.")
    author: str = strawberry.field(description="The author: the id of a user or an API key.")
    created_at: datetime = strawberry.field(description="When it was written.")

    @classmethod
    def from_row(cls, row: rows.ContactNoteRow) -> ContactNote:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(CONTACT_NOTE, row.id)))


@strawberry.type(description="A prepared answer for the inbox.")
class CannedAnswer(Node):
    name: str = strawberry.field(description=TOLD["name"])
    body: str = strawberry.field(description=TOLD["body"])
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    version: str = strawberry.field(
        description="A value that changes with each edit; send it with `updateCannedAnswer` so that you"
        " do not overwrite a change of another member."
    )

    @classmethod
    def from_row(cls, row: rows.CannedAnswerRow) -> CannedAnswer:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(CANNED_ANSWER, row.id)), version=canned_answer_version(row))


register_rows(CONTACT_NOTE, ContactNoteRow, ContactNote.from_row)
register_rows(CANNED_ANSWER, CannedAnswerRow, CannedAnswer.from_row)


@request_input(canned_answers.CreateCannedAnswer)
class CreateCannedAnswerInput:
    pass


@request_input(canned_answers.UpdateCannedAnswer)
class UpdateCannedAnswerInput:
    pass


AddNoteResult = Annotated[
    ContactNote | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("AddNoteResult", description="The note, or an error."),
]
DeleteNoteResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteNoteResult", description="Confirms that the note was deleted, or an error."),
]
AssignThreadResult = Annotated[
    InboxThread | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("AssignThreadResult", description="The updated thread, or an error."),
]
CreateCannedAnswerResult = Annotated[
    CannedAnswer | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateCannedAnswerResult", description="The new canned answer, or an error."),
]
UpdateCannedAnswerResult = Annotated[
    CannedAnswer | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateCannedAnswerResult", description="The updated canned answer, or an error."),
]
DeleteCannedAnswerResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union(
        "DeleteCannedAnswerResult", description="Confirms that the canned answer was deleted, or an error."
    ),
]

NoteContactId = Annotated[ID, strawberry.argument(description="The contact's id.")]
CannedAnswerId = Annotated[ID, strawberry.argument(description="The canned answer's id.")]


@strawberry.type
class InboxQuery:
    @field("The notes about a contact, newest first.")
    async def contact_notes(
        self,
        info: Info,
        contact_id: NoteContactId,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ContactNote]:
        ctx = info.context.ctx
        request = read_page(CONTACT_NOTE, first, after, last, before)
        id = _contact(contact_id)
        page = await notes.list_notes(ctx, id, request)
        return connect(
            CONTACT_NOTE, request, page, ContactNote.from_row, scoped(ctx, ContactNoteRow).filter(contact_id=id).count
        )

    @field("A canned answer by its id; null if there is none.")
    async def canned_answer(self, info: Info, id: CannedAnswerId) -> CannedAnswer | None:
        return await load_kind(info, id, CannedAnswer, CANNED_ANSWER)

    @field("Canned answers, newest first.")
    async def canned_answers(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[CannedAnswer]:
        ctx = info.context.ctx
        request = read_page(CANNED_ANSWER, first, after, last, before)
        page = await canned_answers.list_canned_answers(ctx, request)
        return connect(CANNED_ANSWER, request, page, CannedAnswer.from_row, scoped(ctx, CannedAnswerRow).count)


@strawberry.type
class InboxMutation:
    @mutation(AddNoteResult, "Add a note about a contact, for the members of the workspace only.")
    async def add_note(
        self,
        info: Info,
        contact_id: NoteContactId,
        body: Annotated[str, strawberry.argument(description=f"The note, 1 to {MAX_NOTE} characters.")],
    ) -> object:
        return await mutate(info, lambda ctx: notes.add_note(ctx, _contact(contact_id), body), ContactNote.from_row)

    @mutation(DeleteNoteResult, "Delete a note.")
    async def delete_note(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The note's id.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: notes.delete_note(ctx, ids.find_id(CONTACT_NOTE, id, "note")), lambda _: Deleted(id=id)
        )

    @mutation(AssignThreadResult, "Assign a thread to a member, or to nobody.")
    async def assign_thread(
        self,
        info: Info,
        contact_id: ThreadContactId,
        user_id: Annotated[ID | None, strawberry.argument(description="The member's id; null for nobody.")] = None,
    ) -> object:
        async def assign(ctx: Context) -> inbox.Thread:
            return await assignments.assign_thread(
                ctx, _contact(contact_id), optional_ref(ids.USER, user_id, "user_id")
            )

        return await mutate(info, assign, InboxThread.from_thread)

    @mutation(CreateCannedAnswerResult, "Create a canned answer.")
    async def create_canned_answer(
        self,
        info: Info,
        input: Annotated[CreateCannedAnswerInput, strawberry.argument(description="The canned answer.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: canned_answers.create_canned_answer(ctx, read_input(canned_answers.CreateCannedAnswer, input)),
            CannedAnswer.from_row,
        )

    @mutation(UpdateCannedAnswerResult, "Change a canned answer.")
    async def update_canned_answer(
        self,
        info: Info,
        id: CannedAnswerId,
        input: Annotated[UpdateCannedAnswerInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: canned_answers.update_canned_answer(
                ctx, _canned(id), read_input(canned_answers.UpdateCannedAnswer, input)
            ),
            CannedAnswer.from_row,
        )

    @mutation(DeleteCannedAnswerResult, "Delete a canned answer.")
    async def delete_canned_answer(self, info: Info, id: CannedAnswerId) -> object:
        return await mutate(
            info, lambda ctx: canned_answers.delete_canned_answer(ctx, _canned(id)), lambda _: Deleted(id=id)
        )


def _contact(text: str) -> UUID:
    return ids.find_id(ids.CONTACT, text, "contact", param="contact_id")


def _canned(text: str) -> UUID:
    return ids.find_id(CANNED_ANSWER, text, "canned answer")
