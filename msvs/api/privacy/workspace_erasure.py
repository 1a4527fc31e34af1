"""Erasing the data of deleted workspaces, in small steps.

What law demands stays: the ledger and purchases, the history of consent with its seals, and the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context, Services
from msvs.api.ids import WORKSPACE, encode_id
from msvs.api.resources import moment
from msvs.database import execute, fetch_value

OWN = "workspace_id = $1"
OF_TAGS = "tag_id IN (SELECT id FROM tags WHERE workspace_id = $1)"
OF_LISTS = "list_id IN (SELECT id FROM contact_lists WHERE workspace_id = $1)"
OF_CAMPAIGNS = "campaign_id IN (SELECT id FROM campaigns WHERE workspace_id = $1)"
OF_ENDPOINTS = "endpoint_id IN (SELECT id FROM webhook_endpoints WHERE workspace_id = $1)"
OF_IMPORTS = "import_id IN (SELECT id FROM contact_imports WHERE workspace_id = $1)"
OF_EXPORTS = "export_id IN (SELECT id FROM exports WHERE workspace_id = $1)"
OF_SOURCES = "source_id IN (SELECT id FROM list_sources WHERE workspace_id = $1)"
OF_READINGS = """reading_id IN (
    SELECT reading_id FROM contact_imports WHERE workspace_id = $1 AND reading_id IS NOT NULL
)"""

# Table → which rows of it go, those that belong to others before what they belong to.
ERASED: Mapping[str, str] = {
    "status_callbacks": OWN,
    "twilio_messages": OWN,
    "traces": OWN,
    "virtual_signals": OWN,
    "short_links": OWN,
    "campaign_recipients": OF_CAMPAIGNS,
    "campaign_tallies": OF_CAMPAIGNS,
    "click_tallies": OF_CAMPAIGNS,
    "conversion_tallies": OF_CAMPAIGNS,
    "conversions": OWN,
    "order_hooks": OWN,
    "preflights": OWN,
    "webhook_deliveries": OF_ENDPOINTS,
    "webhook_sequences": OF_ENDPOINTS,
    "webhook_positions": OF_ENDPOINTS,
    "webhook_attempts": OWN,
    "webhook_endpoints": OWN,
    "events": OWN,
    "inbound_messages": OWN,
    "campaigns": OWN,
    "sequence_entries": OWN,
    "sequence_triggers": OWN,
    "sequence_moves": OWN,
    "sequence_enrollments": OWN,
    "sequence_versions": OWN,
    "sequences": OWN,
    "import_chunks": OF_IMPORTS,
    "import_rows": OF_READINGS,
    "contact_imports": OWN,
    "export_chunks": OF_EXPORTS,
    "exports": OWN,
    "bulk_actions": OWN,
    "keywords": OWN,
    "opt_out_writes": OF_SOURCES,
    "source_lookups": OF_SOURCES,
    "hook_deliveries": OF_SOURCES,
    "source_erasures": OF_SOURCES,
    "source_people": OF_SOURCES,
    "list_syncs": OWN,
    "list_sources": OWN,
    "tag_members": OF_TAGS,
    "tags": OWN,
    "list_members": OF_LISTS,
    "contact_lists": OWN,
    "segments": OWN,
    "contact_notes": OWN,
    "thread_assignments": OWN,
    "canned_answers": OWN,
    "saved_views": OWN,
    "message_templates": OWN,
    "snippets": OWN,
    "suppressions": OWN,
    "contacts": OWN,
    "api_requests": OWN,
    "idempotency_records": OWN,
    "notifications": OWN,
    "prefix_usage": OWN,
    "carrier_scripts": OWN,
    "test_clocks": OWN,
    "auto_top_ups": OWN,
    "routes": OWN,
    "senders": OWN,
    "api_keys": OWN,
    "invitations": OWN,
    "memberships": OWN,
}
# What stays of a deleted workspace, with the reason.
KEPT: Mapping[str, str] = {
    "ledger_entries": "the books of credits",
    "credit_balances": "the books of credits",
    "credit_usage": "numbers of the books alone",
    "purchases": "invoices are kept by law",
    "purchase_returns": "invoices are kept by law",
    "consent_events": "consent is proved by its history",
    "consent_chains": "the seals of that history",
    "erased_suppressions": "hashes of phones that opted out",
    "audit_entries": "who changed what, append-only",
    "virtual_submissions": "the virtual carrier's books, append-only; their phones are erased",
}
# Partitioned tables have rows of one place in several partitions: they are named by their ids.
BY_ID = frozenset(("events", "webhook_attempts", "api_requests"))

ERASE_ROWS = """
WITH gone AS (DELETE FROM {table} WHERE {key} = ANY (ARRAY(
    SELECT {key} FROM {table} WHERE {condition} LIMIT $2
)) RETURNING 1)
SELECT count(*) FROM gone
"""
# What belongs to messages goes with them, so that nothing is looked for among those of all workspaces.
ERASE_MESSAGES_OF_WORKSPACE = """
WITH picked AS MATERIALIZED (SELECT id FROM messages WHERE workspace_id = $1 LIMIT $2),
attempts AS (DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM picked)),
parts AS (DELETE FROM message_parts WHERE message_id IN (SELECT id FROM picked)),
reports AS (DELETE FROM carrier_signals WHERE message_id IN (SELECT id FROM picked)),
gone AS (DELETE FROM messages WHERE id IN (SELECT id FROM picked) RETURNING 1)
SELECT count(*) FROM gone
"""
ERASE_SUBMISSIONS_OF_WORKSPACE = """
UPDATE virtual_submissions SET to_phone = 'erased:' || left(id::text, 8)
WHERE id = ANY (ARRAY(
    SELECT id FROM virtual_submissions WHERE workspace_id = $1 AND to_phone NOT LIKE 'erased:%' LIMIT $2
))
"""
# The saved card is removed at Stripe too, by the worker of billing.
FORGET_CARD_OF_WORKSPACE = """
WITH kept AS (
    UPDATE auto_top_ups AS new SET payment_method = NULL
    FROM (SELECT * FROM auto_top_ups WHERE workspace_id = $1 AND payment_method IS NOT NULL FOR UPDATE) AS old
    WHERE new.workspace_id = old.workspace_id
    RETURNING old.payment_method, old.takes_money
)
INSERT INTO forgotten_cards (payment_method, takes_money, attempt_count, next_attempt_at, created_at)
SELECT payment_method, takes_money, 0, $2, $2 FROM kept ON CONFLICT (payment_method) DO NOTHING
"""
FIND_DUE_DELETION = """
SELECT id FROM workspaces WHERE deletes_at <= $1 AND erased_at IS NULL ORDER BY deletes_at, id LIMIT 1
"""


async def find_due_deletion(now: datetime) -> UUID | None:
    """Return a workspace whose data is to be erased now, or None."""
    found: UUID | None = await fetch_value(FIND_DUE_DELETION, now)
    return found


async def erase_some(services: Services, workspace_id: UUID, now: datetime, *, limit: int) -> int:
    """Erase up to `limit` rows of one table of a deleted workspace. Return how many; 0 once all is done and noted."""
    erased = await execute(ERASE_SUBMISSIONS_OF_WORKSPACE, workspace_id, limit)
    erased = erased or await fetch_value(ERASE_MESSAGES_OF_WORKSPACE, workspace_id, limit)
    if erased:
        return erased
    await execute(FORGET_CARD_OF_WORKSPACE, workspace_id, now)
    for table, condition in ERASED.items():
        key = "id" if table in BY_ID else "ctid"
        gone: int = await fetch_value(ERASE_ROWS.format(table=table, key=key, condition=condition), workspace_id, limit)
        if gone:
            return gone
    await execute("UPDATE workspaces SET erased_at = $2 WHERE id = $1 AND erased_at IS NULL", workspace_id, now)
    ctx = Context(workspace_id, livemode=True, services=services)
    changes = {"erased_at": [None, moment(now)]}
    await record_audit(ctx, AuditAction.WORKSPACE_UPDATED, encode_id(WORKSPACE, workspace_id), changes)
    return 0
