"""The dashboards for Grafana: their queries are answered by what /metrics really says."""

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

DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).resolve().parents[2] / "deploy/grafana").glob("*.json"))
}
PANELS: list[dict[str, Any]] = [
    each for dashboard in DASHBOARDS.values() for each in dashboard["panels"] if each["type"] != "row"
]
TARGETS = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
DISTINCT = list(dict.fromkeys(TARGETS))
# Prometheus adds it to each series.
ADDED = {"instance", "job"}
STEP = 15.0
# The tests' own service has refused nothing yet.
REFUSED = {
    f'msvs_http_requests_total{{method="POST",route="/v1/messages",status="{status}"}}': 1 for status in (402, 500)
}
# And no message was sent to it.
SENT = {
    f'msvs_http_request_seconds_bucket{{method="POST",route="/v1/messages",le="{le}"}}': count
    for le, count in (("0.005", 1), ("0.01", 3), ("+Inf", 4))
}


def names(exposition: str) -> set[str]:
    """The families of /metrics: also those that have no series in the tests' own service."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", exposition, re.MULTILINE):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found | {f"msvs_{name}" for name in BILLING}


def queried(expression: str) -> set[str]:
    return set(re.findall(r"\bmsvs_\w+", expression))


def test_there_is_a_dashboard_for_each_part() -> None:
    assert set(DASHBOARDS) == {"api", "campaigns", "database", "workers"}
    assert len({each["uid"] for each in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize(
    ("expression", "legend"), DISTINCT, ids=[f"{expression} {legend}" for expression, legend in DISTINCT]
)
async def test_a_query_is_answered(expression: str, legend: str, exposition: str, scrape: Vector) -> None:
    check(expression, legend, exposition, scrape)


def check(expression: str, legend: str, exposition: str, scrape: Vector) -> None:
    """Evaluate a query on what /metrics says, and hold the labels of its legend against the answer's."""
    assert queried(expression) <= names(exposition)
    series = scrape | parse_scrape("".join(f"{name} {value}\n" for name, value in (WELL | REFUSED | SENT).items()))
    # Counters grow, so that a rate is a number.
    scrapes = {at * STEP: {labels: value + at for labels, value in series.items()} for at in range(41)}
    answer = evaluate(expression, scrapes, 40 * STEP)
    own = {labels for labels in series if dict(labels)["__name__"] in queried(expression)}
    assert bool(answer) == bool(own), "no series is selected"
    labelled = set(re.findall(r"\{\{(\w+)\}\}", legend)) - ADDED
    for labels in answer:
        assert labelled <= dict(labels).keys()


@pytest.mark.parametrize(
    "expression",
    [
        "rate(msvs_http_requests_totals[5m])",
        "sum by (path) (rate(msvs_http_requests_total[5m]))",
        'msvs_database_pool{state="busy"}',
        "histogram_quantile(0.95, sum by (route) (rate(msvs_http_request_seconds_bucket[5m])))",
    ],
)
async def test_a_query_that_names_what_is_not_there_is_found(expression: str, exposition: str, scrape: Vector) -> None:
    with pytest.raises(AssertionError):
        check(expression, "{{path}}" if "path" in expression else "", exposition, scrape)


async def test_every_metric_is_shown(exposition: str) -> None:
    shown = set().union(*(queried(expression) for expression, _ in TARGETS))
    families = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in names(exposition)}
    shown = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in shown}
    assert {name for name in families if name.startswith("msvs_")} - shown == set()


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_panels_say_what_they_show_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert all(panel["description"].endswith(".") for panel in panels if panel["type"] != "row")
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        is_apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert is_apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_the_dashboards_ask_the_chosen_prometheus() -> None:
    for dashboard in DASHBOARDS.values():
        (variable,) = dashboard["templating"]["list"]
        assert (variable["name"], variable["query"]) == ("datasource", "prometheus")
    sources = {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    assert sources == {"${datasource}"}
