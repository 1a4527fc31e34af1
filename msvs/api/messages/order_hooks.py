"""Hooks of shops: addresses to which Shopify and Stripe post orders, recorded as conversions of the contacts found."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Protocol
from uuid import UUID

from msgspec import UNSET, UnsetType
from tortoise.queryset import QuerySet

from msvs import present
from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.contacts.sources import hash_token
from msvs.api.contacts.sync_hooks import MAX_TOKEN, hook_refusal
from msvs.api.context import Context, Services
from msvs.api.errors import (
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from msvs.api.messages.conversion_shapes import MAX_AMOUNT
from msvs.api.messages.conversions import Order, record_order, refund_to
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment, optional_moment
from msvs.api.scope import find, scoped
from msvs.api.text.currencies import minor_units
from msvs.api.text.emails import read_email
from msvs.api.text.phones import canonical, parse_phone
from msvs.api.unit_of_work import in_unit_of_work
from msvs.connectors import orders
from msvs.connectors.base import HookCall, HookRefused
from msvs.connectors.orders import ORDER_SOURCES
from msvs.database import execute, fetch_row
from msvs.fields import ULID, Request, about, named, one_of
from msvs.models import Conversion, ConversionSource, OrderHook, rows

NOUN = "order hook"
ORDERS = "/hooks/orders"
UNKNOWN = "No order hook uses this address."
MAX_HOOKS = 20
MAX_SECRET = 256

_secret = re.compile(r"[!-~]{8,256}", re.ASCII).fullmatch

SigningSecret = Annotated[
    str,
    about(
        "The secret with which the service signs what it posts, as the service shows it. It is stored encrypted and"
        " never returned.",
        pattern="^[!-~]{8,256}$",
        example="whsec_4f2a9c1b7d3e",
    ),
]

COUNT_ORDER = """
UPDATE order_hooks SET recorded = recorded + $4, ignored = ignored + $5, last_order_at = $6
WHERE workspace_id = $1 AND livemode = $2 AND id = $3
"""


FIND_HOOK = """
SELECT order_hooks.*, workspaces.has_test_clock AND NOT order_hooks.livemode AS has_clock
FROM order_hooks JOIN workspaces ON workspaces.id = order_hooks.workspace_id WHERE order_hooks.token_hash = $1
"""


class FoundHook(rows.OrderHookRow, Protocol):
    """A hook, and whether its sandbox lives in its own time."""

    @property
    def has_clock(self) -> bool:
        """Whether its sandbox has a clock."""
        ...


class CreateOrderHook(Request, frozen=True, kw_only=True):
    """A shop whose orders become conversions."""

    type: Annotated[str, about("The service.", example="stripe", pattern=one_of(ORDER_SOURCES))]
    name: Annotated[str, about("A name for your team.", example="Course shop", **named(100))] | None = None
    signing_secret: SigningSecret | None = None


class UpdateOrderHook(Request, frozen=True, kw_only=True):
    """Changes to an order hook. Fields that are left out stay."""

    name: Annotated[str, about("A name for your team; null for none.", **named(100))] | UnsetType | None = UNSET
    signing_secret: SigningSecret | UnsetType = UNSET


class OrderHookResource(Resource, kw_only=True):
    """An address to which a shop posts its orders."""

    id: Annotated[str, about(example=f"ohk_{ULID}")]
    object: Literal["order_hook"] = "order_hook"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    type: Annotated[str, about("The service.", example="stripe", enum=[*ORDER_SOURCES])]
    name: Annotated[str, about("The name for your team.", example="Course shop")] | None = None
    has_secret: Annotated[
        bool, about("Whether the signing secret is set; until then all that is posted is refused.", example=True)
    ]
    recorded: Annotated[int, about("Orders recorded and refunds applied.", example=31)]
    ignored: Annotated[int, about("Orders of nobody among the contacts, and other news.", example=4)]
    last_order_at: Annotated[str, about("When the last request came; null before.")] | None = None
    created_at: Annotated[str, about("When it was created.")]
    url: (
        Annotated[
            str,
            about(
                "The address for the service. It is shown only in the answer that creates the hook.",
                example="https://api.massivesms.com/hooks/orders/…",
            ),
        ]
        | UnsetType
    ) = UNSET


class OrderAnswer(Resource, kw_only=True):
    """What became of a request to the address of an order hook."""

    object: Literal["order_delivery"] = "order_delivery"
    status: Annotated[
        str,
        about(
            "`recorded`; `refunded`; `known` where nothing is new; or `ignored`, with the `reason`.",
            example="recorded",
            enum=["recorded", "refunded", "known", "ignored"],
        ),
    ]
    reason: Annotated[str, about("Why it was ignored.", example=None)] | None = None


async def create_order_hook(ctx: Context, data: CreateOrderHook) -> tuple[OrderHook, str]:
    """Create an address to which a shop posts its orders; the row, and the address, which is shown only once."""
    allow(ctx, Permission.WORKSPACE_WRITE)
    if data.type not in ORDER_SOURCES:
        raise InvalidRequest(f"type must be one of: {', '.join(ORDER_SOURCES)}.", param="type")
    if await scoped(ctx, OrderHook).count() >= MAX_HOOKS:
        raise Conflict(f"There are {MAX_HOOKS} order hooks: delete one first.", code=ErrorCode.ORDER_HOOK_LIMIT)
    token = secrets.token_urlsafe(32)
    row = await OrderHook.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind=data.type,
        name=_read_name(data.name),
        token_hash=hash_token(token),
        secret_sealed=None if data.signing_secret is None else _seal(ctx, data.signing_secret),
        created_at=ctx.services.clock(),
    )
    await _audit(ctx, AuditAction.ORDER_HOOK_CREATED, row)
    return row, f"{ctx.services.base_url}{ORDERS}/{token}"


async def update_order_hook(ctx: Context, id: UUID, data: UpdateOrderHook) -> OrderHook:
    """Change the name of an order hook, or its signing secret. Raises NotFound and InvalidRequest."""
    allow(ctx, Permission.WORKSPACE_WRITE)
    row = await find(ctx, OrderHook, id, prefix=ids.ORDER_HOOK, noun=NOUN, lock=True)
    if not isinstance(data.name, UnsetType):
        row.name = _read_name(data.name)
    if not isinstance(data.signing_secret, UnsetType):
        row.secret_sealed = _seal(ctx, data.signing_secret)
    await row.save(update_fields=["name", "secret_sealed"])
    await _audit(ctx, AuditAction.ORDER_HOOK_UPDATED, row)
    return row


async def delete_order_hook(ctx: Context, id: UUID) -> None:
    """Delete an order hook; its address answers 404 from now on. Raises NotFound."""
    allow(ctx, Permission.WORKSPACE_WRITE)
    row = await find(ctx, OrderHook, id, prefix=ids.ORDER_HOOK, noun=NOUN, lock=True)
    await row.delete()
    await _audit(ctx, AuditAction.ORDER_HOOK_DELETED, row)


async def list_order_hooks(ctx: Context, page: PageRequest) -> Page[OrderHook]:
    """Return a page of the order hooks, newest first."""
    return await fetch_page(order_hook_query(ctx), page)


def order_hook_query(ctx: Context) -> QuerySet[OrderHook]:
    """Return the query of the caller's order hooks."""
    return scoped(ctx, OrderHook)


