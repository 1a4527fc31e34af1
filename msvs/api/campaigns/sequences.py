"""Sequences: draft, publish, read, change, pause, resume, archive."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.campaigns import sequence_stats as statistics
from msvs.api.campaigns.approvals import require_second_person
from msvs.api.campaigns.checks import check_campaign_sender, check_local_time
from msvs.api.campaigns.exclusions import known_ids
from msvs.api.campaigns.sequence_requests import (
    ENTRY_EVENTS,
    KEY_PATTERN,
    MAX_MINUTES,
    MAX_NAME,
    MAX_STEPS,
    MAX_TRIGGERS,
    CreateSequence,
    Definition,
    ListSequences,
    SequenceEntry,
    SequenceStep,
    StepCondition,
    UpdateSequence,
)
from msvs.api.campaigns.sequence_shapes import SequenceResource, sequence_resource, sequence_version
from msvs.api.campaigns.sequence_templates import TEMPLATES
from msvs.api.campaigns.sequence_versions import kept_definition, published, read_definition
from msvs.api.campaigns.texts import read_steps
from msvs.api.contacts.details import read_name
from msvs.api.contacts.segments import check_filter
from msvs.api.contacts.tags import read_tags
from msvs.api.context import Context
from msvs.api.dispatch import halting
from msvs.api.dispatch.routing import require_carrier
from msvs.api.dispatch.senders import check_sender
from msvs.api.dispatch.short_links import body_template
from msvs.api.errors import ApiError, Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute
from msvs.database import now as clock
from msvs.json_types import JSON, JSONObject
from msvs.models import (
    Campaign,
    CampaignStatus,
    ContactList,
    Keyword,
    MessageSequence,
    OnUnknown,
    SequenceStatus,
    SequenceVersion,
)

NOUN = "sequence"
RUNNING = (CampaignStatus.SENDING, CampaignStatus.PAUSED)
# What names a person, whom an erasure would have to find in what never changes.
PERSONAL_FIELDS = frozenset(("phone", "email", "first_name", "last_name"))


async def create_sequence(ctx: Context, data: CreateSequence) -> MessageSequence:
    """Make a draft of a sequence, of a template if one is named. Raises InvalidRequest."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    base = Definition() if data.template is None else TEMPLATES[data.template]
    told = {name: getattr(data, name) for name in Definition.__struct_fields__}
    if data.steps is not None:
        told["steps"] = await read_steps(ctx, data.steps)
    definition = msgspec.structs.replace(base, **{name: value for name, value in told.items() if value is not None})
    await _check_definition(ctx, definition)
    return await MessageSequence.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=read_name(data.name, param="name", maximum=MAX_NAME),
        definition=kept_definition(definition),
        changed_by=ctx.actor,
    )


async def update_sequence(ctx: Context, id: UUID, data: UpdateSequence) -> MessageSequence:
    """Change a sequence; all who are inside stay on the version that they entered. Raises NotFound, Conflict,
    InvalidRequest.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status == SequenceStatus.ARCHIVED:
        raise _wrong_state(row)
    check_version(data.version, sequence_version(row), NOUN)
    told = {name: getattr(data, name) for name in Definition.__struct_fields__}
    changes = {name: value for name, value in told.items() if value is not UNSET}
    if data.steps is not UNSET:
        changes["steps"] = await read_steps(ctx, data.steps)
    definition = msgspec.structs.replace(read_definition(row.definition), **changes)
    await _check_definition(ctx, definition)
    row.definition = kept_definition(definition)
    if data.name is not UNSET:
        row.name = read_name(data.name, param="name", maximum=MAX_NAME)
    row.changed_by = ctx.actor
    await row.save(update_fields=["name", "definition", "changed_by", "updated_at"])
    return row


async def get_sequence(ctx: Context, id: UUID) -> MessageSequence:
    """Return one sequence. Raises NotFound."""
    return await find(ctx, MessageSequence, id, prefix=ids.SEQUENCE, noun=NOUN)


async def list_sequences(ctx: Context, page: PageRequest, which: ListSequences | None = None) -> Page[MessageSequence]:
    """Sequences, newest first; archived ones only where they are asked for. Raises InvalidRequest."""
    return await fetch_page(sequence_query(ctx, which or ListSequences()), page)


def sequence_query(ctx: Context, which: ListSequences) -> QuerySet[MessageSequence]:
    """Return the query of the sequences of a status. Raises InvalidRequest."""
    query = scoped(ctx, MessageSequence)
    if which.status is None:
        return query.filter(status__not=SequenceStatus.ARCHIVED)
    if which.status not in {*SequenceStatus}:
        raise InvalidRequest(f"status must be one of {', '.join(SequenceStatus)}.", param="status")
    return query.filter(status=SequenceStatus(which.status))


async def delete_sequence(ctx: Context, id: UUID) -> None:
    """Forget a draft. Raises NotFound, and Conflict for a sequence that was published."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status != SequenceStatus.DRAFT:
        raise _wrong_state(row)
    await row.delete()


