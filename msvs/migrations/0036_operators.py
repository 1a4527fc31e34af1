"""Operators by name, their sessions and their log."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id

LOG = (
    "CREATE TRIGGER operator_entries_append_only BEFORE UPDATE OR DELETE ON operator_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
)


class Migration(migrations.Migration):
    """Adds the tables; the log only grows."""

    dependencies = [("msvs", "0035_consent_seals")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Operator",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("name", fields.CharField(unique=True, max_length=40)),
                ("password_hash", fields.CharField(max_length=200)),
                ("totp_sealed", fields.TextField(unique=False)),
                ("totp_last_step", fields.BigIntField(null=True)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("disabled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "operators",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A person who runs the service; `password_hash` is argon2id, `totp_sealed` the "
                "secret of the second factor.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="OperatorEntry",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("operator", fields.CharField(db_index=True, max_length=40)),
                ("action", fields.CharField(max_length=40)),
                ("detail", fields.CharField(null=True, max_length=200)),
                ("network", fields.CharField(null=True, max_length=45)),
                ("device", fields.CharField(null=True, max_length=200)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "operator_entries",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "One thing that an operator did, or that was done about one; the service's role "
                "cannot change or delete it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="OperatorSession",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("operator_id", fields.UUIDField(db_index=True)),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "operator_sessions",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A browser in which an operator is signed in; `digest` is the SHA-256 of the "
                "token in its cookie.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([LOG]),
    ]
