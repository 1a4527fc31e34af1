"""Named operators, their sessions, and the log of their actions."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class Operator(Model):
    """A person who runs the service; `password_hash` is argon2id, `totp_sealed` the secret of the second factor.

    `totp_last_step` is the step of the last code used. One with `disabled_at` cannot sign in.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    name = fields.CharField(max_length=40, unique=True)
    password_hash = fields.CharField(max_length=200)
    totp_sealed = fields.TextField()
    totp_last_step = fields.BigIntField(null=True)
    created_at = fields.DatetimeField()
    disabled_at = fields.DatetimeField(null=True)

    class Meta:
        table = "operators"


class OperatorSession(Model):
    """A browser in which an operator is signed in; `digest` is the SHA-256 of the token in its cookie."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    operator_id = fields.UUIDField(db_index=True)
    digest = fields.CharField(max_length=64, unique=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "operator_sessions"


class OperatorEntry(Model):
    """One thing that an operator did, or that was done about one; the service's role cannot change or delete it.

    `operator` is the name. `network` is the one that counts for where it came from.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    operator = fields.CharField(max_length=40, db_index=True)
    action = fields.CharField(max_length=40)
    detail = fields.CharField(max_length=200, null=True)
    network = fields.CharField(max_length=45, null=True)
    device = fields.CharField(max_length=200, null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "operator_entries"
