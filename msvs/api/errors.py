"""The tree of errors that operations raise and fronts render."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar

from msgspec import UNSET, UnsetType

from msvs.json_types import JSON


class ErrorCode(StrEnum):
    """Codes of `error.code`; the catalogue says when each comes and what to do."""

    HTTP_INVALID = "http_invalid"
    JSON_INVALID = "json_invalid"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    NOT_ACCEPTABLE = "not_acceptable"
    HOST_UNKNOWN = "host_unknown"
    HEADERS_TOO_LARGE = "headers_too_large"
    ROUTE_UNKNOWN = "route_unknown"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CALLBACK_INVALID = "callback_invalid"
    CALLBACK_REFUSED = "callback_refused"
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_UNKNOWN = "parameter_unknown"
    PARAMETER_INVALID = "parameter_invalid"
    PARAMETER_OUT_OF_RANGE = "parameter_out_of_range"
    ID_INVALID = "id_invalid"
    CURSOR_INVALID = "cursor_invalid"
    CURSOR_CONFLICT = "cursor_conflict"
    RESOURCE_MISSING = "resource_missing"
    PHONE_NUMBER_INVALID = "phone_number_invalid"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    NO_ROUTE = "no_route"
    SENDER_INVALID = "sender_invalid"
    BODY_EMPTY = "body_empty"
    BODY_TOO_LONG = "body_too_long"
    TEMPLATE_INVALID = "template_invalid"
    VARIABLE_BLANK = "variable_blank"
    VARIABLE_MISSING = "variable_missing"
    SCHEDULED_AT_PAST = "scheduled_at_past"
    SCHEDULED_AT_TOO_FAR = "scheduled_at_too_far"
    EXPIRES_AT_PAST = "expires_at_past"
    PACE_CONFLICT = "pace_conflict"
    CARRIER_NOT_CONFIGURED = "carrier_not_configured"
    CAMPAIGN_TERMINAL = "campaign_terminal"
    CAMPAIGN_NOT_PAUSED = "campaign_not_paused"
    CAMPAIGN_DRAFT = "campaign_draft"
    CAMPAIGN_NOT_DRAFT = "campaign_not_draft"
    CAMPAIGN_BEGUN = "campaign_begun"
    CAMPAIGN_NOT_ENDED = "campaign_not_ended"
    AB_TEST_STATE = "ab_test_state"
    CAMPAIGN_OF_SEQUENCE = "campaign_of_sequence"
    SEQUENCE_STATE = "sequence_state"
    SEQUENCE_ENTERED = "sequence_entered"
    CONVERSION_EXISTS = "conversion_exists"
    VERSION_CONFLICT = "version_conflict"
    CONTACT_EXISTS = "contact_exists"
    CONTACT_OPTED_OUT = "contact_opted_out"
    OPT_IN_REVOKED = "opt_in_revoked"
    ERASURE_PENDING = "erasure_pending"
    MESSAGE_IN_PROGRESS = "message_in_progress"
    SUPPRESSION_EXISTS = "suppression_exists"
    EMAIL_INVALID = "email_invalid"
    IP_INVALID = "ip_invalid"
    LIST_SYNCED = "list_synced"
    LIST_NOT_SYNCED = "list_not_synced"
    SOURCE_STATE = "source_state"
    SOURCE_LIMIT = "source_limit"
    SOURCE_PAUSED = "source_paused"
    ADDRESS_EXPIRED = "address_expired"
    EXPORT_LIMIT = "export_limit"
    BULK_ACTION_LIMIT = "bulk_action_limit"
    IMPORT_STATE = "import_state"
    IMPORT_OFFSET_WRONG = "import_offset_wrong"
    KEYWORD_RESERVED = "keyword_reserved"
    KEYWORD_EXISTS = "keyword_exists"
    CANNED_ANSWER_EXISTS = "canned_answer_exists"
    SAVED_VIEW_EXISTS = "saved_view_exists"
    APPROVAL_REQUIRED = "approval_required"
    APPROVAL_DECIDED = "approval_decided"
    APPROVAL_OWN = "approval_own"
    APPROVERS_MISSING = "approvers_missing"
    TEMPLATE_EXISTS = "template_exists"
    SNIPPET_EXISTS = "snippet_exists"
    SAVED_VIEW_LIMIT = "saved_view_limit"
    FIELD_UNKNOWN = "field_unknown"
    FILTER_TOO_DEEP = "filter_too_deep"
    FILTER_TOO_LARGE = "filter_too_large"
    TIME_INVALID = "time_invalid"
    DATE_INVALID = "date_invalid"
    TIMEZONE_INVALID = "timezone_invalid"
    URL_INVALID = "url_invalid"
    EVENTS_EMPTY = "events_empty"
    EVENT_UNKNOWN = "event_unknown"
    WEBHOOK_SECRET_INVALID = "webhook_secret_invalid"  # noqa: S105
    WEBHOOK_SECRET_NOT_STANDARD = "webhook_secret_not_standard"  # noqa: S105
    WEBHOOK_LIMIT = "webhook_limit"
    ORDER_HOOK_LIMIT = "order_hook_limit"
    WEBHOOK_EXISTS = "webhook_exists"
    WEBHOOK_DISABLED = "webhook_disabled"
    API_KEY_MISSING = "api_key_missing"
    API_KEY_MALFORMED = "api_key_malformed"
    API_KEY_INVALID = "api_key_invalid"
    API_KEY_REVOKED = "api_key_revoked"
    API_KEY_EXPIRED = "api_key_expired"
    WORKSPACE_SUSPENDED = "workspace_suspended"
    WORKSPACE_DELETING = "workspace_deleting"
    WORKSPACE_NOT_DELETING = "workspace_not_deleting"
    SIGN_UP_CLOSED = "sign_up_closed"
    SCOPE_MISSING = "scope_missing"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    LIMIT_NOT_LIFTED = "limit_not_lifted"
    SANDBOX_ONLY = "sandbox_only"
    TEST_CLOCK_EXISTS = "test_clock_exists"
    TEST_CLOCK_ADVANCING = "test_clock_advancing"
    LIVE_ONLY = "live_only"
    BILLING_CLOSED = "billing_closed"
    PACK_UNKNOWN = "pack_unknown"
    CARD_MISSING = "card_missing"
    PAYMENTS_UNAVAILABLE = "payments_unavailable"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    REGION_BLOCKED = "region_blocked"
    NUMBER_TYPE_BLOCKED = "number_type_blocked"
    REGION_NOT_ENABLED = "region_not_enabled"
    DAILY_CAP_REACHED = "daily_cap_reached"
    PREFIX_VELOCITY_EXCEEDED = "prefix_velocity_exceeded"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INTERNAL_ERROR = "internal_error"
    SERVICE_UNAVAILABLE = "service_unavailable"
    NOT_READY = "not_ready"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use"
    VARIABLES_INVALID = "variables_invalid"
    BATCH_REFUSED = "batch_refused"
    DOCUMENT_TOO_LARGE = "document_too_large"
    DOCUMENT_INVALID = "document_invalid"
    DOCUMENT_TOO_DEEP = "document_too_deep"
    FRAGMENT_CYCLE = "fragment_cycle"
    COST_TOO_HIGH = "cost_too_high"
    INTROSPECTION_OFF = "introspection_off"
    SUBSCRIPTION_TOO_SLOW = "subscription_too_slow"
    CURSOR_TOO_OLD = "cursor_too_old"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"
    OPERATION_UNKNOWN = "operation_unknown"
    PERSISTED_QUERY_NOT_SUPPORTED = "persisted_query_not_supported"
    OPERATION_NOT_KEPT = "operation_not_kept"
    PASSWORD_LENGTH = "password_length"  # noqa: S105
    PASSWORD_WEAK = "password_weak"  # noqa: S105
    PASSWORD_WRONG = "password_wrong"  # noqa: S105
    LOGIN_INVALID = "login_invalid"
    SESSION_INVALID = "session_invalid"
    CSRF_INVALID = "csrf_invalid"
    ORIGIN_REFUSED = "origin_refused"
    WORKSPACE_REQUIRED = "workspace_required"
    SIGN_UP_THROTTLED = "sign_up_throttled"
    MAIL_THROTTLED = "mail_throttled"
    EMAIL_UNCONFIRMED = "email_unconfirmed"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    SECOND_FACTOR_INVALID = "second_factor_invalid"
    SECOND_FACTOR_EXISTS = "second_factor_exists"
    SECOND_FACTOR_MISSING = "second_factor_missing"
    PERMISSION_DENIED = "permission_denied"
    INVITATION_FOR_ANOTHER = "invitation_for_another"
    INVITATION_INVALID = "invitation_invalid"
    LINK_INVALID = "link_invalid"
    EMAIL_TAKEN = "email_taken"
    MEMBER_EXISTS = "member_exists"
    LAST_OWNER = "last_owner"
    LOGIN_THROTTLED = "login_throttled"
    # Defaults of classes of which every error names a code of its own.
    STATE_CONFLICT = "state_conflict"
    COMPLIANCE_REFUSED = "compliance_refused"


class ApiError(Exception):
    """An error with a public shape: status, type, code, message and, where it has one, the parameter."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    default_code: ClassVar[ErrorCode] = ErrorCode.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        **details: JSON,
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
    default_code = ErrorCode.PARAMETER_INVALID


