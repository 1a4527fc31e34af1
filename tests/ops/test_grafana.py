"""The dashboard for Grafana: its queries are answered by what /metrics really says."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from msvs.ops.metric_families import BILLING
from tests.ops.promql import Vector, evaluate, parse_scrape
from tests.ops.test_alerts import WELL, exposition, scrape

__all__ = ["exposition", "scrape"]

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "deploy/grafana/massivesms.json").read_text()
)
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
TARGETS = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
# Prometheus adds it to each series.
ADDED = {"instance", "job"}
STEP = 15.0
# The tests' own service has refused nothing yet.
REFUSED = {
    f'msvs_http_requests_total{{method="POST",route="/v1/messages",status="{status}"}}': 1 for status in (402, 500)
}


def names(exposition: str) -> set[str]:
    """The families of /metrics: also those that have no series in the tests' own service."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", exposition, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found | {f"msvs_{name}" for name in BILLING}


def queried(expression: str) -> set[str]:
    return set(re.findall(r"\bmsvs_\w+", expression))


@pytest.mark.parametrize(("expression", "legend"), TARGETS, ids=[expression for expression, _ in TARGETS])
async def test_a_query_is_answered(expression: str, legend: str, exposition: str, scrape: Vector) -> None:
    assert queried(expression) <= names(exposition)
    series = scrape | parse_scrape("".join(f"{name} {value}\n" for name, value in (WELL | REFUSED).items()))
    # Counters grow, so that a rate is a number.
    scrapes = {at * STEP: {labels: value + at for labels, value in series.items()} for at in range(41)}
    answer = evaluate(expression, scrapes, 40 * STEP)
    own = {labels for labels in series if dict(labels)["__name__"] in queried(expression)}
    assert bool(answer) == bool(own), "no series is selected"
    labelled = set(re.findall(r"\{\{(\w+)\}\}", legend)) - ADDED
    for labels in answer:
        assert labelled <= dict(labels).keys()


async def test_every_metric_is_shown(exposition: str) -> None:
    shown = set().union(*(queried(expression) for expression, _ in TARGETS))
    families = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in names(exposition)}
    shown = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in shown}
    assert {name for name in families if name.startswith("msvs_")} - shown == set()


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    assert all(panel["description"].endswith(".") for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for one, other in combinations((panel["gridPos"] for panel in DASHBOARD["panels"]), 2):
        is_apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert is_apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_the_dashboard_asks_the_chosen_prometheus() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["query"]) == ("datasource", "prometheus")
    sources = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert sources == {"${datasource}"}
