"""Find what upkeep works on among all that is kept: imports by what is to be done, log-ins by when they lapsed."""

from tortoise import migrations
from tortoise.migrations import operations as ops

INDEXES = {
    "contact_imports_due": (
        "contact_imports (turn_at NULLS FIRST, id)"
        " WHERE status IN ('queued', 'reading', 'checking', 'running', 'undoing')"
    ),
    "contact_imports_waiting": "contact_imports (id) WHERE status IN ('uploading', 'needs_mapping', 'checked')",
    "contact_imports_undone": "contact_imports (id) WHERE reading_id IS NOT NULL AND status IN ('undone', 'expired')",
    "contact_imports_ended": (
        "contact_imports (ended_at) WHERE reading_id IS NOT NULL AND status IN ('completed', 'canceled', 'failed')"
    ),
    "contact_imports_retired": "contact_imports (id) WHERE old_readings <> '[]'",
    "sessions_seen": "sessions (last_seen_at)",
    "login_throttles_started": "login_throttles (started_at)",
    "operator_sessions_expiry": "operator_sessions (expires_at)",
}


class Migration(migrations.Migration):
    """Adds the indexes. The tables are small, so that each is built at once."""

    dependencies = [("msvs", "0041_workspace_deletion")]
    initial = False

    operations = [
        ops.RunSQL(f"CREATE INDEX {name} ON {where}", f"DROP INDEX {name}") for name, where in INDEXES.items()
    ]
