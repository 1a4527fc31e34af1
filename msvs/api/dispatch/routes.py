"""Routes: the operator's table of which carrier takes which live messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Services
from msvs.api.dispatch.senders import check_regions, check_sender
from msvs.api.errors import InvalidRequest, NotFound
from msvs.models import Route, SenderKind, Workspace


async def add_route(
    services: Services,
    carrier: str,
    *,
    workspace_id: UUID | None = None,
    regions: Iterable[str] = (),
    sender: str | None = None,
    sender_kind: SenderKind | None = None,
    preference: int = 100,
    price: Decimal | None = None,
) -> Route:
    """Let messages to `regions` (none: any), from a sender or a kind of sender, take a carrier.

    Without `workspace_id` it is shared by all workspaces that have no route of their own. The lowest `preference` goes
    first, then the lowest `price` a segment. Raises InvalidRequest and NotFound.
    """
    if carrier not in services.carriers.names:
        raise InvalidRequest(f"carrier must be one of {', '.join(sorted(services.carriers.names))}.", param="carrier")
    if sender is not None:
        check_sender(sender, param="sender")
    if not -32768 <= preference <= 32767:
        raise InvalidRequest("preference lies outside -32768 to 32767.", param="preference")
    if workspace_id is not None and not await Workspace.exists(id=workspace_id):
        raise NotFound("No such workspace.")
    return await Route.create(
        workspace_id=workspace_id,
        carrier=carrier,
        regions=check_regions(regions),
        sender=sender,
        sender_kind=sender_kind,
        preference=preference,
        price=price,
        created_at=services.clock(),
    )


async def list_routes(workspace_id: UUID | None = None) -> Sequence[Route]:
    """List the routes of a workspace, or with None the shared ones, in the order in which they are tried."""
    return await Route.filter(workspace_id=workspace_id).order_by("preference", "price", "id")


async def remove_route(id: UUID) -> None:
    """Take a route away; what is queued goes by those that are left. Raises NotFound."""
    if not await Route.filter(id=id).delete():
        raise ids.missing("route", ids.encode_id(ids.ROUTE, id))
