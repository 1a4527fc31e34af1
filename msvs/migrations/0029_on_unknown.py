"""What messages ask for where their outcome stays unknown, which attempts did so, and what users sent."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.messages import OnUnknown

ON_UNKNOWN = fields.CharEnumField(
    default=OnUnknown.NEVER,
    description="NEVER: never\nRESEND: resend",
    db_default="never",
    enum_type=OnUnknown,
    max_length=10,
)
FALSE = fields.BooleanField(default=False, db_default=False)


class Migration(migrations.Migration):
    """Adds the columns, each with a default in the catalog; nothing is rewritten."""

    dependencies = [("msvs", "0028_accounts")]
    initial = False

    operations = [
        ops.AddField(model_name="Campaign", name="on_unknown", field=ON_UNKNOWN),
        ops.AddField(model_name="Message", name="on_unknown", field=ON_UNKNOWN),
        ops.AddField(model_name="Message", name="is_by_user", field=FALSE),
        ops.AddField(model_name="MessageAttempt", name="is_resend", field=FALSE),
        ops.AddField(model_name="MessagePart", name="hand_over", field=fields.UUIDField(null=True)),
    ]
