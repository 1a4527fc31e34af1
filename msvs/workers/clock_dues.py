"""What waits in the sandbox of a clock: the first time of each kind of thing, and what is to be done at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api.contacts import bulk_actions, import_jobs
from msvs.api.contacts.sync_runs import RUNS
from msvs.api.messages import export_jobs
from msvs.database import fetch


def _words(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in statuses)


_EXPORTS, _IMPORTS, _BULK_ACTIONS = _words(export_jobs.DUE), _words(import_jobs.DUE), _words(bulk_actions.DUE)
_RUNS = _words(RUNS)
# The first time after $2 of each kind of thing that waits in the sandbox of the workspace $1. What is taken once its
# time is past, and not at it, has a second more.
FIRST_OF_KINDS = f"""
WITH ours AS MATERIALIZED (
    SELECT id FROM webhook_endpoints WHERE workspace_id = $1 AND NOT livemode AND enabled
), sources AS MATERIALIZED (
    SELECT id, next_sync_at, lease_until FROM list_sources WHERE workspace_id = $1 AND NOT livemode AND NOT is_paused
)
SELECT kind, min(at) AS at FROM (
    (SELECT 'messages' AS kind, due_at AS at FROM messages WHERE workspace_id = $1 AND NOT livemode
        AND status = 'queued' AND campaign_id IS NULL AND due_at > $2 ORDER BY due_at LIMIT 1)
    UNION ALL
    SELECT 'messages', first.due_at FROM campaigns CROSS JOIN LATERAL (
        SELECT due_at FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id AND due_at > $2
        ORDER BY due_at LIMIT 1
    ) AS first WHERE campaigns.workspace_id = $1 AND NOT campaigns.livemode
        AND campaigns.status IN ('preparing', 'sending')
    UNION ALL
    (SELECT 'messages', due_at FROM messages WHERE workspace_id = $1 AND NOT livemode AND status = 'scheduled'
        AND due_at > $2 ORDER BY due_at LIMIT 1)
    UNION ALL
    (SELECT 'leases', lease_until + interval '1 second' FROM messages WHERE workspace_id = $1 AND NOT livemode
        AND status = 'sending' AND lease_until > $2::timestamptz - interval '1 second' ORDER BY lease_until LIMIT 1)
    UNION ALL
    (SELECT 'unreported', sent_at + interval '259201 seconds' FROM messages WHERE workspace_id = $1 AND NOT livemode
        AND status = 'sent' AND delivery IS NULL AND sent_at > $2::timestamptz - interval '259201 seconds'
        ORDER BY sent_at LIMIT 1)
    UNION ALL
    (SELECT 'unresolved', handed_at + interval '259201 seconds' FROM messages WHERE workspace_id = $1 AND NOT livemode
        AND status = 'sending' AND lease_until IS NULL AND handed_at > $2::timestamptz - interval '259201 seconds'
        ORDER BY handed_at LIMIT 1)
    UNION ALL
    (SELECT 'signals', due_at FROM virtual_signals WHERE workspace_id = $1 AND NOT livemode AND due_at > $2
        ORDER BY due_at LIMIT 1)
    UNION ALL
    SELECT 'campaigns', at FROM campaigns, unnest(ARRAY[
        CASE WHEN status = 'scheduled' THEN scheduled_at END,
        CASE WHEN status = 'sending' AND winner IS NULL THEN test_ends_at END
    ]) AS at WHERE workspace_id = $1 AND NOT livemode AND status IN ('scheduled', 'sending')
    UNION ALL
    SELECT 'campaigns', due_at FROM sequence_enrollments WHERE state = 'active' AND leaving IS NULL
        AND sequence_id IN (SELECT id FROM sequences WHERE workspace_id = $1 AND NOT livemode AND status = 'active')
    UNION ALL
    SELECT 'webhooks', greatest(next_attempt_at, lease_until) FROM webhook_deliveries
    WHERE state = 'pending' AND endpoint_id IN (SELECT id FROM ours)
    UNION ALL
    SELECT 'webhooks', greatest(callback.next_attempt_at, callback.lease_until) FROM status_callbacks AS callback
    JOIN twilio_messages AS message ON message.message_id = callback.message_id AND NOT message.livemode
    WHERE callback.workspace_id = $1 AND callback.state = 'pending'
    UNION ALL
    SELECT 'files', lease_until + interval '1 second' FROM exports
    WHERE workspace_id = $1 AND NOT livemode AND status IN ({_EXPORTS})
    UNION ALL
    SELECT 'files', lease_until + interval '1 second' FROM contact_imports
    WHERE workspace_id = $1 AND NOT livemode AND status IN ({_IMPORTS})
    UNION ALL
    SELECT 'files', lease_until + interval '1 second' FROM bulk_actions
    WHERE workspace_id = $1 AND NOT livemode AND status IN ({_BULK_ACTIONS})
    UNION ALL
    SELECT 'files', next_sync_at FROM sources
    UNION ALL
    SELECT 'files', due_at FROM list_syncs WHERE source_id IN (SELECT id FROM sources) AND status IN ({_RUNS})
    UNION ALL
    SELECT 'files', due_at FROM source_lookups WHERE source_id IN (SELECT id FROM sources)
    UNION ALL
    SELECT 'expiry', expires_at + interval '1 second' FROM exports WHERE workspace_id = $1 AND NOT livemode
) AS waiting WHERE at > $2 GROUP BY kind
"""
# What is to be done at any time.
OPEN_KINDS = f"""
SELECT 'campaigns' AS kind WHERE EXISTS (
    SELECT FROM campaigns WHERE workspace_id = $1 AND NOT livemode
        AND (status = 'preparing' OR (status = 'canceled' AND completed_at IS NULL AND EXISTS (
            SELECT FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id
        )))
) OR EXISTS (SELECT FROM sequence_entries WHERE workspace_id = $1 AND NOT livemode) OR EXISTS (
    SELECT FROM sequence_enrollments AS inside JOIN sequences ON sequences.id = inside.sequence_id
    WHERE inside.workspace_id = $1 AND NOT inside.livemode AND inside.state = 'active'
        AND (inside.leaving IS NOT NULL OR sequences.status = 'archived')
)
UNION ALL
SELECT 'ends' WHERE EXISTS (
    SELECT FROM campaigns WHERE workspace_id = $1 AND NOT livemode AND sequence_id IS NULL
        AND (status = 'sending' OR (status = 'canceled' AND started_at IS NOT NULL AND completed_at IS NULL))
)
UNION ALL
SELECT 'files' WHERE EXISTS (
    SELECT FROM exports WHERE workspace_id = $1 AND NOT livemode AND status IN ({_EXPORTS}) AND lease_until IS NULL
) OR EXISTS (
    SELECT FROM contact_imports WHERE workspace_id = $1 AND NOT livemode AND status IN ({_IMPORTS})
        AND lease_until IS NULL
) OR EXISTS (
    SELECT FROM bulk_actions WHERE workspace_id = $1 AND NOT livemode AND status IN ({_BULK_ACTIONS})
        AND lease_until IS NULL
)
"""


class _Due(Protocol):
    kind: str
    at: datetime


class _Open(Protocol):
    kind: str


async def first_due(workspace_id: UUID, after: datetime) -> Mapping[str, datetime]:
    """Return the first time after `after` of each kind of thing that waits in a workspace's sandbox."""
    return {row.kind: row.at for row in await fetch(_Due, FIRST_OF_KINDS, workspace_id, after)}


async def open_kinds(workspace_id: UUID) -> frozenset[str]:
    """Return the kinds of things that wait there for no time."""
    return frozenset(row.kind for row in await fetch(_Open, OPEN_KINDS, workspace_id))
