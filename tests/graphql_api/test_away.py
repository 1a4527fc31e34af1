"""Both APIs take the same errors for a database that is away for a moment."""

from __future__ import annotations

import asyncpg
import pytest

from msvs.graphql import errors as graphql_errors
from msvs.http import errors as http_errors


@pytest.mark.parametrize("error", http_errors._AWAY, ids=lambda error: error.__name__)
def test_what_rest_takes_for_an_absent_database_graphql_does_too(error: type[Exception]) -> None:
    told = graphql_errors.as_api_error(error("away"))
    assert (told.status, told.code, told.retry_after) == (503, "service_unavailable", 1)


def test_a_statement_of_before_a_migration_may_be_asked_again() -> None:
    assert http_errors.as_api_error(asyncpg.InvalidCachedStatementError("away")).status == 503
