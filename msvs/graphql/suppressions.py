"""Suppressions, consent records, export and erasure: types, queries and mutations."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.consent import CONSENT_EVENT, ListByPhone
from msvs.api.contacts import suppressions
from msvs.api.contacts.contacts import OptInEvidence
from msvs.api.contacts.suppressions import CreateSuppression, ImportSuppressions, SuppressionResource
from msvs.api.context import Context
from msvs.api.errors import NotFound
from msvs.api.privacy import contact_export, erasure
from msvs.api.scope import scoped
from msvs.api.text.phones import parse_phone
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import ConsentEvent, Contact, OptInInput
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import JSONObject
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ConsentEvent as ConsentEventRow
from msvs.models import Suppression as SuppressionRow
from msvs.models import rows


@resource_type(SuppressionResource, "A phone to which nothing is sent.")
class Suppression(Node):
    livemode: bool
    phone: str
    source: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.SuppressionRow) -> Suppression:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(suppressions.SUPPRESSION, row.id)))


register_rows(suppressions.SUPPRESSION, SuppressionRow, Suppression.from_row)


@resource_type(suppressions.SuppressionsImported, "The result of importing suppressions.")
class SuppressionsImported:
    added: int
    already_suppressed: int
    invalid: list[str]


@strawberry.type(description="Confirmation that a contact was erased.")
class ContactErased:
    id: ID = strawberry.field(description="The id that the contact had.")
    erased_at: datetime = strawberry.field(description="When it was erased.")


@request_input(CreateSuppression)
class CreateSuppressionInput:
    pass


CreateSuppressionResult = Annotated[
    Suppression | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "CreateSuppressionResult",
        description="The suppression, or an error: `suppression_exists` if the phone is suppressed already.",
    ),
]
ImportSuppressionsResult = Annotated[
    SuppressionsImported | InvalidRequestError | PermissionRefusedError,
    strawberry.union("ImportSuppressionsResult", description="The counts of the import, or an error."),
]
LiftSuppressionResult = Annotated[
    Contact | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "LiftSuppressionResult",
        description="The contact, opted in again or asked to confirm; or an error: `opt_in_revoked` without newer"
        " evidence.",
    ),
]
EraseContactResult = Annotated[
    ContactErased | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "EraseContactResult",
        description="The erasure, or an error: `erasure_pending` while a message is being sent.",
    ),
]

Phone = Annotated[str | None, argument(ListByPhone, "phone")]
SuppressionId = Annotated[ID, strawberry.argument(description="The suppression's id.")]
ContactId = Annotated[ID, strawberry.argument(description="The contact's id.")]


@strawberry.type
class SuppressionQuery:
    @field("A suppression by its id; null if there is none.")
    async def suppression(self, info: Info, id: SuppressionId) -> Suppression | None:
        return await load_kind(info, id, Suppression, suppressions.SUPPRESSION)

    @field("Suppressions, newest first, or that of one phone.")
    async def suppressions(
        self,
        info: Info,
        phone: Phone = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Suppression]:
        ctx = info.context.ctx
        request = read_page(suppressions.SUPPRESSION, first, after, last, before)
        page = await suppressions.list_suppressions(ctx, request, phone=phone)

        async def count() -> int:
            if phone is not None:
                return len(page.items)
            return await scoped(ctx, SuppressionRow).count()

        return connect(suppressions.SUPPRESSION, request, page, Suppression.from_row, count)

    @field("Consent records, newest first, with or without contacts.")
    async def consent_history(
        self,
        info: Info,
        phone: Phone = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ConsentEvent]:
        ctx = info.context.ctx
        request = read_page(CONSENT_EVENT, first, after, last, before)
        page = await consent.list_consent(ctx, request, phone=phone)

        async def count() -> int:
            if phone is None:
                return await scoped(ctx, ConsentEventRow).count()
            return await consent.history_of(ctx, parse_phone(phone, param="phone").e164).count()

        return connect(CONSENT_EVENT, request, page, ConsentEvent.from_row, count)

    @field("All data about a contact, at most 1,000 rows of each kind; null if the contact does not exist.")
    async def contact_export(self, info: Info, id: ContactId) -> JSONObject | None:
        try:
            made = await contact_export.export_contact(info.context.ctx, _contact_id(id))
        except NotFound:
            return None
        shown: JSONObject = msgspec.to_builtins(made)
        return shown


@strawberry.type
class SuppressionMutation:
    @mutation(CreateSuppressionResult, "Suppress a phone and opt out its contact, if there is one.")
    async def create_suppression(
        self, info: Info, input: Annotated[CreateSuppressionInput, strawberry.argument(description="The phone.")]
    ) -> object:
        def create(ctx: Context) -> Awaitable[SuppressionRow]:
            data = read_input(CreateSuppression, input)
            return suppressions.create_suppression(ctx, data.phone, source=data.source)

        return await mutate(info, create, Suppression.from_row)

    @mutation(ImportSuppressionsResult, "Suppress at most 1,000 phones; invalid ones are reported.")
    async def import_suppressions(
        self,
        info: Info,
        phones: Annotated[list[str], argument(ImportSuppressions, "phones")],
        source: Annotated[str | None, argument(ImportSuppressions, "source")] = None,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: suppressions.import_suppressions(ctx, phones, source=source),
            lambda done: from_row(SuppressionsImported, done),
        )

    @mutation(LiftSuppressionResult, "Lift a suppression on newer evidence that the person agreed again.")
    async def lift_suppression(
        self,
        info: Info,
        id: SuppressionId,
        opt_in: Annotated[OptInInput, strawberry.argument(description="How the person agreed again.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: suppressions.lift_suppression(
                ctx, ids.find_id(suppressions.SUPPRESSION, id, "suppression"), read_input(OptInEvidence, opt_in)
            ),
            Contact.from_row,
        )

    @mutation(
        EraseContactResult, "Erase a contact: records that must be kept are anonymized. Erasing again changes nothing."
    )
    async def erase_contact(self, info: Info, id: ContactId) -> object:
        return await mutate(
            info,
            lambda ctx: erasure.erase_contact(ctx, _contact_id(id)),
            lambda done: ContactErased(id=id, erased_at=datetime.fromisoformat(done.erased_at)),
        )


def _contact_id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT, text, "contact")
