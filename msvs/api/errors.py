"""The one tree of errors that operations raise and each front renders."""

from __future__ import annotations

from typing import Any, ClassVar


class ApiError(Exception):
    """An error with a public shape: status, type, code, message and, where it has one, the parameter."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after
        self.details = details


class InvalidRequest(ApiError):
    """400: the request is malformed or a parameter is missing, unknown or out of range."""

    status = 400
    type = "invalid_request_error"
    default_code = "parameter_invalid"


class AuthenticationFailed(ApiError):
    """401: no API key, or one that is unknown, expired or revoked."""

    status = 401
    type = "authentication_error"
    default_code = "api_key_invalid"


class PaymentRequired(ApiError):
    """402: the balance does not cover the request; carries `required` and `available` credits."""

    status = 402
    type = "payment_required_error"
    default_code = "insufficient_credits"


class PermissionDenied(ApiError):
    """403: the caller is known but may not do this."""

    status = 403
    type = "permission_error"
    default_code = "permission_denied"


class NotFound(ApiError):
    """404: there is no such resource in the caller's workspace and mode."""

    status = 404
    type = "invalid_request_error"
    default_code = "resource_missing"


class Conflict(ApiError):
    """409: the resource's state does not allow this."""

    status = 409
    type = "conflict_error"
    default_code = "state_conflict"


class ComplianceRefused(ApiError):
    """422: law or policy forbids it."""

    status = 422
    type = "compliance_error"
    default_code = "compliance_refused"


class RateLimited(ApiError):
    """429: the workspace's bucket is empty; carries Retry-After."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class Unavailable(ApiError):
    """503: a part of the service is away; retry after a moment."""

    status = 503
    type = "api_error"
    default_code = "service_unavailable"


# What every front over HTTP meets before it reaches an operation.


class RouteUnknown(NotFound):
    """404: no such path."""

    default_code = "route_unknown"


class MethodNotAllowed(InvalidRequest):
    """405: the path exists, but not for this method; carries Allow."""

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(InvalidRequest):
    """408: the body did not arrive in time."""

    status = 408
    default_code = "request_timeout"


class RequestTooLarge(InvalidRequest):
    """413: the body is too large."""

    status = 413
    default_code = "request_too_large"


class ContentTypeUnsupported(InvalidRequest):
    """415: the body is not of the type that is taken, in UTF-8."""

    status = 415
    default_code = "content_type_unsupported"


class JsonInvalid(InvalidRequest):
    """400: the body is not a strict JSON object."""

    default_code = "json_invalid"
