"""The requests that create, change and enter a sequence, with the limits of each field."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.campaigns.requests import SendAtLocal
from msvs.api.contacts.segments import Filter
from msvs.api.contacts.tags import TAG
from msvs.api.dispatch.short_links import ShortenLinks
from msvs.api.messages.bodies import Body, TemplateId
from msvs.api.messages.messages import Sender
from msvs.api.pages import PageQuery
from msvs.api.webhooks.events import EventType
from msvs.fields import LIST_ID, PHONE_PATTERN, ULID, AwareTime, Ref, Request, Version, about, id_pattern, named
from msvs.models import EnrollmentState, SequenceStatus

MAX_NAME = 200
MAX_STEPS = 50
MAX_KEY = 40
MAX_MINUTES = 365 * 24 * 60
MAX_TRIGGERS = 50
KEY_PATTERN = f"^[a-z0-9](?:[a-z0-9_-]{{0,{MAX_KEY - 1}}})$"

# The events by which contacts enter.
ENTRY_EVENTS = (EventType.CONTACT_OPTED_IN, EventType.MESSAGE_CLICKED, EventType.MESSAGE_REPLIED)


class Otherwise(StrEnum):
    """What happens at a step whose condition a contact does not meet."""

    SKIP = "skip"
    LEAVE = "leave"


class Template(StrEnum):
    """The sequences to begin with."""

    WELCOME = "welcome"
    CHALLENGE = "challenge"
    WEBINAR_REMINDER = "webinar_reminder"


StepBody = Annotated[Body, about(example="Hey {firstName|there}, day 1 of the challenge: {link|cohortlabs.co/day-1}")]
StepKey = Annotated[str, about("A name of the step, unique in the sequence.", pattern=KEY_PATTERN)]


class StepCondition(Request, frozen=True, kw_only=True):
    """The condition of a step. All that is given must hold when its time has come."""

    filter: Annotated[Filter, about("A filter as segments have it, which the contact must match.")] | None = None
    clicked: Annotated[StepKey, about("An earlier step, a link of whose message the contact clicked.")] | None = None
    not_clicked: Annotated[StepKey, about("An earlier step, no link of whose message the contact clicked.")] | None = (
        None
    )
    replied: Annotated[StepKey, about("An earlier step to whose message the contact replied.")] | None = None
    not_replied: Annotated[StepKey, about("An earlier step to whose message the contact did not reply.")] | None = None


class SequenceStep(Request, frozen=True, kw_only=True):
    """A step of a sequence: a wait, a condition, and a message."""

    key: Annotated[StepKey, about(example="day_1")]
    body: StepBody
    wait_minutes: Annotated[
        int,
        about(
            "The number of minutes to wait after the step before it, or after entering.",
            example=1440,
            minimum=0,
            maximum=MAX_MINUTES,
        ),
    ] = 0
    anchor_minutes: (
        Annotated[
            int,
            about(
                "The number of minutes after the anchor, such as the start of a webinar, at which it is due; less than"
                " 0 for before it. It takes the place of `wait_minutes`. A step is skipped that would be more than 60"
                " minutes late.",
                minimum=-MAX_MINUTES,
                maximum=MAX_MINUTES,
            ),
        ]
        | None
    ) = None
    send_at_local: SendAtLocal | None = None
    only_if: Annotated[StepCondition, about("The condition; null to send to everyone.")] | None = None
    otherwise: (
        Annotated[
            Otherwise,
            about("What happens if the condition does not hold: `skip` the step (if none is given), or `leave`."),
        ]
        | None
    ) = None
    shorten_links: ShortenLinks | None = None


class SequenceStepCreate(SequenceStep, frozen=True, kw_only=True):
    """A step to write: `template_id` may stand for its body."""

    body: StepBody | UnsetType = UNSET  # type: ignore[assignment]
    template_id: TemplateId | None = None


class SequenceEntry(Request, frozen=True, kw_only=True):
    """How contacts enter a sequence besides calls: all who join a list, text a keyword, get a tag, or do something."""

    list_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.CONTACT_LIST), about(pattern=id_pattern(ids.CONTACT_LIST))]],
            about("Contacts that are put on one of these lists.", maxItems=MAX_TRIGGERS),
        ]
        | None
    ) = None
    keyword_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.KEYWORD), about(pattern=id_pattern(ids.KEYWORD))]],
            about("Contacts that text one of these keywords.", maxItems=MAX_TRIGGERS),
        ]
        | None
    ) = None
    tags: (
        Annotated[
            list[Annotated[str, about(**TAG)]],
            about("Contacts that get one of these tags.", maxItems=MAX_TRIGGERS),
        ]
        | None
    ) = None
    events: (
        Annotated[
            list[Annotated[str, about(enum=[*ENTRY_EVENTS])]],
            about("Contacts to whom one of these events happens.", maxItems=len(ENTRY_EVENTS)),
        ]
        | None
    ) = None


Name = Annotated[str, about("Internal name (your team only).", **named(MAX_NAME))]
Steps = Annotated[list[SequenceStepCreate], about("The steps, in their order.", maxItems=MAX_STEPS)]
Goal = Annotated[
    Filter,
    about("A filter as segments have it. A contact that matches it when a step is due leaves with the reason `goal`."),
]
LeaveOnReply = Annotated[bool, about("Whether a contact that replies leaves. True if none is given.")]
MayReenter = Annotated[
    bool, about("Whether a contact may enter again after it completed or left. False if none is given.")
]
QuietHours = Annotated[
    bool, about("Whether to hold messages during the recipients' quiet hours. True if none is given.")
]
AnchorAt = Annotated[
    AwareTime, about("The time that `anchor_minutes` count from, such as the start of a webinar, as ISO-8601.")
]

STEPS_EXAMPLE: list[dict[str, object]] = [
    {"key": "day_1", "body": "Hey {firstName|there}, day 1 of the challenge: write down your goal."},
    {"key": "day_2", "body": "Day 2: tell one person about it.", "wait_minutes": 1440, "send_at_local": "09:00"},
]


class Definition(Request, frozen=True, kw_only=True):
    """What a sequence does, as it is kept."""

    steps: list[SequenceStep] = []  # noqa: RUF012
    from_: str | None = msgspec.field(name="from", default=None)
    entry: SequenceEntry | None = None
    goal: Filter | None = None
    leave_on_reply: bool = True
    may_reenter: bool = False
    quiet_hours: bool = True
    anchor_at: AwareTime | None = None

    @property
    def is_anchored(self) -> bool:
        """Whether a step counts from an anchor."""
        return any(step.anchor_minutes is not None for step in self.steps)


class CreateSequence(Request, frozen=True, kw_only=True):
    """A new sequence, a draft until it is published."""

    name: Annotated[Name, about(example="Five-day challenge")]
    template: (
        Annotated[
            Template, about("The steps and options to begin with, for all that is not given.", example="challenge")
        ]
        | None
    ) = None
    steps: Annotated[Steps, about(example=STEPS_EXAMPLE)] | None = None
    from_: Sender | None = msgspec.field(name="from", default=None)
    entry: Annotated[SequenceEntry, about("How contacts enter.", example={"list_ids": [LIST_ID]})] | None = None
    goal: Goal | None = None
    leave_on_reply: LeaveOnReply | None = None
    may_reenter: MayReenter | None = None
    quiet_hours: QuietHours | None = None
    anchor_at: AnchorAt | None = None


class UpdateSequence(Request, frozen=True, kw_only=True):
    """Changes to a sequence, which hold for those who enter after it is published again. What is left out stays."""

    name: Annotated[Name, about(example="Seven-day challenge")] | UnsetType = UNSET
    steps: Steps | UnsetType = UNSET
    from_: Sender | UnsetType | None = msgspec.field(name="from", default=UNSET)
    entry: Annotated[SequenceEntry, about("How contacts enter; null for by calls only.")] | UnsetType | None = UNSET
    goal: Goal | UnsetType | None = UNSET
    leave_on_reply: LeaveOnReply | UnsetType = UNSET
    may_reenter: MayReenter | UnsetType = UNSET
    quiet_hours: QuietHours | UnsetType = UNSET
    anchor_at: AnchorAt | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class EnrollContact(Request, frozen=True, kw_only=True):
    """A contact that enters a sequence, by its id or its phone."""

    contact_id: (
        Annotated[
            str,
            Ref(ids.CONTACT),
            about("The contact.", pattern=id_pattern(ids.CONTACT), example=f"con_{ULID}"),
        ]
        | None
    ) = None
    phone: (
        Annotated[
            str,
            about("The phone, in E.164 format, whose contact is made if there is none.", pattern=PHONE_PATTERN),
        ]
        | None
    ) = None
    anchor_at: (
        Annotated[AnchorAt, about("The contact's own anchor in place of the sequence's, such as an appointment.")]
        | None
    ) = None


class ListSequences(PageQuery, frozen=True, kw_only=True):
    """Which sequences."""

    status: Annotated[str, about("Only sequences of this status.", enum=[*SequenceStatus])] | None = None


class ListEnrollments(PageQuery, frozen=True, kw_only=True):
    """Which enrollments."""

    state: Annotated[str, about("Only enrollments in this state.", enum=[*EnrollmentState])] | None = None
    contact_id: (
        Annotated[str, Ref(ids.CONTACT), about("Only enrollments of this contact.", pattern=id_pattern(ids.CONTACT))]
        | None
    ) = None
