"""The application, as the GraphQL tests run it."""

from __future__ import annotations

from tests.graphql_api.conftest import app as app
