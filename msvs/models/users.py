"""Users, their places in workspaces, their sessions, and the log of who changed what."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id


class Role(StrEnum):
    """What a member of a workspace may do, most first."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    READ_ONLY = "read_only"


class User(Model):
    """A person who logs in. `email` is kept in lower case; `password_hash` is argon2id."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    email = fields.CharField(max_length=254, unique=True)
    name = fields.CharField(max_length=100)
    password_hash = fields.CharField(max_length=200)
    created_at = fields.DatetimeField(auto_now_add=True)
    password_changed_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "users"


class Membership(Model):
    """A user's place in a workspace."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField()
    workspace_id = fields.UUIDField()
    role = fields.CharEnumField(Role, max_length=10)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "memberships"
        unique_together = (("user_id", "workspace_id"),)
        indexes = (("workspace_id", "id"),)


class Invitation(Model):
    """A place offered to an e-mail address; `digest` is the SHA-256 of the token in its link."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    email = fields.CharField(max_length=254)
    role = fields.CharEnumField(Role, max_length=10)
    digest = fields.CharField(max_length=64, unique=True)
    invited_by = fields.CharField(max_length=40)
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField()
    accepted_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "invitations"
        indexes = (("workspace_id", "id"),)


class Session(Model):
    """A browser that is logged in; `digest` is the SHA-256 of the token in its cookie.

    `network` is the one that counts for `ip`, `device` the User-Agent; null in rows from before they were kept.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField(db_index=True)
    digest = fields.CharField(max_length=64, unique=True)
    csrf_token = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    last_seen_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    ip = fields.CharField(max_length=45, null=True)
    network = fields.CharField(max_length=45, null=True)
    device = fields.CharField(max_length=200, null=True)

    class Meta:
        table = "sessions"


class LoginThrottle(Model):
    """How often one caller tried to log in since `started_at`; `key` is a hash of who tried what."""

    key = fields.CharField(max_length=64, primary_key=True)
    attempts = fields.IntField()
    started_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "login_throttles"


class AuditEntry(Model):
    """One change that a person or key made; the database refuses UPDATE and DELETE.

    `changes` holds the fields that changed, each with its value before and after.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    actor = fields.CharField(max_length=40)
    action = fields.CharField(max_length=40)
    resource_id = fields.CharField(max_length=40, null=True)
    changes: fields.Field[JSONObject] = fields.JSONField(default=dict)
    ip = fields.CharField(max_length=45, null=True)
    request_id = fields.CharField(max_length=40, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "audit_entries"
        indexes = (("workspace_id", "id"),)