async def sequence_resources(ctx: Context, rows: Sequence[MessageSequence]) -> list[SequenceResource]:
    """Return the shapes of the caller's sequences, with their stats."""
    stats = await statistics.sequence_stats(ctx, [row.id for row in rows])
    numbers = {row.id: row.number for row in rows if row.number}
    versions = scoped(ctx, SequenceVersion).filter(sequence_id__in=list(numbers), number__in=set(numbers.values()))
    found = await versions if numbers else []
    current = {each.sequence_id: published(each) for each in found if each.number == numbers[each.sequence_id]}
    return [sequence_resource(row, stats[row.id], current.get(row.id)) for row in rows]


async def publish_sequence(ctx: Context, id: UUID) -> MessageSequence:
    """Publish a sequence as it stands: contacts enter this version from now on. Raises NotFound, Conflict,
    InvalidRequest and ComplianceRefused.

    Where nothing was changed since, it stays as it is; a paused one stays paused.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status == SequenceStatus.ARCHIVED:
        raise _wrong_state(row)
    definition = read_definition(row.definition)
    await _check_definition(ctx, definition)
    _check_complete(definition)
    require_carrier(ctx.services, ctx.livemode)
    settings = await find_settings(ctx)
    if settings.approval_threshold is not None:
        # Whom a sequence will reach is not known when it is published.
        await require_second_person(ctx, row.changed_by)
    sender = await check_campaign_sender(ctx, settings, definition.from_)
    if row.number:
        last = await scoped(ctx, SequenceVersion).get(sequence_id=id, number=row.number)
        if last.definition == row.definition:
            return row
    now = await clock()
    row.number += 1
    campaigns = [_step_campaign(ctx, row, step, sender, definition, now) for step in definition.steps]
    for campaign in campaigns:
        await campaign.save(force_create=True)
    await SequenceVersion.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        sequence_id=id,
        number=row.number,
        definition=row.definition,
        campaign_ids=[str(campaign.id) for campaign in campaigns],
        leaves_on_reply=definition.leave_on_reply,
    )
    row.published_at = now
    if row.status == SequenceStatus.DRAFT:
        row.status = SequenceStatus.ACTIVE
    await row.save(update_fields=["number", "published_at", "status"])
    await _write_triggers(ctx, id, definition.entry)
    return await _record(ctx, EventType.SEQUENCE_PUBLISHED, row, now)


def _step_campaign(
    ctx: Context, row: MessageSequence, step: SequenceStep, sender: str, definition: Definition, now: datetime
) -> Campaign:
    """Return the campaign as which a step sends: it runs for as long as the version does."""
    is_paused = row.status == SequenceStatus.PAUSED
    return Campaign(
        id=ids.new_id(),
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        sequence_id=row.id,
        name=f"{row.name}: {step.key}"[:MAX_NAME],
        body=step.body,
        sender=sender,
        audience={},
        status=CampaignStatus.PAUSED if is_paused else CampaignStatus.SENDING,
        resume_status=CampaignStatus.SENDING if is_paused else None,
        pause_reason="manual" if is_paused else None,
        started_at=now,
        dispatched_at=now,
        respects_quiet_hours=definition.quiet_hours,
        on_unknown=OnUnknown.NEVER,
        shorten_links=bool(step.shorten_links),
    )


DELETE_TRIGGERS = "DELETE FROM sequence_triggers WHERE sequence_id = $3 AND workspace_id = $1 AND livemode = $2"
WRITE_TRIGGERS = """
INSERT INTO sequence_triggers (sequence_id, kind, value, workspace_id, livemode)
SELECT $3, kind, value, $1, $2 FROM unnest($4::varchar[], $5::varchar[]) AS named (kind, value)
"""


async def _write_triggers(ctx: Context, id: UUID, entry: SequenceEntry | None) -> None:
    await execute(DELETE_TRIGGERS, ctx.workspace_id, ctx.livemode, id)
    if entry is None:
        return
    named = {
        *(("list", str(ids.decode_id(ids.CONTACT_LIST, text))) for text in entry.list_ids or ()),
        *(("keyword", str(ids.decode_id(ids.KEYWORD, text))) for text in entry.keyword_ids or ()),
        *(("tag", tag) for tag in read_tags(entry.tags or (), param="entry.tags")),
        *(("event", event) for event in entry.events or ()),
    }
    if named:
        kinds, values = zip(*sorted(named), strict=True)
        await execute(WRITE_TRIGGERS, ctx.workspace_id, ctx.livemode, id, list(kinds), list(values))


async def pause_sequence(ctx: Context, id: UUID) -> MessageSequence:
    """Hold a sequence: no step is taken, and no message handed to a carrier, until it is resumed; contacts still enter.

    Raises NotFound, and Conflict unless it is active; pausing a paused one changes nothing.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status == SequenceStatus.PAUSED:
        return row
    if row.status != SequenceStatus.ACTIVE:
        raise _wrong_state(row)
    row.status = SequenceStatus.PAUSED
    await row.save(update_fields=["status"])
    await _halt(ctx, id, halting.PAUSE_STEP)
    return await _record(ctx, EventType.SEQUENCE_PAUSED, row, await clock())


