"""Drafts of campaigns; when a reply was read, and indexes for threads of replies."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.campaigns import CampaignStatus

STATUSES = "DRAFT: draft\nSCHEDULED: scheduled\nPREPARING: preparing\nSENDING: sending\nPAUSED: paused\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed"

INDEXES = [
    "CREATE INDEX inbound_messages_contact ON inbound_messages (contact_id, id) WHERE contact_id IS NOT NULL",
    "CREATE INDEX inbound_messages_message ON inbound_messages (message_id, id) WHERE message_id IS NOT NULL",
    "CREATE INDEX inbound_messages_unread ON inbound_messages (workspace_id, livemode, id) WHERE read_at IS NULL",
]


class Migration(migrations.Migration):
    dependencies = [("msvs", "0003_users")]

    initial = False

    operations = [
        ops.AlterField(
            model_name="Campaign",
            name="resume_status",
            field=fields.CharEnumField(null=True, description=STATUSES, enum_type=CampaignStatus, max_length=10),
        ),
        ops.AlterField(
            model_name="Campaign",
            name="status",
            field=fields.CharEnumField(description=STATUSES, enum_type=CampaignStatus, max_length=10),
        ),
        ops.AddField(
            model_name="InboundMessage",
            name="read_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.RunSQL(INDEXES),
    ]
