"""Users, memberships, sessions and the audit log; indexes for the numbers that the dashboard shows."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.users import Role

GUARDS = [
    "ALTER TABLE users ADD CONSTRAINT users_email_lower CHECK (email = lower(email))",
    # One open invitation an address.
    "CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email)"
    " WHERE accepted_at IS NULL AND revoked_at IS NULL",
    "CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE INDEX messages_errors ON messages (campaign_id, status, error_code)"
    " WHERE error_code IS NOT NULL AND campaign_id IS NOT NULL",
    "CREATE INDEX consent_events_opt_outs ON consent_events (workspace_id, livemode, created_at)"
    " WHERE status = 'opted_out'",
]


class Migration(migrations.Migration):
    dependencies = [("msvs", "0002_guards")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("actor", fields.CharField(max_length=40)),
                ("action", fields.CharField(max_length=40)),
                ("resource_id", fields.CharField(null=True, max_length=40)),
                (
                    "changes",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("ip", fields.CharField(null=True, max_length=45)),
                ("request_id", fields.CharField(null=True, max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "audit_entries",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "id"])],
                "pk_attr": "id",
                "table_description": "One change that a person or key made; the database refuses UPDATE and DELETE.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Invitation",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("email", fields.CharField(max_length=254)),
                (
                    "role",
                    fields.CharEnumField(
                        description="OWNER: owner\nADMIN: admin\nMEMBER: member\nREAD_ONLY: read_only",
                        enum_type=Role,
                        max_length=10,
                    ),
                ),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("invited_by", fields.CharField(max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("accepted_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("revoked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "invitations",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "id"])],
                "pk_attr": "id",
                "table_description": "A place offered to an e-mail address; `digest` is the SHA-256 of the token in its link.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LoginThrottle",
            fields=[
                ("key", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("attempts", fields.IntField()),
                ("started_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "login_throttles",
                "app": "msvs",
                "pk_attr": "key",
                "table_description": "How often one caller tried to log in since `started_at`; `key` is a hash of who tried what.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Membership",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField()),
                ("workspace_id", fields.UUIDField()),
                (
                    "role",
                    fields.CharEnumField(
                        description="OWNER: owner\nADMIN: admin\nMEMBER: member\nREAD_ONLY: read_only",
                        enum_type=Role,
                        max_length=10,
                    ),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "memberships",
                "app": "msvs",
                "unique_together": (("user_id", "workspace_id"),),
                "indexes": [Index(fields=["workspace_id", "id"])],
                "pk_attr": "id",
                "table_description": "A user's place in a workspace.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Session",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField(db_index=True)),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("csrf_token", fields.CharField(max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("last_seen_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "sessions",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A browser that is logged in; `digest` is the SHA-256 of the token in its cookie.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="User",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("email", fields.CharField(unique=True, max_length=254)),
                ("name", fields.CharField(max_length=100)),
                ("password_hash", fields.CharField(max_length=200)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("password_changed_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "users",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A person who logs in. `email` is kept in lower case; `password_hash` is argon2id.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(GUARDS),
    ]