RESUME = """
UPDATE campaigns SET status = 'sending', resume_status = NULL, pause_reason = NULL
WHERE sequence_id = $3 AND workspace_id = $1 AND livemode = $2 AND status = 'paused' AND pause_reason = 'manual'
"""


async def resume_sequence(ctx: Context, id: UUID) -> MessageSequence:
    """Let a paused sequence go on. Raises NotFound, and Conflict unless it is paused."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status != SequenceStatus.PAUSED:
        raise _wrong_state(row)
    require_carrier(ctx.services, ctx.livemode)
    row.status = SequenceStatus.ACTIVE
    await row.save(update_fields=["status"])
    await execute(RESUME, ctx.workspace_id, ctx.livemode, id)
    notify_after_commit(WorkQueue.CAMPAIGNS)
    notify_after_commit(WorkQueue.MESSAGES)
    return await _record(ctx, EventType.SEQUENCE_RESUMED, row, await clock())


async def archive_sequence(ctx: Context, id: UUID) -> MessageSequence:
    """End a sequence for good: all who are inside leave, and what no carrier has is never sent.

    Raises NotFound, and Conflict for a draft; archiving an archived one changes nothing.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await _lock(ctx, id)
    if row.status == SequenceStatus.ARCHIVED:
        return row
    if row.status == SequenceStatus.DRAFT:
        raise _wrong_state(row)
    now = await clock()
    row.status, row.archived_at = SequenceStatus.ARCHIVED, now
    await row.save(update_fields=["status", "archived_at"])
    await execute(DELETE_TRIGGERS, ctx.workspace_id, ctx.livemode, id)
    await _halt(ctx, id, halting.CANCEL_STEP)
    notify_after_commit(WorkQueue.CAMPAIGNS)
    return await _record(ctx, EventType.SEQUENCE_ARCHIVED, row, now)


async def _record(ctx: Context, type: EventType, row: MessageSequence, now: datetime) -> MessageSequence:
    """Record an event of a sequence as it now stands, and return it."""
    data = (await sequence_resources(ctx, [row]))[0]
    await record_events([NewEvent(type, row.workspace_id, row.livemode, row.id, data)], now)
    return row


async def _halt(ctx: Context, id: UUID, statement: str) -> None:
    """Halt the campaigns of all steps, in the order of their ids."""
    for campaign in await scoped(ctx, Campaign).filter(sequence_id=id, status__in=RUNNING).order_by("id").only("id"):
        await halting.halt(ctx, campaign.id, statement)


async def _lock(ctx: Context, id: UUID) -> MessageSequence:
    return await find(ctx, MessageSequence, id, prefix=ids.SEQUENCE, noun=NOUN, lock=True)


def _wrong_state(row: MessageSequence) -> Conflict:
    return Conflict(f"The sequence is {row.status}.", code=ErrorCode.SEQUENCE_STATE)


