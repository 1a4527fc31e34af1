"""Sequences: their versions, who is in them, the steps taken, and what lets contacts in and out."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.sequences import EnrollmentState, LeaveReason, SequenceStatus

# Steps that were taken, each at most once for an enrollment: the key is what keeps a step from being taken twice.
# `code` says why no message was sent.
MOVES = """
CREATE TABLE sequence_moves (
    enrollment_id uuid NOT NULL,
    step smallint NOT NULL,
    workspace_id uuid NOT NULL,
    version_id uuid NOT NULL,
    message_id uuid,
    code varchar(40),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (enrollment_id, step)
);
CREATE INDEX sequence_moves_version ON sequence_moves (version_id, step, code);
CREATE INDEX sequence_moves_workspace ON sequence_moves (workspace_id);
"""
# What lets contacts into a published sequence: `value` is the id of a list or keyword, a tag or the type of an event.
TRIGGERS = """
CREATE TABLE sequence_triggers (
    sequence_id uuid NOT NULL,
    kind varchar(10) NOT NULL,
    value varchar(60) NOT NULL,
    workspace_id uuid NOT NULL,
    livemode boolean NOT NULL,
    PRIMARY KEY (kind, value, workspace_id, livemode, sequence_id)
);
CREATE INDEX sequence_triggers_sequence ON sequence_triggers (sequence_id);
"""
# Contacts that are about to enter: a worker takes them in.
ENTRIES = """
CREATE TABLE sequence_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id uuid NOT NULL,
    livemode boolean NOT NULL,
    sequence_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    entered_by varchar(20) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sequence_entries_workspace ON sequence_entries (workspace_id);
"""
INDEXES = """
CREATE UNIQUE INDEX sequence_enrollments_open ON sequence_enrollments (sequence_id, contact_id)
WHERE state = 'active';
CREATE INDEX sequence_enrollments_due ON sequence_enrollments (sequence_id, due_at, id)
WHERE state = 'active' AND leaving IS NULL;
CREATE INDEX sequence_enrollments_leaving ON sequence_enrollments (id) WHERE leaving IS NOT NULL AND state = 'active';
CREATE INDEX sequence_enrollments_contact ON sequence_enrollments (contact_id);
CREATE INDEX sequence_enrollments_states ON sequence_enrollments (sequence_id, state, leaving);
CREATE INDEX sequence_enrollments_places ON sequence_enrollments (version_id, step, state);
CREATE INDEX sequence_enrollments_workspace ON sequence_enrollments (workspace_id);
CREATE INDEX sequences_running ON sequences (id) WHERE status <> 'draft';
CREATE INDEX sequence_versions_open ON sequence_versions (sequence_id) WHERE retired_at IS NULL;
"""
SEAL = """
CREATE FUNCTION refuse_new_definition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A published version of a sequence never changes.' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER sequence_versions_sealed BEFORE UPDATE ON sequence_versions FOR EACH ROW
WHEN (OLD.definition IS DISTINCT FROM NEW.definition OR OLD.campaign_ids IS DISTINCT FROM NEW.campaign_ids
    OR OLD.number IS DISTINCT FROM NEW.number OR OLD.sequence_id IS DISTINCT FROM NEW.sequence_id)
EXECUTE FUNCTION refuse_new_definition();
"""
UNSEAL = "DROP TRIGGER sequence_versions_sealed ON sequence_versions; DROP FUNCTION refuse_new_definition()"
# In the tables themselves, so that no way onto a list or to a tag is left out: imports, syncs, calls and keywords.
ENTER = """
CREATE FUNCTION enter_by_list() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sequence_entries (workspace_id, livemode, sequence_id, contact_id, entered_by)
    SELECT allowed.workspace_id, allowed.livemode, allowed.sequence_id, added.contact_id, 'list'
    FROM sequence_triggers AS allowed JOIN added ON added.list_id::text = allowed.value
    WHERE allowed.kind = 'list';
    RETURN NULL;
END $$;
CREATE TRIGGER list_members_enter AFTER INSERT ON list_members REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION enter_by_list();
CREATE FUNCTION enter_by_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sequence_entries (workspace_id, livemode, sequence_id, contact_id, entered_by)
    SELECT allowed.workspace_id, allowed.livemode, allowed.sequence_id, added.contact_id, 'tag'
    FROM sequence_triggers AS allowed
    JOIN tags ON tags.workspace_id = allowed.workspace_id AND tags.livemode = allowed.livemode
        AND tags.name = allowed.value
    JOIN added ON added.tag_id = tags.id
    WHERE allowed.kind = 'tag';
    RETURN NULL;
END $$;
CREATE TRIGGER tag_members_enter AFTER INSERT ON tag_members REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION enter_by_tag();
CREATE FUNCTION enter_by_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sequence_entries (workspace_id, livemode, sequence_id, contact_id, entered_by)
    SELECT allowed.workspace_id, allowed.livemode, allowed.sequence_id, named.contact_id, 'event'
    FROM sequence_triggers AS allowed CROSS JOIN LATERAL (
        SELECT NEW.resource_id AS contact_id WHERE NEW.type LIKE 'contact.%'
        UNION ALL
        SELECT contact_id FROM messages WHERE NEW.type LIKE 'message.%' AND messages.id = NEW.resource_id
    ) AS named
    WHERE allowed.kind = 'event' AND allowed.value = NEW.type AND allowed.workspace_id = NEW.workspace_id
        AND allowed.livemode = NEW.livemode AND named.contact_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER events_enter AFTER INSERT ON events FOR EACH ROW
