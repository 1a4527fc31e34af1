"""Seals of the heads of the chains of consent, and of the list of chains."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# A seal takes the key, which the database has not: `msvs migrate` seals the chains that are there.
DUE = """
    INSERT INTO repairs (name, requested_at)
    SELECT 'consent_heads_unsealed', now() WHERE EXISTS (SELECT FROM consent_chains WHERE sequence > 0)
"""


class Migration(migrations.Migration):
    """Adds the columns, null in every row, and the register, and notes that the chains are to be sealed."""

    dependencies = [("msvs", "0034_inbox_teams")]
    initial = False

    operations = [
        ops.AddField(model_name="ConsentChain", name="sealed_sequence", field=fields.BigIntField(null=True)),
        ops.AddField(model_name="ConsentChain", name="sealed_hash", field=fields.CharField(max_length=64, null=True)),
        ops.AddField(model_name="ConsentChain", name="seal", field=fields.CharField(max_length=64, null=True)),
        ops.CreateModel(
            name="ConsentRegister",
            fields=[
                ("id", fields.IntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("chain_count", fields.IntField()),
                ("digest", fields.CharField(max_length=64)),
                ("seal", fields.CharField(max_length=64)),
            ],
            options={
                "table": "consent_registers",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "Which chains of consent there are, in one row: their count, the sum of a keyed hash "
                "of each, and the seal.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([DUE]),
    ]