async def _check_definition(ctx: Context, definition: Definition) -> None:
    """Check all that can be checked of a draft. Raises InvalidRequest and ComplianceRefused."""
    if definition.from_ is not None:
        check_sender(definition.from_)
    if len(definition.steps) > MAX_STEPS:
        raise InvalidRequest(
            f"steps holds at most {MAX_STEPS} steps.", param="steps", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    earlier: set[str] = set()
    for place, step in enumerate(definition.steps):
        await _check_step(ctx, step, f"steps[{place}]", earlier)
        earlier.add(step.key)
    if definition.goal is not None:
        await _check_filter(ctx, definition.goal, "goal")
    if definition.entry is not None:
        await _check_entry(ctx, definition.entry)


_is_key = re.compile(KEY_PATTERN).fullmatch


async def _check_step(ctx: Context, step: SequenceStep, param: str, earlier: Collection[str]) -> None:
    if not _is_key(step.key):
        raise InvalidRequest("A key has 1 to 40 lower-case letters, digits, - and _.", param=f"{param}.key")
    if step.key in earlier:
        raise InvalidRequest(f"There are two steps with the key {step.key}.", param=f"{param}.key")
    for name, least in (("wait_minutes", 0), ("anchor_minutes", -MAX_MINUTES)):
        minutes = getattr(step, name)
        if minutes is not None and not least <= minutes <= MAX_MINUTES:
            raise InvalidRequest(
                f"{name} must be from {least} to {MAX_MINUTES}.",
                param=f"{param}.{name}",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
    if step.anchor_minutes is not None and step.wait_minutes:
        raise InvalidRequest("Give wait_minutes or anchor_minutes, not both.", param=f"{param}.anchor_minutes")
    try:
        check_local_time(step.send_at_local)
        body_template(ctx.services, step.body, shorten_links=bool(step.shorten_links))
    except ApiError as error:
        error.param = f"{param}.{error.param}"
        raise
    if step.only_if is not None:
        await _check_condition(ctx, step.only_if, f"{param}.only_if", earlier)


async def _check_condition(ctx: Context, condition: StepCondition, param: str, earlier: Collection[str]) -> None:
    for name in ("clicked", "not_clicked", "replied", "not_replied"):
        key = getattr(condition, name)
        if key is not None and key not in earlier:
            raise InvalidRequest(f"No earlier step has the key '{key[:MAX_NAME]}'.", param=f"{param}.{name}")
    if condition.filter is not None:
        await _check_filter(ctx, condition.filter, f"{param}.filter")


async def _check_filter(ctx: Context, filter: JSONObject, param: str) -> None:
    """Check a filter that versions keep for good: it names no person. Raises InvalidRequest."""
    try:
        await check_filter(ctx, filter)
    except InvalidRequest as error:
        error.param = param + (error.param or "").removeprefix("filter")
        raise
    _refuse_personal(filter, param)


def _refuse_personal(node: JSON, param: str) -> None:
    if isinstance(node, list):
        for place, each in enumerate(node):
            _refuse_personal(each, f"{param}[{place}]")
    elif isinstance(node, dict):
        if node.get("field") in PERSONAL_FIELDS:
            raise InvalidRequest(
                f"A sequence cannot ask for {node['field']}, which names a person; use a tag, a list or an attribute.",
                param=f"{param}.field",
            )
        for name in ("all", "any", "not"):
            if name in node:
                _refuse_personal(node[name], f"{param}.{name}")


async def _check_entry(ctx: Context, entry: SequenceEntry) -> None:
    lists, keywords = entry.list_ids, entry.keyword_ids
    await known_ids(
        ctx, ContactList, lists, param="entry.list_ids", prefix=ids.CONTACT_LIST, noun="list", most=MAX_TRIGGERS
    )
    await known_ids(
        ctx, Keyword, keywords, param="entry.keyword_ids", prefix=ids.KEYWORD, noun="keyword", most=MAX_TRIGGERS
    )
    read_tags(entry.tags or (), param="entry.tags")
    if len(entry.events or ()) > len(ENTRY_EVENTS):
        raise InvalidRequest(
            f"entry.events holds at most {len(ENTRY_EVENTS)} events.",
            param="entry.events",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    for place, event in enumerate(entry.events or ()):
        if event not in ENTRY_EVENTS:
            raise InvalidRequest(f"events must be some of {', '.join(ENTRY_EVENTS)}.", param=f"entry.events[{place}]")


def _check_complete(definition: Definition) -> None:
    """Refuse to publish what could not run. Raises InvalidRequest."""
    if not definition.steps:
        raise InvalidRequest("A sequence needs a step.", param="steps", code=ErrorCode.PARAMETER_MISSING)
    entry = definition.entry
    enters = entry is not None and (entry.list_ids or entry.keyword_ids or entry.tags or entry.events)
    if enters and definition.is_anchored and definition.anchor_at is None:
        raise InvalidRequest(
            "Steps count from an anchor: give anchor_at, or let contacts enter by calls that give it.",
            param="anchor_at",
            code=ErrorCode.PARAMETER_MISSING,
        )
