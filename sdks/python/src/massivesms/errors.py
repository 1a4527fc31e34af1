"""Everything that is raised, with what is needed to act on it and to ask support about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class MassiveSMSError(Exception):
    """Base of all errors of this package."""

    idempotency_key: str | None = None
    """The key of the request, with which it can be made again safely."""
    tries: int = 0
    """How many times the request was made."""

    def __reduce__(self) -> Any:
        """Have pickle and copy keep all that an error tells, as queues of work do between processes."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[MassiveSMSError], args: tuple[Any, ...], told: Mapping[str, Any]) -> MassiveSMSError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(told)
    return error


class ConfigurationError(MassiveSMSError, ValueError):
    """A key, base URL, id or option cannot be used; no request was made."""


class APIConnectionError(MassiveSMSError):
    """No answer came: the connection was refused, reset or cut."""


class APITimeoutError(APIConnectionError):
    """The time-out of a try, or the deadline, passed."""


class InvalidResponseError(APIConnectionError):
    """A successful answer is not JSON, as of a proxy in between."""


class APIStatusError(MassiveSMSError):
    """An answer that tells an error; the base of one class for each type of error."""

    def __init__(
        self, message: str, *, status: int, headers: Mapping[str, str], body: bytes, error: Mapping[str, Any]
    ) -> None:
        self.message = message
        self.status = status
        self.headers = headers
        self.body = body
        self.type: str | None = error.get("type")
        self.code: str | None = error.get("code")
        self.param: str | None = error.get("param")
        self.request_id: str | None = error.get("request_id") or headers.get("x-request-id")
        self.doc_url: str | None = error.get("doc_url")
        self.required: int | None = error.get("required")
        self.available: int | None = error.get("available")
        self.resets_at: str | None = error.get("resets_at")
        self.existing_id: str | None = error.get("existing_id")
        self.opted_out_at: str | None = error.get("opted_out_at")
        self.scope: str | None = error.get("scope")
        self.retry_after: int | None = None
        super().__init__(message)

    def __str__(self) -> str:
        """Return the message with the code and the request id."""
        told = [self.code or str(self.status)]
        if self.request_id:
            told.append(f"request {self.request_id}")
        return f"{self.message} ({', '.join(told)})"

    def __repr__(self) -> str:
        """Name the class, status, code and request id."""
        return f"{type(self).__name__}(status={self.status}, code={self.code!r}, request_id={self.request_id!r})"


class AuthenticationError(APIStatusError):
    """The API key is missing, wrong, expired or revoked."""


class PermissionDeniedError(APIStatusError):
    """The API key may not do this."""


class InvalidRequestError(APIStatusError):
    """A parameter is wrong, or the resource does not exist."""


class PaymentRequiredError(APIStatusError):
    """The balance does not cover the request: see `required` and `available`."""


class ComplianceError(APIStatusError):
    """The law or a rule of a carrier forbids it."""


class ConflictError(APIStatusError):
    """The state of the resource is in the way."""


class IdempotencyError(APIStatusError):
    """The idempotency key is in use, or was used for another request."""


class RateLimitError(APIStatusError):
    """A limit is reached: see `retry_after` and `resets_at`."""


class ServerError(APIStatusError):
    """Something went wrong on the server's side."""


class SignatureVerificationError(MassiveSMSError):
    """A webhook's signature is missing, malformed, wrong, or too old: `reason` says which."""

    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class InvalidPayloadError(MassiveSMSError):
    """The body of a webhook is signed well and is no event."""


TYPES: Mapping[str, type[APIStatusError]] = {
    "api_error": ServerError,
    "authentication_error": AuthenticationError,
    "compliance_error": ComplianceError,
    "conflict_error": ConflictError,
    "idempotency_error": IdempotencyError,
    "invalid_request_error": InvalidRequestError,
    "payment_required_error": PaymentRequiredError,
    "permission_error": PermissionDeniedError,
    "rate_limit_error": RateLimitError,
}
STATUSES: Mapping[int, type[APIStatusError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: InvalidRequestError,
    409: ConflictError,
    422: ComplianceError,
    429: RateLimitError,
}
_texts = (
    "type",
    "code",
    "message",
    "param",
    "request_id",
    "doc_url",
    "resets_at",
    "existing_id",
    "opted_out_at",
    "scope",
)
_numbers = ("required", "available")


def from_answer(status: int, headers: Mapping[str, str], body: bytes, decoded: object) -> APIStatusError:
    """Return the error that an answer tells, also where its body is not the documented one."""
    inner = decoded.get("error") if isinstance(decoded, dict) else None
    told: dict[str, Any] = {}
    if isinstance(inner, dict):
        told = {key: value for key, value in inner.items() if isinstance(value, str) and key in _texts}
        told |= {key: inner[key] for key in _numbers if isinstance(inner.get(key), int)}
    if "type" in told:
        kind = TYPES.get(told["type"], APIStatusError)
    else:
        kind = STATUSES.get(status, ServerError if status >= 500 else APIStatusError)
    message = told.get("message") or f"The server answered {status}."
    error = kind(message, status=status, headers=headers, body=body, error=told)
    error.retry_after = retry_after(headers)
    return error


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Return the whole seconds of Retry-After, or None where there are none."""
    text = headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
