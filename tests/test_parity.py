"""What REST can do, GraphQL can: the matrix is what the code makes, and every gap in it has its reason."""

from __future__ import annotations

import pytest

from msvs.graphql.schema import schema
from msvs.rest_compat.endpoints import ENDPOINTS
from scripts import parity


def test_the_page_is_what_the_code_makes() -> None:
    assert parity.PAGE.read_text() == parity.page(), "run python -m scripts.parity"


def test_every_gap_has_a_reason_and_no_reason_is_left_over() -> None:
    needed, unexplained = parity.gaps()
    assert unexplained == []
    given = {f"{name} {front}" for front, reasons in _reasons() for name in reasons}
    assert given <= needed.keys(), "no longer needed"
    assert parity.PARTS.keys() <= set(parity.operations())
    assert {each.partition(".")[0] for each in parity.operations()} >= set(parity.FOR_PEOPLE)


def test_every_route_and_every_mutation_reaches_an_operation() -> None:
    routes = set().union(*parity.rest().values())
    assert {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS} == routes
    mutation = schema._schema.mutation_type
    assert mutation is not None
    assert mutation.fields.keys() <= set().union(*parity.graphql().values())


@pytest.mark.parametrize("label", [*parity.READ_BY_LOADER.values(), *parity.LISTED_BY_LOADER.values()])
def test_what_a_loader_reads_is_a_field(label: str) -> None:
    owner, _, name = label.rpartition(".")
    kind = schema._schema.type_map[owner or "Query"]
    assert name in kind.fields  # type: ignore[attr-defined]


def test_a_call_through_a_helper_is_found() -> None:
    assert "campaigns.pause_campaign" in parity.reached("msvs.graphql.campaigns", "CampaignMutation.pause_campaign")
    assert "campaigns.campaign_stats" in parity.reached("msvs.rest_compat.campaigns", "pause")
    assert "messages.send_message" not in parity.reached("msvs.rest_compat.messages", "retrieve")


def _reasons() -> tuple[tuple[str, dict[str, str]], ...]:
    return (("REST", dict(parity.NO_REST)), ("GraphQL", dict(parity.NO_GRAPHQL)))