WHEN (NEW.type IN ('contact.opted_in', 'message.clicked', 'message.replied')) EXECUTE FUNCTION enter_by_event();
"""
DO_NOT_ENTER = """
DROP TRIGGER list_members_enter ON list_members; DROP FUNCTION enter_by_list();
DROP TRIGGER tag_members_enter ON tag_members; DROP FUNCTION enter_by_tag();
DROP TRIGGER events_enter ON events; DROP FUNCTION enter_by_event();
"""
# Each time a contact opts out or is deleted, it leaves; of one that is gone no time of its own is kept.
LEAVE = """
CREATE FUNCTION leave_sequences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sequence_enrollments SET leaving = 'opted_out'
    WHERE contact_id = NEW.id AND state = 'active' AND leaving IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_leave AFTER UPDATE OF opt_in_status ON contacts FOR EACH ROW
WHEN (NEW.opt_in_status = 'opted_out' AND OLD.opt_in_status <> 'opted_out') EXECUTE FUNCTION leave_sequences();
CREATE FUNCTION forget_in_sequences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sequence_enrollments SET anchor_at = NULL,
        leaving = CASE WHEN state = 'active' THEN coalesce(leaving, 'contact_deleted') ELSE leaving END
    WHERE contact_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_forget AFTER DELETE ON contacts FOR EACH ROW EXECUTE FUNCTION forget_in_sequences();
"""
STAY = """
DROP TRIGGER contacts_leave ON contacts; DROP FUNCTION leave_sequences();
DROP TRIGGER contacts_forget ON contacts; DROP FUNCTION forget_in_sequences();
"""


class Migration(migrations.Migration):
    """Adds the tables, and the triggers on lists, tags, events and contacts."""

    dependencies = [("msvs", "0071_webhook_healing_indexes")]

    initial = False

    operations = [
        ops.CreateModel(
            name="MessageSequence",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=200)),
                (
                    "status",
                    fields.CharEnumField(
                        default=SequenceStatus.DRAFT,
                        description="DRAFT: draft\nACTIVE: active\nPAUSED: paused\nARCHIVED: archived",
                        enum_type=SequenceStatus,
                        max_length=10,
                    ),
                ),
                (
                    "definition",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("number", fields.IntField(default=0)),
                ("published_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("archived_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "sequences",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A sequence. `definition` is what is edited, `number` the version published last; 0 for none yet.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SequenceEnrollment",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("sequence_id", fields.UUIDField()),
                ("version_id", fields.UUIDField()),
                ("contact_id", fields.UUIDField()),
                ("number", fields.IntField()),
                (
                    "state",
                    fields.CharEnumField(
                        default=EnrollmentState.ACTIVE,
                        description="ACTIVE: active\nCOMPLETED: completed\nLEFT: left",
                        enum_type=EnrollmentState,
                        max_length=10,
                    ),
                ),
                (
                    "leaving",
                    fields.CharEnumField(
                        null=True,
                        description="REPLIED: replied\nOPTED_OUT: opted_out\nGOAL: goal\nCONDITION: condition\nREMOVED: removed\nARCHIVED: archived\nCONTACT_DELETED: contact_deleted",
                        enum_type=LeaveReason,
                        max_length=20,
                    ),
                ),
                ("entered_by", fields.CharField(max_length=20)),
                ("step", fields.SmallIntField(default=0)),
                ("wait_until", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("anchor_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "sequence_enrollments",
                "app": "msvs",
                "unique_together": (("sequence_id", "contact_id", "number"),),
                "indexes": [Index(fields=["sequence_id", "id"])],
                "pk_attr": "id",
                "table_description": "A contact's way through a version of a sequence. Its rows outlive the contact, and then name nobody.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SequenceVersion",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("sequence_id", fields.UUIDField()),
                ("number", fields.IntField()),
                (
                    "definition",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                (
                    "campaign_ids",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("leaves_on_reply", fields.BooleanField()),
                ("retired_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "sequence_versions",
                "app": "msvs",
                "unique_together": (("sequence_id", "number"),),
                "pk_attr": "id",
                "table_description": "A sequence as it was published; it never changes, and all who entered it stay on it.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Campaign",
            name="sequence_id",
            field=fields.UUIDField(null=True),
        ),
        ops.RunSQL(MOVES, "DROP TABLE sequence_moves"),
        ops.RunSQL(TRIGGERS, "DROP TABLE sequence_triggers"),
        ops.RunSQL(ENTRIES, "DROP TABLE sequence_entries"),
        ops.RunSQL(INDEXES, "SELECT 1"),
        ops.RunSQL(SEAL, UNSEAL),
        ops.RunSQL(ENTER, DO_NOT_ENTER),
        ops.RunSQL(LEAVE, STAY),
    ]
