"""Measure the p95 of pages and searches among millions of contacts."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from bench.engines import Bench, bench
from bench.rows import timed
from msvs import database as db
from msvs.api import ids
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import ListContacts
from msvs.api.context import Context
from msvs.api.pages import PageRequest
from msvs.models import ContactList
from tests.services import SERVICES

SLICE = 50_000
# A tenth of the rows belong to other workspaces. The frequency of names ranges from one in five to one in 100,000.
FILL = """
INSERT INTO contacts (id, workspace_id, livemode, phone, region, number_kind, first_name, last_name, email,
    external_id, attributes, opt_in_status, opt_in_source, opt_in_at, created_at, updated_at)
SELECT overlay(id_floor(at)::text placing right(gen_random_uuid()::text, 22) from 15)::uuid,
    CASE WHEN n % 10 = 7 THEN md5((n % 97)::text)::uuid ELSE $3::uuid END, true, '+1' || (2010000000 + n * 7)::text,
    'US', 'mobile', (ARRAY['Maria', 'John', 'Lucia', 'Peter', 'José'])[1 + n % 5],
    CASE WHEN n % 1000 = 0 THEN 'Okafor' WHEN n % 100000 = 1 THEN 'Zsigmond' ELSE 'Silva' || n END,
    'm' || n || '@example.com', 'crm-' || n,
    jsonb_build_object('tier', CASE WHEN n % 20000 = 0 THEN 'vip' ELSE 'free' END, 'points', n % 100),
    CASE WHEN n % 50000 = 3 THEN 'pending' ELSE 'opted_in' END, 'webinar', at, at, at
FROM (
    SELECT n, now() - interval '300 days' * (1 - n::float8 / $4) AS at FROM generate_series($1::bigint, $2::bigint) AS n
) AS rows
"""
# The oldest contacts, so that a scan from the newest meets them last.
JOIN = """
INSERT INTO list_members (id, list_id, contact_id, created_at)
SELECT gen_random_uuid(), $1, id, now() FROM (
    SELECT id FROM contacts WHERE workspace_id = $2 AND livemode ORDER BY id LIMIT 1000
) AS oldest
"""
SEARCHES: Mapping[str, dict[str, Any]] = {
    "a name that one in five has": {"search": "maria"},
    "a name with accents": {"search": "jose"},
    "a name that one in a thousand has": {"search": "okafor"},
    "a name that few have": {"search": "zsigmond"},
    "a name that nobody has": {"search": "nobody at all"},
    "a part of one address": {"search": "m123456@exam"},
    "what every address has": {"search": "example.com"},
    "a phone as it is written": {"search": "(201) 007-0007"},
    "the last digits of a phone": {"search": "0007"},
    "an attribute that few have": {"attributes": {"tier": "vip"}},
    "words of two letters": {"search": "zs"},
}
PAGES: Mapping[str, dict[str, Any]] = {
    "newest": {},
    "opted in": {"opt_in_status": "opted_in"},
    "pending": {"opt_in_status": "pending"},
}


async def fill(place: Bench, rows: int) -> float:
    """Insert the contacts. Return the seconds."""
    start = time.perf_counter()
    for first in range(0, rows, SLICE):
        await db.execute(FILL, first, min(first + SLICE, rows) - 1, place.workspace_id, rows, timeout=600)
    # As maintenance does.
    await db.execute("SELECT gin_clean_pending_list('contacts_search')", timeout=600)
    await db.execute("ANALYZE contacts", timeout=600)
    return time.perf_counter() - start


async def run(place: Bench, rows: int) -> dict[str, float]:
    """Measure pages and searches among `rows` contacts."""
    figures: dict[str, float] = {"rows": float(rows)}
    async with place.connected():
        figures["filled_s"] = await fill(place, rows)
        ctx = Context(place.workspace_id, True, services=SERVICES)
        row = await ContactList.create(workspace_id=place.workspace_id, livemode=True, name="Oldest")
        await db.execute(JOIN, row.id, place.workspace_id)
        await db.execute("VACUUM ANALYZE list_members")
        pages = {**PAGES, "a list of the oldest": {"list_id": ids.encode_id(ids.CONTACT_LIST, row.id)}}
        for kind, asked in (("page", pages), ("search", SEARCHES)):
            for name, which in asked.items():
                took = await timed(lambda which=which: list_matching(ctx, PageRequest(20), ListContacts(**which)))  # type: ignore[misc]
                figures[f"{kind}: {name}, p95 ms"] = took["p95_ms"]
            figures[f"{kind}_p95_ms"] = max(v for name, v in figures.items() if name.startswith(f"{kind}: "))
    return figures


def measure(place: Bench, rows: int) -> dict[str, float]:
    """Run the measurement among `rows` contacts."""
    return asyncio.run(run(place, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    with bench() as place:
        print(json.dumps(measure(place, parser.parse_args().rows), indent=2))
