"""Users, memberships, sessions and the audit log."""

from __future__ import annotations

from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id


class Role(StrEnum):
    """The roles of members, from most to fewest permissions."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    READ_ONLY = "read_only"


class User(Model):
    """A person who logs in. `password_hash` is argon2id.

    `email` is the address that its owner has confirmed, `pending_email` one that waits to be: that of a new user, who
    has no other, or the one that a user changes to. Both are in lower case. Only a confirmed one is the user's alone.
    `totp_sealed` counts as a second factor from `totp_confirmed_at` on; `totp_last_step` is that of the last code used.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    email = fields.CharField(max_length=254, unique=True, null=True)
    pending_email = fields.CharField(max_length=254, null=True, db_index=True)
    name = fields.CharField(max_length=100)
    password_hash = fields.CharField(max_length=200)
    created_at = fields.DatetimeField(auto_now_add=True)
    password_changed_at = fields.DatetimeField(auto_now_add=True)
    language = fields.CharField(max_length=10, null=True)
    timezone = fields.CharField(max_length=64, null=True)
    totp_sealed = fields.TextField(null=True)
    totp_confirmed_at = fields.DatetimeField(null=True)
    totp_last_step = fields.BigIntField(null=True)

    class Meta:
        table = "users"


class Membership(Model):
    """A user's place in a workspace.

    `mailed_kinds` are the notifications that also come by mail; null as the role has it.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField()
    workspace_id = fields.UUIDField()
    role = fields.CharEnumField(Role, max_length=10)
    created_at = fields.DatetimeField(auto_now_add=True)
    mailed_kinds: fields.Field[list[str] | None] = fields.JSONField(null=True)

    class Meta:
        table = "memberships"
        unique_together = (("user_id", "workspace_id"),)
        indexes = (("workspace_id", "id"),)


class Invitation(Model):
    """A place offered to an e-mail address; `digest` is the SHA-256 of the token that the inviter was shown.

    `mailed_digest` is that of the token in the last mail: with it comes the proof that the address is the person's.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    email = fields.CharField(max_length=254)
    role = fields.CharEnumField(Role, max_length=10)
    digest = fields.CharField(max_length=64, unique=True)
    mailed_digest = fields.CharField(max_length=64, unique=True, null=True)
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


class AccountToken(Model):
    """A proof that is used once: a link sent by mail, or a step of logging in; `digest` is its SHA-256.

    `email` is the address that a link was sent to, `challenge` what a passkey is to sign, `attempts` how often a code
    was tried.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField(null=True)
    purpose = fields.CharField(max_length=20)
    digest = fields.CharField(max_length=64, unique=True)
    email = fields.CharField(max_length=254, null=True)
    challenge = fields.CharField(max_length=128, null=True)
    attempts = fields.SmallIntField(default=0)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "account_tokens"
        indexes = (("user_id", "purpose"),)


class RecoveryCode(Model):
    """A code that stands in for a second factor once; `digest` is its SHA-256."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField()
    digest = fields.CharField(max_length=64)
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "recovery_codes"
        unique_together = (("user_id", "digest"),)


class Passkey(Model):
    """A passkey of a user; `credential_id` and `public_key`, a COSE key, are in base64url."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField(db_index=True)
    credential_id = fields.CharField(max_length=1400, unique=True)
    public_key = fields.TextField()
    sign_count = fields.BigIntField()
    name = fields.CharField(max_length=100)
    is_backed_up = fields.BooleanField()
    transports: fields.Field[list[str]] = fields.JSONField(default=list)
    created_at = fields.DatetimeField()
    last_used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "passkeys"


class AuthenticationEntry(Model):
    """One thing that concerns who may log in as a user; `network` is the one that counts for where it came from."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    user_id = fields.UUIDField()
    action = fields.CharField(max_length=40)
    network = fields.CharField(max_length=45, null=True)
    device = fields.CharField(max_length=200, null=True)
    created_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "authentication_entries"
        indexes = (("user_id", "id"),)


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
