"""The first tables."""

import functools
from json import dumps, loads
from uuid import uuid4

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.campaigns import CampaignStatus
from msvs.models.contacts import OptInStatus
from msvs.models.credits import LedgerKind
from msvs.models.identity import new_id
from msvs.models.messages import MessageKind, MessageStatus
from msvs.models.webhooks import DeliveryState


class Migration(migrations.Migration):
    initial = True

    operations = [
        ops.CreateModel(
            name="ApiKey",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField(db_index=True)),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(default="", max_length=100)),
                ("digest", fields.CharField(unique=True, max_length=64)),
                ("prefix", fields.CharField(max_length=16)),
                ("last4", fields.CharField(max_length=4)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("revoked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_used_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "api_keys",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A bearer key of one workspace and mode; `digest` is the SHA-256 of the whole key.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Campaign",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=200)),
                ("body", fields.TextField(unique=False)),
                ("sender", fields.CharField(max_length=16)),
                ("audience", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                (
                    "metadata",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "status",
                    fields.CharEnumField(
                        description="SCHEDULED: scheduled\nPREPARING: preparing\nSENDING: sending\nPAUSED: paused\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed",
                        enum_type=CampaignStatus,
                        max_length=10,
                    ),
                ),
                (
                    "resume_status",
                    fields.CharEnumField(
                        null=True,
                        description="SCHEDULED: scheduled\nPREPARING: preparing\nSENDING: sending\nPAUSED: paused\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed",
                        enum_type=CampaignStatus,
                        max_length=10,
                    ),
                ),
                ("pause_reason", fields.CharField(null=True, max_length=30)),
                ("scheduled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("started_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("dispatched_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("completed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("canceled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "campaigns",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A campaign. `resume_status` is what a paused one goes back to.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ConsentEvent",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("phone", fields.CharField(max_length=16)),
                ("contact_id", fields.UUIDField(null=True)),
                (
                    "status",
                    fields.CharEnumField(
                        description="UNKNOWN: unknown\nPENDING: pending\nOPTED_IN: opted_in\nOPTED_OUT: opted_out",
                        enum_type=OptInStatus,
                        max_length=10,
                    ),
                ),
                ("source", fields.CharField(null=True, max_length=100)),
                ("ip", fields.CharField(null=True, max_length=45)),
                ("actor", fields.CharField(max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "consent_events",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "phone", "id"])],
                "pk_attr": "id",
                "table_description": "One change of a phone's consent, with its evidence. Append-only; it outlives the contact.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Contact",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("phone", fields.CharField(max_length=16)),
                ("region", fields.CharField(null=True, max_length=3)),
                ("number_kind", fields.CharField(default="unknown", max_length=24)),
                ("first_name", fields.CharField(null=True, max_length=100)),
                ("last_name", fields.CharField(null=True, max_length=100)),
                ("email", fields.CharField(null=True, max_length=254)),
                (
                    "attributes",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "opt_in_status",
                    fields.CharEnumField(
                        default=OptInStatus.UNKNOWN,
                        description="UNKNOWN: unknown\nPENDING: pending\nOPTED_IN: opted_in\nOPTED_OUT: opted_out",
                        enum_type=OptInStatus,
                        max_length=10,
                    ),
                ),
                ("opt_in_source", fields.CharField(null=True, max_length=100)),
                ("opt_in_ip", fields.CharField(null=True, max_length=45)),
                ("opt_in_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "contacts",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "phone"),),
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A person with one phone, in one mode of a workspace.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ContactList",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=200)),
                ("kind", fields.CharField(default="static", max_length=10)),
                ("contact_count", fields.IntField(default=0)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "contact_lists",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A named collection of contacts. `contact_count` is kept by a trigger, so that reading it costs nothing.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="CreditBalance",
            fields=[
                ("workspace_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("balance", fields.BigIntField(default=0)),
                ("total_lifetime", fields.BigIntField(default=0)),
                ("low_balance_threshold", fields.BigIntField(default=1000)),
                ("low_notified", fields.BooleanField(default=False)),
            ],
            options={
                "table": "credit_balances",
                "app": "msvs",
                "pk_attr": "workspace_id",
                "table_description": "The workspace's live balance, in credits. The database refuses a negative one.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Event",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("type", fields.CharField(max_length=40)),
                ("resource_id", fields.UUIDField(null=True)),
                ("data", fields.TextField(unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "events",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "One event; `data` is the JSON text of the resource as it stood then, delivered byte for byte.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdempotencyRecord",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("key", fields.CharField(max_length=255)),
                ("fingerprint", fields.CharField(max_length=64)),
                ("status_code", fields.SmallIntField()),
                ("body", fields.TextField(unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "idempotency_records",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "key"),),
                "indexes": [Index(fields=["created_at"])],
                "pk_attr": "id",
                "table_description": "The answer to the first request with this key, stored in the transaction of its effect.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="InboundMessage",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("from_phone", fields.CharField(max_length=16)),
                ("to_sender", fields.CharField(max_length=16)),
                ("body", fields.TextField(unique=False)),
                ("keyword", fields.CharField(null=True, max_length=10)),
                ("contact_id", fields.UUIDField(null=True)),
                ("message_id", fields.UUIDField(null=True)),
                ("dedupe_key", fields.CharField(max_length=100)),
                ("received_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "inbound_messages",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "dedupe_key"),),
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A reply. `dedupe_key` is the carrier's own id of it, so that a repeated delivery changes nothing.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="GRANT: grant\nPURCHASE: purchase\nRESERVE: reserve\nCAPTURE: capture\nRELEASE: release",
                        enum_type=LedgerKind,
                        max_length=10,
                    ),
                ),
                ("reference", fields.CharField(max_length=64)),
                ("amount", fields.BigIntField()),
                ("note", fields.CharField(default="", max_length=200)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "ledger_entries",
                "app": "msvs",
                "unique_together": (("workspace_id", "kind", "reference"),),
                "pk_attr": "id",
                "table_description": "One movement of credits, unique by kind and reference; the database refuses UPDATE and DELETE.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ListMember",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("list_id", fields.UUIDField()),
                ("contact_id", fields.UUIDField(db_index=True)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "list_members",
                "app": "msvs",
                "unique_together": (("list_id", "contact_id"),),
                "pk_attr": "id",
                "table_description": "A contact's place on a list.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Message",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="API: api\nCAMPAIGN: campaign\nAUTO: auto", enum_type=MessageKind, max_length=10
                    ),
                ),
                ("campaign_id", fields.UUIDField(null=True)),
                ("contact_id", fields.UUIDField(null=True)),
                ("to_phone", fields.CharField(max_length=16)),
                ("sender", fields.CharField(max_length=16)),
                ("body", fields.TextField(unique=False)),
                ("encoding", fields.CharField(max_length=4)),
                ("segments", fields.SmallIntField()),
                ("credits_used", fields.SmallIntField(default=0)),
                (
                    "status",
                    fields.CharEnumField(
                        description="SCHEDULED: scheduled\nQUEUED: queued\nSENDING: sending\nSENT: sent\nDELIVERED: delivered\nFAILED: failed\nREPLIED: replied\nCANCELED: canceled\nSKIPPED: skipped",
                        enum_type=MessageStatus,
                        max_length=10,
                    ),
                ),
                ("delivery", fields.CharField(null=True, max_length=10)),
                ("error_code", fields.CharField(null=True, max_length=40)),
                (
                    "metadata",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("scheduled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("sent_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("delivered_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("failed_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("canceled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("replied_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("opted_out", fields.BooleanField(default=False)),
                ("claim_token", fields.UUIDField(null=True)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("attempt_count", fields.SmallIntField(default=0)),
                ("carrier", fields.CharField(null=True, max_length=30)),
                ("carrier_ref", fields.CharField(null=True, max_length=100)),
            ],
            options={
                "table": "messages",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "One SMS to one phone.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MessageAttempt",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("message_id", fields.UUIDField(db_index=True)),
                ("claim_token", fields.UUIDField()),
                ("carrier", fields.CharField(max_length=30)),
                ("outcome", fields.CharField(null=True, max_length=10)),
                ("error_code", fields.CharField(null=True, max_length=40)),
                ("started_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "message_attempts",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "One try to hand a message to a carrier: written before the network, concluded after it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Segment",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=200)),
                (
                    "conditions",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "segments",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A named filter, kept as the JSON it was given.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Suppression",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("phone", fields.CharField(max_length=16)),
                ("source", fields.CharField(max_length=100)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "suppressions",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "phone"),),
                "pk_attr": "id",
                "table_description": "A phone that said STOP: nothing is sent to it, whether or not a contact exists.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="VirtualSignal",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("message_id", fields.UUIDField()),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("kind", fields.CharField(max_length=10)),
                ("error_code", fields.CharField(null=True, max_length=40)),
                ("phone", fields.CharField(max_length=16)),
                ("sender", fields.CharField(max_length=16)),
                ("text", fields.TextField(default="", unique=False)),
                ("due_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "virtual_signals",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A delivery report or reply that the virtual carrier will bring at `due_at`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="VirtualSubmission",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("message_id", fields.UUIDField(db_index=True)),
                ("dedupe_key", fields.UUIDField(null=True, unique=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("to_phone", fields.CharField(max_length=16)),
                ("segments", fields.SmallIntField()),
                ("accepted_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "virtual_submissions",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "One message the virtual carrier took. Append-only; not unique by message, so that a double send shows.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WebhookAttempt",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("endpoint_id", fields.UUIDField()),
                ("event_id", fields.UUIDField()),
                ("number", fields.SmallIntField()),
                ("status_code", fields.SmallIntField(null=True)),
                ("error", fields.CharField(null=True, max_length=200)),
                ("response_head", fields.TextField(default="", unique=False)),
                ("elapsed_ms", fields.IntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "webhook_attempts",
                "app": "msvs",
                "indexes": [Index(fields=["endpoint_id", "id"])],
                "pk_attr": "id",
                "table_description": "One POST to an endpoint and what came of it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("endpoint_id", fields.UUIDField()),
                ("event_id", fields.UUIDField()),
                (
                    "state",
                    fields.CharEnumField(
                        default=DeliveryState.PENDING,
                        description="PENDING: pending\nSUCCEEDED: succeeded\nEXHAUSTED: exhausted\nDROPPED: dropped",
                        enum_type=DeliveryState,
                        max_length=10,
                    ),
                ),
                ("attempt_count", fields.SmallIntField(default=0)),
                ("next_attempt_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "webhook_deliveries",
                "app": "msvs",
                "unique_together": (("endpoint_id", "event_id"),),
                "indexes": [Index(fields=["event_id"])],
                "pk_attr": "id",
                "table_description": "One event on its way to one endpoint.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("url", fields.CharField(max_length=2048)),
                ("events", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("description", fields.CharField(default="", max_length=200)),
                ("enabled", fields.BooleanField(default=True)),
                ("disabled_reason", fields.CharField(null=True, max_length=30)),
                ("secret_sealed", fields.TextField(unique=False)),
                ("previous_secret_sealed", fields.TextField(null=True, unique=False)),
                ("previous_secret_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("failing_since", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "webhook_endpoints",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "A subscription. Secrets are sealed; the previous one counts until `previous_secret_until`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Workspace",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("name", fields.CharField(max_length=100)),
                ("default_sender", fields.CharField(default="MASSIVESMS", max_length=16)),
                ("double_opt_in", fields.BooleanField(default=False)),
                ("campaigns_admit_unknown", fields.BooleanField(default=False)),
                (
                    "blocked_regions",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("timezone", fields.CharField(default="UTC", max_length=64)),
                (
                    "opt_in_text",
                    fields.TextField(
                        default="Reply YES to confirm your subscription. Reply STOP to opt out.", unique=False
                    ),
                ),
                (
                    "opt_out_text",
                    fields.TextField(
                        default="You are unsubscribed and will get no more messages. Reply START to resubscribe.",
                        unique=False,
                    ),
                ),
                ("welcome_text", fields.TextField(default="You are subscribed. Reply STOP to opt out.", unique=False)),
                ("help_text", fields.TextField(default="Reply STOP to opt out, START to resubscribe.", unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "workspaces",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A tenant. Its settings hold for both modes.",
            },
            bases=["Model"],
        ),
    ]
