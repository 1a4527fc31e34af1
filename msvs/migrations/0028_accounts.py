"""Mail, confirmed addresses, second factors and the authentication log.

Addresses of existing users count as confirmed. Several users may wait to confirm the same address.
"""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.mail import MailState


class Migration(migrations.Migration):
    """Adds tables and columns, each null or with a default, so that nothing is rewritten."""

    dependencies = [("msvs", "0027_api_requests")]

    initial = False

    operations = [
        ops.CreateModel(
            name="AccountToken",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField(null=True)),
                ("purpose", fields.CharField(max_length=20)),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("email", fields.CharField(null=True, max_length=254)),
                ("challenge", fields.CharField(null=True, max_length=128)),
                ("attempts", fields.SmallIntField(default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "account_tokens",
                "app": "msvs",
                "indexes": [Index(fields=["user_id", "purpose"])],
                "pk_attr": "id",
                "table_description": "A proof that is used once: a link sent by mail, or a step of logging in; `digest` is its SHA-256.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AuthenticationEntry",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField()),
                ("action", fields.CharField(max_length=40)),
                ("network", fields.CharField(null=True, max_length=45)),
                ("device", fields.CharField(null=True, max_length=200)),
                ("created_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "authentication_entries",
                "app": "msvs",
                "indexes": [Index(fields=["user_id", "id"])],
                "pk_attr": "id",
                "table_description": "One thing that concerns who may log in as a user; `network` is the one that counts for where it came from.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Mail",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("kind", fields.CharField(max_length=30)),
                ("recipient", fields.CharField(max_length=254)),
                ("subject_id", fields.UUIDField(null=True)),
                ("language", fields.CharField(max_length=10)),
                (
                    "data",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "state",
                    fields.CharEnumField(
                        default=MailState.PENDING,
                        description="PENDING: pending\nSENT: sent\nKEPT: kept\nDROPPED: dropped\nFAILED: failed",
                        enum_type=MailState,
                        max_length=10,
                    ),
                ),
                ("attempt_count", fields.SmallIntField(default=0)),
                ("next_attempt_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("error", fields.CharField(null=True, max_length=100)),
                (
                    "letter",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("created_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "mails",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A mail to be sent. `data` holds no secret: a token is made when the letter is, and its hash alone is kept.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Passkey",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField(db_index=True)),
                ("credential_id", fields.CharField(unique=True, max_length=1400)),
                ("public_key", fields.TextField(unique=False)),
                ("sign_count", fields.BigIntField()),
                ("name", fields.CharField(max_length=100)),
                ("is_backed_up", fields.BooleanField()),
                (
                    "transports",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("last_used_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "passkeys",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A passkey of a user; `credential_id` and `public_key`, a COSE key, are in base64url.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RecoveryCode",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("user_id", fields.UUIDField()),
                ("digest", fields.CharField(max_length=64)),
                ("used_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "recovery_codes",
                "app": "msvs",
                "unique_together": (("user_id", "digest"),),
                "pk_attr": "id",
                "table_description": "A code that stands in for a second factor once; `digest` is its SHA-256.",
            },
            bases=["Model"],
        ),
        ops.AlterModelOptions(
            name="Invitation",
            options={
                "table": "invitations",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "id"])],
                "pk_attr": "id",
                "table_description": "A place offered to an e-mail address; `digest` is the SHA-256 of the token that the inviter was shown.",
            },
        ),
        ops.AddField(
            model_name="Invitation",
            name="mailed_digest",
            field=fields.CharField(null=True, unique=True, max_length=64),
        ),
        ops.AlterModelOptions(
            name="User",
            options={
                "table": "users",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A person who logs in. `password_hash` is argon2id.",
            },
        ),
        ops.AlterField(
            model_name="User",
            name="email",
            field=fields.CharField(null=True, unique=True, max_length=254),
        ),
        ops.AddField(
            model_name="User",
            name="language",
            field=fields.CharField(null=True, max_length=10),
        ),
        ops.AddField(
            model_name="User",
            name="pending_email",
            field=fields.CharField(null=True, db_index=True, max_length=254),
        ),
        ops.AddField(
            model_name="User",
            name="timezone",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="User",
            name="totp_confirmed_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="User",
            name="totp_last_step",
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name="User",
            name="totp_sealed",
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name="Workspace",
            name="requires_second_factor",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.RunSQL("CREATE INDEX mails_due ON mails (next_attempt_at) WHERE state = 'pending'", "DROP INDEX mails_due"),
    ]
