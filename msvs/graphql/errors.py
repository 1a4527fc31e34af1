"""Errors: members of a mutation's union if the caller can act on them, otherwise entries of `errors`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cache
from typing import TypeVar

import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType
from strawberry import ID
from strawberry.types.union import StrawberryUnion
from strawberry.utils.str_converters import to_camel_case, to_snake_case

from msvs.api.context import Context
from msvs.api.errors import (
    ApiError,
    AuthenticationFailed,
    ComplianceRefused,
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    RateLimited,
)
from msvs.api.idempotency import IdempotencyKeyInUse, IdempotencyKeyRefused
from msvs.api.permissions import allow, is_read, require_confirmed
from msvs.api.unit_of_work import in_unit_of_work
from msvs.graphql.context import Info
from msvs.graphql.permissions import MUTATIONS
from msvs.http.errors import as_api_error
from msvs.json_types import JSON

T = TypeVar("T")

RETRY_AFTER_SECONDS = 1
MAX_MESSAGE = 500
# Below these, the parts of a parameter's path are the caller's own keys.
OWN_KEYS = frozenset(("variables", "attributes", "metadata", "filter", "mapping"))
# What a message quotes is the caller's; any other word with an underscore may be a parameter's name.
_QUOTED_OR_NAME = re.compile(r"'[^']*'|\b[a-z]+(?:_[a-z]+)+\b")


@strawberry.interface(
    description="The reason why a mutation changed nothing, with the error codes of the REST API."
    " Select this interface to handle every kind of error."
)
class Error:
    code: str = strawberry.field(description="A stable code, such as `phone_number_invalid`.")
    message: str = strawberry.field(description="What is wrong, in English.")
    param: str | None = strawberry.field(
        description="The path of the input that caused the error, such as `audience.listIds[0]`; null if there is none."
    )


@strawberry.type(description="An input is missing, malformed or out of range.")
class InvalidRequestError(Error):
    pass


@strawberry.type(description="The resource does not exist in this workspace and mode.")
class NotFoundError(Error):
    pass


@strawberry.type(description="Authentication failed.")
class AuthenticationError(Error):
    pass


@strawberry.type(description="The balance is too low.")
class PaymentRequiredError(Error):
    required: int | None = strawberry.field(description="The credits that are needed; null if unknown.")
    available: int | None = strawberry.field(description="The credits that are available; null if unknown.")


@strawberry.type(description="Refused by law or policy: a region, a number type, a recipient who opted out, or a cap.")
class ComplianceError(Error):
    resets_at: datetime | None = strawberry.field(
        default=None, description="When the cap that was reached starts again; null for other errors."
    )


@strawberry.type(description="The current state does not allow it.")
class ConflictError(Error):
    existing_id: strawberry.ID | None = strawberry.field(
        description="The id of the existing resource; null for other conflicts."
    )
    opted_out_at: datetime | None = strawberry.field(
        default=None, description="When the phone opted out; null for other conflicts."
    )


@strawberry.type(name="PermissionError", description="The caller does not have permission.")
class PermissionRefusedError(Error):
    pass


@strawberry.type(description="Too many requests.")
class RateLimitError(Error):
    retry_after: int = strawberry.field(description="Whole seconds to wait before trying again.")


@strawberry.type(
    description="The idempotency key is malformed, was used for another request, or is in use at the moment."
)
class IdempotencyError(Error):
    retry_after: int | None = strawberry.field(
        description="Whole seconds to wait before trying again; null if waiting does not help."
    )


def typed_error(error: ApiError) -> Error | None:
    """Return the member of a result that stands for `error`, or None if it has none."""
    code, message, param = error.code, spoken(error), input_path(error.param)
    match error:
        case NotFound():
            return NotFoundError(code=code, message=message, param=param)
        case InvalidRequest():
            return InvalidRequestError(code=code, message=message, param=param)
        case AuthenticationFailed():
            return AuthenticationError(code=code, message=message, param=param)
        case PaymentRequired():
            details = error.details
            return PaymentRequiredError(
                code=code,
                message=message,
                param=param,
                required=_number(details.get("required")),
                available=_number(details.get("available")),
            )
        case PermissionDenied():
            return PermissionRefusedError(code=code, message=message, param=param)
        case Conflict():
            return ConflictError(
                code=code,
                message=message,
                param=param,
                existing_id=_id(error.details.get("existing_id")),
                opted_out_at=_time(error.details.get("opted_out_at")),
            )
        case ComplianceRefused():
            resets_at = _time(error.details.get("resets_at"))
            return ComplianceError(code=code, message=message, param=param, resets_at=resets_at)
        case RateLimited():
            return RateLimitError(code=code, message=message, param=param, retry_after=error.retry_after or 1)
        case IdempotencyKeyRefused() | IdempotencyKeyInUse():
            return IdempotencyError(code=code, message=message, param=param, retry_after=error.retry_after)
    return None


def _id(value: JSON) -> ID | None:
    return ID(value) if isinstance(value, str) else None


def _number(value: JSON) -> int | None:
    return value if isinstance(value, int) else None


def _time(value: JSON) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def check_allowed(info: Info) -> None:
    """Refuse a caller who may not run this mutation. Raises PermissionDenied."""
    ctx, permission = info.context.ctx, MUTATIONS[info.field_name]
    allow(ctx, permission)
    if ctx.livemode and not is_read(permission):
        require_confirmed(ctx)


async def mutate(info: Info, operation: Callable[[Context], Awaitable[T]], shape: Callable[[T], object]) -> object:
    """Run a mutation's operation, if the caller may, in a unit of work of its own; its result or its error.

    An error that the field's result does not name is raised.
    """
    request = info.context
    try:
        check_allowed(info)
        done = await in_unit_of_work(lambda: operation(request.ctx))
    except ApiError as error:
        return as_member(info, error)
    finally:
        request.forget()
    return shape(done)


def as_member(info: Info, error: ApiError) -> Error:
    """`error` as a member of the field's result. Raises it where the result has no such member."""
    member = typed_error(error)
    result = info.return_type
    if member is None or not isinstance(result, StrawberryUnion) or type(member) not in result.types:
        raise error
    return member


