"""The schema in which work for a sandbox with a clock happens: its rows alone, at its own time.

Every table stands in the schema as a view of the rows of one workspace's sandbox, and `now()` and its kin return the
time of the workspace's clock. A session that looks there first runs the statements of the workers as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

SCHEMA = "msvs_clock"
# Of a session: where it looks first, and whose sandbox it works for.
SEARCH_PATH = f"{SCHEMA}, public, pg_catalog"
WORKSPACE = "msvs.clock_workspace"

_WORKSPACE = f"current_setting('{WORKSPACE}')::uuid"
_OF_ENDPOINT = f"SELECT id FROM public.webhook_endpoints WHERE workspace_id = {_WORKSPACE} AND NOT livemode"
_OF_SOURCE = f"SELECT id FROM public.list_sources WHERE workspace_id = {_WORKSPACE} AND NOT livemode"

# Which rows a sandbox has of tables that do not say so by themselves.
CONDITIONS: Mapping[str, str] = {
    "webhook_deliveries": f"endpoint_id IN ({_OF_ENDPOINT})",
    "status_callbacks": f"""workspace_id = {_WORKSPACE} AND EXISTS (
        SELECT FROM public.twilio_messages AS of WHERE of.message_id = status_callbacks.message_id AND NOT of.livemode
    )""",
    "source_lookups": f"source_id IN ({_OF_SOURCE})",
    "opt_out_writes": f"source_id IN ({_OF_SOURCE})",
    "carrier_signals": "false",
    "mails": "false",
    "stripe_events": "false",
    "purchases": "false",
    # What is left to a clock is what its session does.
    "test_clocks": "false",
}
SYSTEM_COLUMNS: Mapping[str, str] = {"campaigns": "xmin, "}

FUNCTIONS = f"""
CREATE FUNCTION {SCHEMA}.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    stands_at timestamptz;
BEGIN
    SELECT frozen_at INTO stands_at FROM public.test_clocks WHERE workspace_id = {_WORKSPACE};
    IF stands_at IS NULL THEN
        RAISE EXCEPTION 'The sandbox has no clock any more.' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN stands_at;
END $$;
CREATE FUNCTION {SCHEMA}.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT {SCHEMA}.clock_timestamp() $$;
CREATE FUNCTION {SCHEMA}.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT {SCHEMA}.clock_timestamp() $$;
CREATE FUNCTION {SCHEMA}.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT {SCHEMA}.clock_timestamp() $$;
CREATE FUNCTION {SCHEMA}.id_floor(moment timestamptz) RETURNS uuid LANGUAGE sql STABLE
AS $$ SELECT public.id_floor(least(moment, pg_catalog.now() - interval '400 days')) $$;
"""
# Ids are made by the real time, which a sandbox's times run ahead of: the floor of one of its times is no floor.

DROP = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"
TABLES = """
SELECT relname AS name, count(*) FILTER (WHERE attname IN ('workspace_id', 'livemode')) = 2 AS is_scoped
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    AND attnum > 0 AND NOT attisdropped
GROUP BY relname ORDER BY relname
"""
# A schema that came with a dump has lost its rights: it is made once more.
IS_THERE = f"""
SELECT to_regclass('public.test_clocks') IS NULL OR EXISTS (
    SELECT FROM pg_namespace WHERE nspname = '{SCHEMA}' AND has_schema_privilege('public', oid, 'USAGE')
)
"""


def statements(tables: Iterable[tuple[str, bool]]) -> Iterator[str]:
    """Return the statements that make the schema of `tables`, each with whether it names workspace and mode."""
    yield DROP
    yield f"CREATE SCHEMA {SCHEMA}"
    yield FUNCTIONS
    for name, is_scoped in tables:
        condition = CONDITIONS.get(name, f"workspace_id = {_WORKSPACE} AND NOT livemode" if is_scoped else None)
        if condition is not None:
            # The rights on the rows are those of who reads them: the views give none.
            yield (
                f"CREATE VIEW {SCHEMA}.{name} WITH (security_invoker = true) AS"
                f" SELECT {SYSTEM_COLUMNS.get(name, '')}* FROM public.{name} WHERE {condition}"
            )
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO PUBLIC"


def by_real_time(table: str) -> str:
    """Return the condition on a row of `table` that it is not of a sandbox with a clock.

    For what waits for no time, and so for every worker: all else of such a sandbox is due by its own time, which the
    real one has not reached.
    """
    return f"({table}.livemode OR {table}.workspace_id NOT IN (SELECT workspace_id FROM test_clocks))"