@contextmanager
def called(name: str, *, of: str) -> Iterator[None]:
    """Have refusals name the parameter `of` as this request does; without a `name`, its fields stand in nothing."""
    try:
        yield
    except InvalidRequest as error:
        param = error.param or ""
        if param == of or param.startswith((f"{of}.", f"{of}[")):
            error.param = f"{name}{param.removeprefix(of)}".removeprefix(".") or None
            error.message = re.sub(rf"\b{of}\b", name, error.message) if name else error.message.replace(f"{of}.", "")
        raise


class AuthenticationFailed(ApiError):
    """401: no API key, or one that is unknown, expired or revoked."""

    status = 401
    type = "authentication_error"
    default_code = ErrorCode.API_KEY_INVALID


class PaymentRequired(ApiError):
    """402: the balance does not cover the request; carries `required` and `available` credits."""

    status = 402
    type = "payment_required_error"
    default_code = ErrorCode.INSUFFICIENT_CREDITS


class PermissionDenied(ApiError):
    """403: the caller is known but may not do this."""

    status = 403
    type = "permission_error"
    default_code = ErrorCode.PERMISSION_DENIED


class NotFound(ApiError):
    """404: there is no such resource in the caller's workspace and mode."""

    status = 404
    type = "invalid_request_error"
    default_code = ErrorCode.RESOURCE_MISSING


