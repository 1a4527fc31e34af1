"""The alert rules: each fires on what /metrics says when its trouble lasts, and none on what mends itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from msvs.app import create_app
from msvs.carriers import registry
from msvs.ops.metric_families import BILLING
from msvs.settings import Settings
from tests.engines import Engines
from tests.ops.promql import Vector, evaluate, parse_scrape, seconds
from tests.workers.sessions_carrier import KIND, FileCarrier

RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((Path(__file__).resolve().parents[2] / "docs/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
TOKEN = "prometheus-of-cohort-labs"
STEP = 15.0
LASTS = 3600.0
# Of a service that is well, beside what the scrape of the tests' own has.
WELL = {
    'up{job="massivesms"}': 1.0,
    'msvs_webhook_endpoints{state="well",reason=""}': 20.0,
    'msvs_webhook_endpoints{state="failing",reason=""}': 1.0,
    'msvs_webhook_endpoints{state="disabled",reason="failing"}': 3.0,
    'msvs_campaigns{mode="live",status="paused",reason="insufficient_credits"}': 2.0,
    "msvs_crons": 1.0,
    'msvs_carrier_sessions{carrier="smsc",state="bound"}': 2.0,
    'msvs_carrier_sessions{carrier="smsc",state="wanted"}': 2.0,
    **{
        f'msvs_workers{{queue="{queue}"}}': 1.0
        for queue in ["messages", "campaigns", "reports", "webhooks", "mail", "imports", "maintenance"]
    },
}

Change = Callable[[float], dict[str, float]]


def steady(**series: float) -> Change:
    """The same from the beginning to the end."""
    return lambda _: {NAMES[name]: value for name, value in series.items()}


def growing(name: str, a_second: float) -> Change:
    return lambda time: {NAMES[name]: time * a_second}


def requests(*, failed: float, asked: float) -> Change:
    """So many requests a second, of which a share fails."""
    return lambda time: {
        NAMES["ok"]: time * asked * (1 - failed),
        NAMES["failed"]: time * asked * failed,
    }


def times(*, slow: float, asked: float) -> Change:
    return lambda time: {NAMES["quick"]: time * asked * (1 - slow), NAMES["all"]: time * asked}


NAMES = {
    "api": 'up{job="massivesms"}',
    "redis": 'msvs_up{engine="redis"}',
    "writable": "msvs_database_writable",
    "connections": 'msvs_database_connections{state="used"}',
    "most_connections": 'msvs_database_connections{state="most"}',
    "pool": 'msvs_database_pool{state="used"}',
    "most_pool": 'msvs_database_pool{state="most"}',
    "workers": 'msvs_workers{queue="reports"}',
    "crons": "msvs_crons",
    "overdue": 'msvs_messages_overdue_seconds{kind="single"}',
    "carrier_events": "msvs_carrier_events_overdue_seconds",
    "leases": "msvs_leases_expired",
    "breaker": 'msvs_carrier_breaker{carrier="smsc",state="open"}',
    "bound": 'msvs_carrier_sessions{carrier="smsc",state="bound"}',
    "webhooks": "msvs_webhook_deliveries_overdue_seconds",
    "mail": "msvs_mails_overdue_seconds",
    "mails_later": 'msvs_mails_waiting{state="later"}',
    "imports": "msvs_imports_overdue_seconds",
    "billing": "msvs_billing_overdue_seconds",
    "failing": 'msvs_webhook_endpoints{state="failing",reason=""}',
    "well": 'msvs_webhook_endpoints{state="well",reason=""}',
    "disabled": 'msvs_webhook_endpoints{state="disabled",reason="failing"}',
    "ok": 'msvs_http_requests_total{method="POST",route="/v1/messages",status="201"}',
    "failed": 'msvs_http_requests_total{method="POST",route="/v1/messages",status="500"}',
    "quick": 'msvs_http_request_seconds_bucket{method="POST",route="/v1/messages",le="2.5"}',
    "all": 'msvs_http_request_seconds_bucket{method="POST",route="/v1/messages",le="+Inf"}',
    "jobs": 'msvs_jobs_failed{queue="messages"}',
}

FIRES: dict[str, Change] = {
    "MassiveSMSAway": steady(api=0),
    "MassiveSMSEngineAway": steady(redis=0),
    "MassiveSMSDatabaseNotWritable": steady(writable=0),
    "MassiveSMSConnectionsUsedUp": steady(connections=95, most_connections=100),
    "MassiveSMSPoolUsedUp": steady(pool=10, most_pool=10),
    "MassiveSMSNoWorker": steady(workers=0),
    "MassiveSMSNoCron": steady(crons=0),
    "MassiveSMSMessagesOverdue": steady(overdue=301),
    "MassiveSMSCarrierEventsOverdue": steady(carrier_events=301),
    "MassiveSMSLeasesExpired": steady(leases=1),
    "MassiveSMSCarrierOpen": steady(breaker=1),
    "MassiveSMSCarrierSessionsMissing": steady(bound=1),
    "MassiveSMSNoCarrierSession": steady(bound=0),
    "MassiveSMSWebhooksOverdue": steady(webhooks=601),
    "MassiveSMSMailOverdue": steady(mail=901),
    "MassiveSMSMailNotTaken": steady(mails_later=5),
    "MassiveSMSImportsOverdue": steady(imports=601),
    "MassiveSMSBillingOverdue": steady(billing=901),
    "MassiveSMSManyWebhooksFail": steady(failing=12, well=8),
    "MassiveSMSErrors": requests(failed=0.1, asked=5),
    "MassiveSMSSlow": times(slow=0.1, asked=5),
    "MassiveSMSJobsFail": growing("jobs", 0.01),
}

# What is not worth waking anybody for.
SILENT: dict[str, Change] = {
    "MassiveSMSConnectionsUsedUp": steady(connections=85, most_connections=100),
    "MassiveSMSPoolUsedUp": steady(pool=0, most_pool=0),
    "MassiveSMSMessagesOverdue": steady(overdue=200),
    "MassiveSMSLeasesExpired": lambda time: {NAMES["leases"]: float(time % 240 < 60)},
    "MassiveSMSMailOverdue": steady(mail=300),
    # Some addresses are greylisted.
    "MassiveSMSMailNotTaken": steady(mails_later=3),
    "MassiveSMSImportsOverdue": steady(imports=300),
    "MassiveSMSBillingOverdue": steady(billing=600),
    "MassiveSMSManyWebhooksFail": steady(failing=1, well=0, disabled=30),
    "MassiveSMSErrors": requests(failed=0.5, asked=0.1),
    "MassiveSMSSlow": times(slow=0.02, asked=50),
    "MassiveSMSJobsFail": steady(jobs=400),
    "MassiveSMSCarrierEventsOverdue": steady(carrier_events=120),
    "MassiveSMSWebhooksOverdue": steady(webhooks=300),
}


@pytest.fixture(scope="module")
async def exposition(database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What /metrics says of the tests' own service, with a carrier that has sessions, as it is when all is well."""
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "carriers.toml").write_text(f'[smsc]\nkind = "{KIND}"\nbook = "{folder / "book"}"\n')
    registry.KINDS[KIND] = FileCarrier  # type: ignore[index]
    app = create_app(
        Settings(
            database_url=database,
            redis_url=engines.redis_url,
            data_dir=folder,
            metrics_token=TOKEN,
            carriers=folder / "carriers.toml",
        )
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://msvs") as client:
        await client.get("/healthz")
        for _ in range(2):
            text = (await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text
    await app.state.readiness.close()
    del registry.KINDS[KIND]  # type: ignore[attr-defined]
    return text


@pytest.fixture(scope="module")
def scrape(exposition: str) -> Vector:
    """Its series."""
    return parse_scrape(exposition)


def firing(rule: dict[str, Any], scrape: Vector, change: Change, until: float = LASTS) -> bool:
    """Whether the rule fires while the change lasts, `until` at most, or after it."""
    scrapes = {}
    pending: float | None = None
    wait, at = seconds(rule["for"]), 0.0
    while at <= LASTS:
        changed = change(at) if at < until else {}
        series = "".join(f"{name} {value}\n" for name, value in (WELL | changed).items())
        scrapes[at] = scrape | parse_scrape(series)
        if not evaluate(rule["expr"], scrapes, at):
            pending = None
        else:
            pending = at if pending is None else pending
            if at - pending >= wait:
                return True
        at += STEP
    return False


def test_every_rule_has_a_case_and_says_what_to_do() -> None:
    assert RULES.keys() == FIRES.keys()
    for rule in RULES.values():
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize("name", RULES)
async def test_a_rule_names_what_metrics_has(name: str, scrape: Vector) -> None:
    """A rule over a sign that is never there would never fire."""
    there = {dict(labels)["__name__"] for labels in scrape} | {"up", "msvs_webhook_endpoints"}
    # Where credits are sold.
    there |= {f"msvs_{name}" for name in BILLING}
    assert set(re.findall(r"\b(?:msvs_\w+|up(?=\{))", RULES[name]["expr"])) <= there


@pytest.mark.parametrize("name", RULES)
async def test_an_alert_fires_while_its_trouble_lasts(name: str, scrape: Vector) -> None:
    assert firing(RULES[name], scrape, FIRES[name])


@pytest.mark.parametrize("name", RULES)
async def test_an_alert_is_silent_while_all_is_well(name: str, scrape: Vector) -> None:
    """One customer's endpoint fails, and another's campaigns wait for credits."""
    assert not firing(RULES[name], scrape, lambda _: {})


@pytest.mark.parametrize("name", RULES)
async def test_an_alert_is_silent_after_a_blip(name: str, scrape: Vector) -> None:
    assert not firing(RULES[name], scrape, FIRES[name], until=45.0)


@pytest.mark.parametrize("name", SILENT)
async def test_an_alert_is_silent_below_its_bound(name: str, scrape: Vector) -> None:
    assert not firing(RULES[name], scrape, SILENT[name])
