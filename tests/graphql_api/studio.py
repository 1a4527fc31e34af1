"""A workspace with one of everything, made by the operations themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from msgspec import structs

from msvs.api import ids
from msvs.api.accounts import keys, users
from msvs.api.audit import AUDIT_ENTRY, AuditAction
from msvs.api.campaigns import campaigns, enrollments, sequences
from msvs.api.campaigns.sequence_requests import CreateSequence, EnrollContact, Template
from msvs.api.campaigns.variants import AbTestOptions, VariantOptions
from msvs.api.contacts import segments, suppressions
from msvs.api.context import Context
from msvs.api.dispatch import senders
from msvs.api.inbound import keywords, replies
from msvs.api.messages import conversions, messages, order_hooks, snippets, templates
from msvs.api.messages.conversion_shapes import CreateConversion
from msvs.api.messages.snippets import CreateSnippet
from msvs.api.messages.templates import CreateTemplate
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.models import AuditEntry, Event, Membership, Role, User, WebhookAttempt, Workspace
from tests import factories
from tests.services import SERVICES

# A phone without a contact.
SUPPRESSED = "+12125550188"
VIP = {"field": "attributes.tier", "op": "eq", "value": "vip"}


@dataclass(frozen=True)
class Studio:
    """The public ids of what a workspace holds."""

    workspace: str
    maria: str
    ana: str
    spare: str
    contact_list: str
    keyword: str
    snippet: str
    template: str
    sequence: str
    paused_sequence: str
    draft_sequence: str
    enrollment: str
    conversion: str
    order_hook: str
    sender: str
    segment: str
    message: str
    scheduled: str
    campaign: str
    paused: str
    draft: str
    webhook: str
    attempt: str
    event: str
    inbound: str
    api_key: str
    owner: str
    member: str
    invitation: str
    audit_entry: str
    suppression: str


async def make_studio(ctx: Context, workspace: Workspace) -> Studio:
    """Contacts on a list, a segment, messages, campaigns, sequences, a webhook with an attempt, a reply, a key."""
    maria = await factories.make_contact(
        ctx, "+12125550101", first_name="Maria", email="maria@example.com", attributes={"tier": "vip"}
    )
    ana = await factories.make_contact(ctx, "+12125550102", first_name="Ana")
    spare = await factories.make_contact(ctx, "+12125550103")
    contact_list = await factories.make_list(ctx, [maria, ana])
    sender = await senders.add_sender(
        SERVICES, ctx.workspace_id, "+12125550100", regions=["US"], registration="C0HORT", is_shared=True
    )
    later = datetime.now(UTC) + timedelta(days=2)
    async with unit_of_work():
        segment = await segments.create_segment(ctx, "VIP", VIP)
        snippet = await snippets.create_snippet(ctx, CreateSnippet(name="signature", body="Ana"))
        body = "Hi {firstName|there}. {snippet.signature}"
        template = await templates.create_template(ctx, CreateTemplate(name="Close", body=body))
        keyword = await keywords.create_keyword(
            ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, contact_list.id))
        )
        suppression = await suppressions.create_suppression(ctx, SUPPRESSED, source="complaint")
        webhook, _ = await endpoints.create_webhook(
            ctx, endpoints.CreateWebhook(url="https://hooks.cohortlabs.co/sms", events=["message.queued"])
        )
        message = await messages.send_message(ctx, messages.SendMessage(to=maria.phone, body="Doors open at 8pm ET."))
        scheduled = await messages.send_message(
            ctx, messages.SendMessage(to=ana.phone, body="Tomorrow.", scheduled_at=later)
        )
        new = campaigns.CreateCampaign(
            name="Cart close", body="Hey {firstName|there}", list_ids=[contact_list.id], scheduled_at=later
        )
        campaign = await campaigns.create_campaign(ctx, new)
        paused = await campaigns.create_campaign(ctx, new)
        await campaigns.pause_campaign(ctx, paused.id)
        test = AbTestOptions(variants=[VariantOptions(), VariantOptions(body="Hey you")])
        draft = await campaigns.create_campaign(ctx, structs.replace(new, draft=True, ab_test=test))
        sequence = await sequences.create_sequence(ctx, CreateSequence(name="Welcome", template=Template.WELCOME))
        await sequences.publish_sequence(ctx, sequence.id)
        paused_sequence = await sequences.create_sequence(ctx, CreateSequence(name="Held", template=Template.WELCOME))
        await sequences.publish_sequence(ctx, paused_sequence.id)
        await sequences.pause_sequence(ctx, paused_sequence.id)
        draft_sequence = await sequences.create_sequence(ctx, CreateSequence(name="Again", template=Template.WELCOME))
        order = CreateConversion(phone=maria.phone, order_id="1042", value=14900, currency="USD")
        conversion = await conversions.create_conversion(ctx, order)
        order_hook, _ = await order_hooks.create_order_hook(ctx, order_hooks.CreateOrderHook(type="shopify"))
        api_key, _ = await keys.create_key(ctx.workspace_id, livemode=ctx.livemode, name="Backend")
        owner = await make_member(workspace, "Rosa", Role.OWNER)
        member = await make_member(workspace, "Luis", Role.MEMBER)
        as_owner = replace(ctx, actor=ids.encode_id(ids.USER, owner.id), role=Role.OWNER)
        invitation, _ = await users.invite_member(as_owner, email="new@cohortlabs.co", role=Role.ADMIN)
        inbound = await replies.receive_inbound(
            ctx, from_phone=maria.phone, to_sender="MASSIVESMS", text="When?", dedupe_key="1"
        )
        # After the reply, by which a contact leaves.
        named = EnrollContact(contact_id=ids.encode_id(ids.CONTACT, maria.id))
        enrollment = await enrollments.enroll_contact(ctx, sequence.id, named)
    event = await Event.filter(workspace_id=ctx.workspace_id, type="message.queued").order_by("-id").first()
    assert event is not None
    invited = await AuditEntry.filter(workspace_id=ctx.workspace_id, action=AuditAction.MEMBER_INVITED).first()
    assert invited is not None
    attempt = await WebhookAttempt.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        endpoint_id=webhook.id,
        event_id=event.id,
        number=1,
        status_code=500,
        error="status 500",
        response_head="oops",
        elapsed_ms=12,
    )
    return Studio(
        workspace=ids.encode_id(ids.WORKSPACE, workspace.id),
        maria=ids.encode_id(ids.CONTACT, maria.id),
        ana=ids.encode_id(ids.CONTACT, ana.id),
        spare=ids.encode_id(ids.CONTACT, spare.id),
        contact_list=ids.encode_id(ids.CONTACT_LIST, contact_list.id),
        keyword=ids.encode_id(ids.KEYWORD, keyword.id),
        snippet=ids.encode_id(ids.SNIPPET, snippet.id),
        template=ids.encode_id(ids.TEMPLATE, template.id),
        sequence=ids.encode_id(ids.SEQUENCE, sequence.id),
        paused_sequence=ids.encode_id(ids.SEQUENCE, paused_sequence.id),
        draft_sequence=ids.encode_id(ids.SEQUENCE, draft_sequence.id),
        enrollment=enrollment.id,
        conversion=ids.encode_id(ids.CONVERSION, conversion.id),
        order_hook=ids.encode_id(ids.ORDER_HOOK, order_hook.id),
        sender=ids.encode_id(ids.SENDER, sender.id),
        segment=ids.encode_id(ids.SEGMENT, segment.id),
        message=ids.encode_id(ids.MESSAGE, message.id),
        scheduled=ids.encode_id(ids.MESSAGE, scheduled.id),
        campaign=ids.encode_id(ids.CAMPAIGN, campaign.id),
        paused=ids.encode_id(ids.CAMPAIGN, paused.id),
        draft=ids.encode_id(ids.CAMPAIGN, draft.id),
        webhook=ids.encode_id(ids.WEBHOOK, webhook.id),
        attempt=ids.encode_id(ids.ATTEMPT, attempt.id),
        event=ids.encode_id(ids.EVENT, event.id),
        inbound=ids.encode_id(ids.INBOUND, inbound.id),
        api_key=ids.encode_id(ids.API_KEY, api_key.id),
        owner=ids.encode_id(ids.USER, owner.id),
        member=ids.encode_id(ids.USER, member.id),
        invitation=ids.encode_id(users.INVITATION, invitation.id),
        audit_entry=ids.encode_id(AUDIT_ENTRY, invited.id),
        suppression=ids.encode_id(suppressions.SUPPRESSION, suppression.id),
    )


async def make_member(workspace: Workspace, name: str, role: Role) -> User:
    """A user with a place in the workspace."""
    user = await User.create(email=f"{name.lower()}.{ids.new_id().hex}@cohortlabs.co", name=name, password_hash="-")
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=role)
    return user
