"""The application and clients of it, as the tests of /v1 make them."""

from __future__ import annotations

from tests.rest_compat.conftest import anonymous, api, app, client, echo, seen

__all__ = ["anonymous", "api", "app", "client", "echo", "seen"]