def order_hook_resource(row: rows.OrderHookRow, *, url: str | UnsetType = UNSET) -> OrderHookResource:
    """Return the shape of an order hook."""
    return OrderHookResource(
        id=ids.encode_id(ids.ORDER_HOOK, row.id),
        livemode=row.livemode,
        type=row.kind,
        name=row.name,
        has_secret=row.secret_sealed is not None,
        recorded=row.recorded,
        ignored=row.ignored,
        last_order_at=optional_moment(row.last_order_at),
        created_at=moment(row.created_at),
        url=url,
    )


def _seal(ctx: Context, secret: str) -> str:
    if not _secret(secret):
        raise InvalidRequest(
            f"signing_secret must be 8 to {MAX_SECRET} printable ASCII characters.",
            param="signing_secret",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return ctx.services.keyring.seal(secret)


def _read_name(text: str | None) -> str | None:
    name = None if text is None else text.strip()
    if name is not None and not 1 <= len(name) <= 100:
        raise InvalidRequest(
            "name must have from 1 to 100 characters.", param="name", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return name


async def _audit(ctx: Context, action: AuditAction, row: OrderHook) -> None:
    changes = {"type": row.kind, "livemode": row.livemode}
    await record_audit(ctx, action, ids.encode_id(ids.ORDER_HOOK, row.id), changes)


# What a shop posts


async def find_hook(token: str) -> FoundHook:
    """Return the hook whose address holds this token. Raises NotFound."""
    found = None
    if len(token) <= MAX_TOKEN and token.isascii():
        found = await fetch_row(FoundHook, FIND_HOOK, hash_token(token))
    if found is None:
        raise NotFound(UNKNOWN)
    return found


async def take_order(
    services: Services, hook: rows.OrderHookRow, headers: Mapping[str, str], body: bytes
) -> OrderAnswer:
    """Record what a shop posted to a hook; the same again changes nothing.

    Raises InvalidRequest, PermissionDenied for a wrong signature or a hook without a secret, and RequestTooLarge.
    """
    order = _read(services, hook, headers, body)
    ctx = Context(hook.workspace_id, hook.livemode, services=services)

    async def take() -> OrderAnswer:
        answer = await _take(ctx, ConversionSource(hook.kind), order)
        is_news = answer.status in ("recorded", "refunded")
        now = services.clock()
        scope = (ctx.workspace_id, ctx.livemode, hook.id)
        await execute(COUNT_ORDER, *scope, int(is_news), int(answer.status == "ignored"), now)
        return answer

    return await in_unit_of_work(take)


def _read(services: Services, hook: rows.OrderHookRow, headers: Mapping[str, str], body: bytes) -> orders.Order | None:
    if hook.secret_sealed is None:
        raise PermissionDenied("The hook has no signing secret yet.", code=ErrorCode.CALLBACK_REFUSED)
    # A signature carries the real time, also where the sandbox has a clock.
    call = HookCall(headers=headers, body=body, now=services.real_clock())
    try:
        return ORDER_SOURCES[hook.kind].read(call, services.keyring.open(hook.secret_sealed))
    except HookRefused as refused:
        raise hook_refusal(refused, unknown=UNKNOWN) from None


def _ignored(reason: str) -> OrderAnswer:
    return OrderAnswer(status="ignored", reason=reason)


async def _take(ctx: Context, source: ConversionSource, told: orders.Order | None) -> OrderAnswer:
    if told is None:
        return _ignored("It tells of no order.")
    if told.is_test and ctx.livemode:
        return _ignored("It is a test, and the hook is live.")
    value, refunded = (minor_units(amount, told.currency.upper()) for amount in (told.value, told.refunded))
    if value is None or refunded is None or value > MAX_AMOUNT:
        return _ignored("Its amount or currency is not known.")
    if not told.is_paid:
        return await _refund(ctx, told.order_id, refunded)
    for by, found in _contacts(told):
        order = Order(
            by,
            found,
            told.order_id,
            value,
            told.currency.upper(),
            # A sandbox with a clock is ahead of the shop: what the shop tells of happens there at its present time.
            told.occurred_at if present.moment() is None else ctx.services.clock(),
            source=source,
        )
        try:
            recorded = await record_order(ctx, order)
        except NotFound:
            continue
        is_refunded = refunded > 0 and await refund_to(ctx, recorded.row, refunded) is not None
        return OrderAnswer(status="recorded" if recorded.is_new else "refunded" if is_refunded else "known")
    return _ignored("No contact has the phone or e-mail address of the buyer.")


async def _refund(ctx: Context, order_id: str, refunded: int) -> OrderAnswer:
    row = await scoped(ctx, Conversion).filter(order_id=order_id).first()
    if row is None:
        return _ignored("The order is not recorded.")
    changed = refunded > 0 and await refund_to(ctx, row, refunded) is not None
    return OrderAnswer(status="refunded" if changed else "known")


def _contacts(told: orders.Order) -> Iterable[tuple[str, object]]:
    """Yield how the buyer may be found, phones first; what is no phone or address is left out."""
    for text in told.phones:
        try:
            yield "phone", canonical(parse_phone(text.replace(" ", ""), param="phone").e164)
        except InvalidRequest:
            continue
    for text in told.emails:
        try:
            yield "email", read_email(text).lower()
        except InvalidRequest:
            continue
