"""Tags of contacts, and which contacts have them."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id

MEMBERS = [
    """
    CREATE TABLE tag_members (
        tag_id uuid NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
        contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
        PRIMARY KEY (tag_id, contact_id)
    )
    """,
    # The table is new and empty, so building its index blocks nothing.
    "CREATE INDEX tag_members_contact ON tag_members (contact_id)",
    """
    CREATE FUNCTION count_tagged() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE tags SET contact_count = contact_count + added.n
        FROM (SELECT tag_id, count(*) AS n FROM new_rows GROUP BY tag_id ORDER BY tag_id) AS added
        WHERE tags.id = added.tag_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_untagged() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE tags SET contact_count = contact_count - removed.n
        FROM (SELECT tag_id, count(*) AS n FROM old_rows GROUP BY tag_id ORDER BY tag_id) AS removed
        WHERE tags.id = removed.tag_id;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER tag_members_added AFTER INSERT ON tag_members REFERENCING NEW TABLE AS new_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_tagged()",
    "CREATE TRIGGER tag_members_removed AFTER DELETE ON tag_members REFERENCING OLD TABLE AS old_rows"
    " FOR EACH STATEMENT EXECUTE FUNCTION count_untagged()",
]
DROP = ["DROP TABLE tag_members", "DROP FUNCTION count_tagged()", "DROP FUNCTION count_untagged()"]


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0050_contact_search")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Tag",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=40)),
                ("contact_count", fields.IntField(default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "tags",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "name"),),
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A word that contacts are marked with. `contact_count` is kept by a trigger, so that reading it costs nothing.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Contact",
            name="tags",
            field=fields.JSONField(
                default=list, db_default=[], encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
        ops.RunSQL(MEMBERS, DROP),
    ]
