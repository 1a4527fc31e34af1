"""The official Python library of the MassiveSMS API."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from massivesms._version import API_VERSION, VERSION

if TYPE_CHECKING:
    from massivesms import errors, testing, types, webhooks
    from massivesms._model import Model, Response
    from massivesms._options import NOT_GIVEN, NotGiven, RequestOptions
    from massivesms._pages import AsyncPage, AsyncPager, Page
    from massivesms.client import AsyncMassiveSMS, MassiveSMS
    from massivesms.errors import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        ComplianceError,
        ConfigurationError,
        ConflictError,
        IdempotencyError,
        InvalidPayloadError,
        InvalidRequestError,
        InvalidResponseError,
        MassiveSMSError,
        PaymentRequiredError,
        PermissionDeniedError,
        RateLimitError,
        ServerError,
        SignatureVerificationError,
    )

__version__ = VERSION
__all__ = [
    "API_VERSION",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncMassiveSMS",
    "AsyncPage",
    "AsyncPager",
    "AuthenticationError",
    "ComplianceError",
    "ConfigurationError",
    "ConflictError",
    "IdempotencyError",
    "InvalidPayloadError",
    "InvalidRequestError",
    "InvalidResponseError",
    "MassiveSMS",
    "MassiveSMSError",
    "Model",
    "NotGiven",
    "Page",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestOptions",
    "Response",
    "ServerError",
    "SignatureVerificationError",
    "errors",
    "testing",
    "types",
    "webhooks",
]

# Loaded when they are first used, so that importing the package takes no time.
_modules = ("errors", "testing", "types", "webhooks")
_homes = {
    "MassiveSMS": "client",
    "AsyncMassiveSMS": "client",
    "Model": "_model",
    "Response": "_model",
    "NOT_GIVEN": "_options",
    "NotGiven": "_options",
    "RequestOptions": "_options",
    "Page": "_pages",
    "AsyncPage": "_pages",
    "AsyncPager": "_pages",
}


def __getattr__(name: str) -> Any:
    if name in _modules:
        return importlib.import_module(f"massivesms.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'massivesms' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"massivesms.{_homes.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
