"""Contacts, the history of their consent, and suppressed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from tortoise import fields
from tortoise.models import Model

from msvs.json_types import JSONObject
from msvs.models.identity import new_id
from msvs.models.messages import KeptWarning
from msvs.models.moments import DatetimeField


class OptInStatus(StrEnum):
    """The consent status of a contact."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"


class Contact(Model):
    """A person with one phone, in one mode of a workspace.

    `phone` is the number as it was given first. `canonical` is the number that identifies the phone in
    all its spellings; the database fills it. `region` and `number_kind` are what phonenumbers says of the phone, kept
    so that a campaign need not ask again. `is_automatic` says that a send or a message from the phone made it, and
    nobody else since. `external_id` is what it is called elsewhere, unique in its mode. `tags` are the names
    of its tags, in order, as `tag_members` says. `unreachable_at` is since when campaigns skip it, as messages to its
    number failed again and again, the last with `unreachable_code`; failures before `reached_at` count no more.
    `warnings` are no column: what an operation has to tell of the change that it made.
    """

    warnings: Sequence[KeptWarning] = ()

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    phone = fields.CharField(max_length=16)
    canonical = fields.CharField(max_length=16, default="", db_default="")
    region = fields.CharField(max_length=3, null=True)
    number_kind = fields.CharField(max_length=24, default="unknown")
    first_name = fields.CharField(max_length=100, null=True)
    last_name = fields.CharField(max_length=100, null=True)
    email = fields.CharField(max_length=254, null=True)
    timezone = fields.CharField(max_length=64, null=True)
    external_id = fields.CharField(max_length=100, null=True)
    is_automatic = fields.BooleanField(default=False, db_default=False)
    attributes: fields.Field[JSONObject] = fields.JSONField(default=dict)
    tags: fields.Field[list[str]] = fields.JSONField(default=list, db_default=[])
    opt_in_status = fields.CharEnumField(OptInStatus, max_length=10, default=OptInStatus.UNKNOWN)
    opt_in_source = fields.CharField(max_length=100, null=True)
    opt_in_ip = fields.CharField(max_length=45, null=True)
    opt_in_at = fields.DatetimeField(null=True)
    unreachable_at = fields.DatetimeField(null=True)
    unreachable_code = fields.CharField(max_length=40, null=True)
    reached_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)
    updated_at = DatetimeField(auto_now=True)

    class Meta:
        table = "contacts"
        # By phone, too, for as long as a release may run whose statements name those columns.
        unique_together = (("workspace_id", "livemode", "phone"), ("workspace_id", "livemode", "canonical"))
        indexes = (("workspace_id", "livemode", "id"),)


class ConsentEvent(Model):
    """One change of a phone's consent, with its evidence. Append-only; it outlives the contact.

    The rows of a workspace and mode form a chain: `sequence` counts them from 1, and `hash` covers `previous_hash` and
    the row. The chain holds `phone_hash` (keyed) and `details_hash` in place of the phone, ip, user agent and text, so
    that erasing those leaves it whole. `text` and `version` are what the person agreed to, `given_at` is when they did,
    as far as it was said, and `is_renewed` whether that was again; null where no time was said, and in rows from before
    it was kept.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    phone = fields.CharField(max_length=16, null=True)
    phone_hash = fields.CharField(max_length=64, null=True)
    contact_id = fields.UUIDField(null=True)
    status = fields.CharEnumField(OptInStatus, max_length=10)
    source = fields.CharField(max_length=100, null=True)
    ip = fields.CharField(max_length=45, null=True)
    user_agent = fields.CharField(max_length=300, null=True)
    text = fields.TextField(null=True)
    version = fields.CharField(max_length=60, null=True)
    details_hash = fields.CharField(max_length=64, null=True)
    given_at = fields.DatetimeField(null=True)
    is_renewed = fields.BooleanField(null=True)
    actor = fields.CharField(max_length=40)
    sequence = fields.BigIntField(null=True)
    previous_hash = fields.CharField(max_length=64, null=True)
    hash = fields.CharField(max_length=64, null=True)
    erased_at = fields.DatetimeField(null=True)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "consent_events"
        indexes = (
            ("workspace_id", "livemode", "phone", "id"),
            ("workspace_id", "livemode", "phone_hash"),
            ("workspace_id", "livemode", "sequence"),
        )


class ConsentChain(Model):
    """The head of a workspace and mode's chain of consent: its last row's `sequence` and `hash`.

    `seal` is the service's keyed hash of the last head that it wrote itself; null if it was never sealed.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    sequence = fields.BigIntField(default=0)
    hash = fields.CharField(max_length=64)
    sealed_sequence = fields.BigIntField(null=True)
    sealed_hash = fields.CharField(max_length=64, null=True)
    seal = fields.CharField(max_length=64, null=True)

    class Meta:
        table = "consent_chains"
        unique_together = (("workspace_id", "livemode"),)


class ConsentRegister(Model):
    """Which chains of consent there are, in one row: their count, the sum of a keyed hash of each, and the seal."""

    id = fields.IntField(primary_key=True, generated=False)
    chain_count = fields.IntField()
    digest = fields.CharField(max_length=64)
    seal = fields.CharField(max_length=64)

    class Meta:
        table = "consent_registers"


class ErasedSuppression(Model):
    """The keyed hash of a suppressed phone that was erased, so that it stays suppressed when it comes back."""

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    phone_hash = fields.CharField(max_length=64)
    source = fields.CharField(max_length=100)
    created_at = fields.DatetimeField()

    class Meta:
        table = "erased_suppressions"
        unique_together = (("workspace_id", "livemode", "phone_hash"),)


class Suppression(Model):
    """A phone that said STOP: nothing is sent to it, whether or not a contact exists.

    `canonical` is the number that identifies it in all its spellings; the database fills it.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    workspace_id = fields.UUIDField()
    livemode = fields.BooleanField()
    phone = fields.CharField(max_length=16)
    canonical = fields.CharField(max_length=16, default="", db_default="")
    source = fields.CharField(max_length=100)
    created_at = DatetimeField(auto_now_add=True)

    class Meta:
        table = "suppressions"
        unique_together = (("workspace_id", "livemode", "phone"), ("workspace_id", "livemode", "canonical"))
