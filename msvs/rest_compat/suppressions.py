"""/v1/suppressions and /v1/consent."""

from __future__ import annotations

from uuid import UUID

from msvs.api.consent import consent
from msvs.api.consent.consent import ConsentEntryResource, ListByPhone, consent_entry_resource
from msvs.api.contacts import suppressions
from msvs.api.contacts.contacts import OptInEvidence
from msvs.api.contacts.suppressions import (
    CreateSuppression,
    ImportSuppressions,
    SuppressionResource,
    SuppressionsImported,
    suppression_resource,
)
from msvs.api.errors import called
from msvs.api.ids import find_id
from msvs.api.resources import ContactResource, contact_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateSuppression, NoQuery]) -> SuppressionResource:
    """Suppress a phone."""
    row = await suppressions.create_suppression(call.ctx, call.body.phone, source=call.body.source)
    return suppression_resource(row)


async def list_(call: Call[NoBody, ListByPhone]) -> ListOf[SuppressionResource]:
    """List suppressions."""
    page = await suppressions.list_suppressions(
        call.ctx, call.query.page(suppressions.SUPPRESSION), phone=call.query.phone
    )
    return list_of(call.path, page, suppression_resource)


async def import_(call: Call[ImportSuppressions, NoQuery]) -> SuppressionsImported:
    """Suppress many phones."""
    return await suppressions.import_suppressions(call.ctx, call.body.phones, source=call.body.source)


async def retrieve(call: Call[NoBody, NoQuery]) -> SuppressionResource:
    """Retrieve a suppression."""
    return suppression_resource(await suppressions.get_suppression(call.ctx, _id(call.params["id"])))


async def lift(call: Call[OptInEvidence, NoQuery]) -> ContactResource:
    """Lift a suppression."""
    # The body is the evidence.
    with called("", of="opt_in"):
        contact = await suppressions.lift_suppression(call.ctx, _id(call.params["id"]), call.body)
    return contact_resource(contact)


async def consent_history(call: Call[NoBody, ListByPhone]) -> ListOf[ConsentEntryResource]:
    """List the history of consent."""
    page = await consent.list_consent(call.ctx, call.query.page(consent.CONSENT_EVENT), phone=call.query.phone)
    return list_of(call.path, page, consent_entry_resource)


def _id(text: str) -> UUID:
    return find_id(suppressions.SUPPRESSION, text, "suppression")
