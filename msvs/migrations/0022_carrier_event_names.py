"""Rename two models of carrier events; their tables keep their names."""

from __future__ import annotations

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Names of models alone: their tables stay, as processes of the version before read them."""

    dependencies = [("msvs", "0021_phone_tails")]

    initial = False

    operations = [
        ops.RenameModel("CarrierSignal", "StoredCarrierEvent"),
        ops.RenameModel("VirtualSignal", "VirtualEvent"),
    ]
