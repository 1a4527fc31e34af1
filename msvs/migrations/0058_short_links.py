"""Short links and their clicks."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

# The table is new and empty, so building its indexes blocks nothing.
INDEXES = """
CREATE INDEX short_links_message ON short_links (message_id, position);
CREATE INDEX short_links_contact ON short_links (contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX short_links_clicked ON short_links (campaign_id) INCLUDE (message_id, clicks) WHERE clicks > 0;
CREATE INDEX short_links_expires ON short_links (expires_at);
"""
# Whom a link went to and where it leads stays as it was sent.
SEAL = """
CREATE FUNCTION refuse_new_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The target of a short link never changes.' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER short_links_sealed BEFORE UPDATE ON short_links FOR EACH ROW
WHEN (OLD.url IS DISTINCT FROM NEW.url OR OLD.code IS DISTINCT FROM NEW.code
    OR OLD.message_id IS DISTINCT FROM NEW.message_id)
EXECUTE FUNCTION refuse_new_target();
"""
UNSEAL = "DROP TRIGGER short_links_sealed ON short_links; DROP FUNCTION refuse_new_target()"


class Migration(migrations.Migration):
    """Adds the table, and what campaigns say of their links."""

    dependencies = [("msvs", "0056_contact_caps"), ("msvs", "0057_source_choices")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ShortLink",
            fields=[
                ("code", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=12)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("message_id", fields.UUIDField()),
                ("campaign_id", fields.UUIDField(null=True)),
                ("contact_id", fields.UUIDField(null=True)),
                ("position", fields.SmallIntField()),
                ("url", fields.TextField(unique=False)),
                ("clicks", fields.IntField(default=0, db_default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("first_clicked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_clicked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "short_links",
                "app": "msvs",
                "pk_attr": "code",
                "table_description": "A short link of one message. Its code is secret, as it tells who followed it; its target never changes.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Campaign",
            name="shorten_links",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name="Campaign",
            name="utm",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.RunSQL(INDEXES, "SELECT 1"),
        ops.RunSQL(SEAL, UNSEAL),
    ]
