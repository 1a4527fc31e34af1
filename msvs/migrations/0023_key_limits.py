"""Where a key may be used from, who made keys and webhooks, and scopes for reading."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# A key with scopes could read all of its mode, and what has a scope of its own now belonged to another: it keeps both.
WIDEN = """
UPDATE api_keys SET scopes = scopes
    || '["messages:read", "campaigns:read", "contacts:read", "events:read", "webhooks:read"]'::jsonb
    || '["settings:read", "credits:read", "keys:read"]'::jsonb
    || CASE WHEN scopes ? 'messages:send' THEN '["campaigns:write"]'::jsonb ELSE '[]'::jsonb END
    || CASE WHEN scopes ? 'contacts:write' THEN '["inbox:write"]'::jsonb ELSE '[]'::jsonb END
WHERE jsonb_typeof(scopes) = 'array' AND NOT scopes ? 'keys:read'
"""


class Migration(migrations.Migration):
    """Adds the columns; null in every row, so that nothing is rewritten but the keys that have scopes."""

    dependencies = [("msvs", "0022_carrier_event_names")]
    initial = False

    operations = [
        ops.AddField(model_name="ApiKey", name="allowed_ips", field=fields.JSONField(null=True)),
        ops.AddField(model_name="ApiKey", name="created_by", field=fields.CharField(null=True, max_length=40)),
        ops.AddField(model_name="WebhookEndpoint", name="created_by", field=fields.CharField(null=True, max_length=40)),
        ops.RunSQL([WIDEN]),
    ]
