"""The secret keys that open the database's data key."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from msvs.models.identity import new_id


class SecretKey(Model):
    """One MSVS_SECRET_KEY that the database knows, by its fingerprint alone.

    `sealed` holds the data key, which seals secrets and hashes phones, encrypted under this secret key;
    `data_fingerprint` tells one data key from another. From `retires_at` on the secret key is refused, and `sealed` is
    removed.
    """

    id = fields.UUIDField(primary_key=True, default=new_id)
    fingerprint = fields.CharField(max_length=64, unique=True)
    data_fingerprint = fields.CharField(max_length=64)
    sealed = fields.TextField(null=True)
    created_at = fields.DatetimeField()
    retires_at = fields.DatetimeField(null=True)

    class Meta:
        table = "secret_keys"