class Conflict(ApiError):
    """409: the resource's state does not allow this."""

    status = 409
    type = "conflict_error"
    default_code = ErrorCode.STATE_CONFLICT


class ComplianceRefused(ApiError):
    """422: law or policy forbids it."""

    status = 422
    type = "compliance_error"
    default_code = ErrorCode.COMPLIANCE_REFUSED


class RateLimited(ApiError):
    """429: the workspace's bucket is empty; carries Retry-After."""

    status = 429
    type = "rate_limit_error"
    default_code = ErrorCode.RATE_LIMIT_EXCEEDED


class Unavailable(ApiError):
    """503: a part of the service is away; retry after a moment."""

    status = 503
    type = "api_error"
    default_code = ErrorCode.SERVICE_UNAVAILABLE


# What every front over HTTP meets before it reaches an operation.


class RouteUnknown(NotFound):
    """404: no such path."""

    default_code = ErrorCode.ROUTE_UNKNOWN


class MethodNotAllowed(InvalidRequest):
    """405: the path exists, but not for this method; carries Allow."""

    status = 405
    default_code = ErrorCode.METHOD_NOT_ALLOWED

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(InvalidRequest):
    """408: the body did not arrive in time."""

    status = 408
    default_code = ErrorCode.REQUEST_TIMEOUT


class RequestTooLarge(InvalidRequest):
    """413: the body is too large."""

    status = 413
    default_code = ErrorCode.REQUEST_TOO_LARGE


class ContentTypeUnsupported(InvalidRequest):
    """415: the body is not of the type that is taken, in UTF-8."""

    status = 415
    default_code = ErrorCode.CONTENT_TYPE_UNSUPPORTED


class NotAcceptable(InvalidRequest):
    """406: none of the types that the answer comes in is accepted."""

    status = 406
    default_code = ErrorCode.NOT_ACCEPTABLE


class JsonInvalid(InvalidRequest):
    """400: the body is not a strict JSON object."""

    default_code = ErrorCode.JSON_INVALID


def check_version(given: str | UnsetType, standing: str, noun: str) -> None:
    """Refuse a change of what somebody changed since it was read; a version that is not given is not asked for.

    Raises Conflict code `version_conflict`.
    """
    if given not in (UNSET, standing):
        raise Conflict(
            f"The {noun} was changed meanwhile: its version is {standing}.",
            code=ErrorCode.VERSION_CONFLICT,
            param="version",
        )