def input_path(param: str | None) -> str | None:
    """Return a parameter's path in the names that inputs have here: `audience.list_ids[0]` → `audience.listIds[0]`."""
    if param is None:
        return None
    parts = param.split(".")
    kept = next((index for index, part in enumerate(parts) if part in OWN_KEYS), len(parts))
    return ".".join([*map(to_camel_case, parts[: kept + 1]), *parts[kept + 1 :]])


def spoken(error: ApiError) -> str:
    """Return an error's message with parameters named as inputs have them here: `list_ids` → `listIds`."""
    if error.param is not None and not OWN_KEYS.isdisjoint(re.split(r"[.\[]", error.param)):
        return error.message
    names = _input_names()
    return _QUOTED_OR_NAME.sub(lambda found: names.get(found[0], found[0]), error.message)


@cache
def _input_names() -> dict[str, str]:
    """Return the names of all arguments and fields of inputs, by those that REST has."""
    # Late: the schema is made of types that this module defines.
    from msvs.graphql.schema import schema

    found: set[str] = set()
    for kind in schema._schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            found.update(kind.fields)
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            found.update(name for field in kind.fields.values() for name in field.args)
    return {to_snake_case(name): name for name in found}


def error_entry(error: ApiError, request_id: str | None) -> dict[str, object]:
    """Return an entry of `errors` for an error of ours."""
    extensions: dict[str, object] = {"code": error.code, "type": error.type, "requestId": request_id}
    if error.param is not None:
        extensions["param"] = input_path(error.param)
    if error.retry_after is not None:
        extensions["retryAfter"] = error.retry_after
    for name, value in error.details.items():
        extensions[to_camel_case(name)] = value
    return {"message": spoken(error), "extensions": extensions}


def execution_entry(error: GraphQLError, request_id: str | None) -> tuple[dict[str, object], ApiError | None]:
    """Return an entry of `errors` for what a field raised or the executor refused, and the error to log if ours."""
    places: dict[str, object] = {}
    if error.locations:
        places["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is None:
        refusal = InvalidRequest(error.message[:MAX_MESSAGE], code=ErrorCode.VARIABLES_INVALID)
        return {**error_entry(refusal, request_id), **places}, None
    places["path"] = list(error.path)
    original = error.original_error
    if original is None:
        # The executor's own: a null where none may be, or a value that its type cannot hold.
        told = ApiError("Something went wrong on our side; it has been logged under this request's id.")
    else:
        told = as_api_error(original)
    return {**error_entry(told, request_id), **places}, told if told.status >= 500 else None
