"""When a step is due: after its wait, at the contact's local hour, outside its quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from msvs.api.campaigns.audiences import MAX_LATE
from msvs.api.campaigns.sequence_requests import Definition, SequenceStep
from msvs.api.text import quiet_hours

# In minutes.
DAY = 24 * 60
# Anchors beyond count as these: with a year of minutes, and the hours of a zone, all stay within the calendar.
FIRST_ANCHOR, LAST_ANCHOR = datetime(3, 1, 1, tzinfo=UTC), datetime(9997, 1, 1, tzinfo=UTC)


class HasHours(Protocol):
    """The columns of a contact that say when it may be texted."""

    @property
    def phone(self) -> str: ...

    @property
    def region(self) -> str | None: ...

    @property
    def timezone(self) -> str | None: ...


class Due(NamedTuple):
    """When the wait before a step ends, and when the step may be taken then."""

    wait_until: datetime
    due_at: datetime


def hold_anchor(anchor_at: datetime) -> datetime:
    """Return an anchor, or the first or last that counts where it lies beyond."""
    return min(max(anchor_at, FIRST_ANCHOR), LAST_ANCHOR)


def wait_of(step: SequenceStep, contact: HasHours, since: datetime, anchor_at: datetime | None) -> datetime:
    """Return when the wait before a step ends, `since` the step before it; at once where its anchor is missing.

    Before a step with a local hour, whole days are days of the contact's calendar, also where clocks change.
    """
    if step.anchor_minutes is None:
        days, minutes = divmod(step.wait_minutes, DAY) if step.send_at_local is not None else (0, step.wait_minutes)
        if days:
            since = quiet_hours.days_later(quiet_hours.zones_of(contact.phone, contact.timezone), days, since)
        return since + timedelta(minutes=minutes)
    if anchor_at is None:
        return since
    return hold_anchor(anchor_at) + timedelta(minutes=step.anchor_minutes)


def since_of(step: SequenceStep, due_at: datetime, now: datetime) -> datetime:
    """Return from when the wait before a step counts, where the step before it was due at a time and is taken now.

    A step with a local hour counts from when that was due: taken a moment late, "a day later, at nine" would come two
    days later. After a longer delay it counts from now, as others do, so that two messages never come at once.
    """
    forgiven = min(MAX_LATE, timedelta(minutes=step.wait_minutes) / 2)
    return due_at if step.send_at_local is not None and now - due_at <= forgiven else now


def hour_of(definition: Definition, step: SequenceStep, contact: HasHours, moment: datetime) -> datetime:
    """Return the first time from a moment on at which a contact may get a step."""
    if step.send_at_local is None and not definition.quiet_hours:
        return moment
    zones = quiet_hours.zones_of(contact.phone, contact.timezone)
    if step.send_at_local is not None:
        moment = quiet_hours.next_local_time(zones, step.send_at_local, moment)
    return quiet_hours.next_opening(zones, contact.region, moment) if definition.quiet_hours else moment


def plan(
    definition: Definition, step: SequenceStep, contact: HasHours, *, since: datetime, anchor_at: datetime | None
) -> Due:
    """Return when a step is due."""
    wait_until = wait_of(step, contact, since, anchor_at)
    return Due(wait_until, hour_of(definition, step, contact, wait_until))


def due_now(
    definition: Definition, step: SequenceStep, contact: HasHours, wait_until: datetime, now: datetime
) -> datetime:
    """Return when a step whose wait is over may be taken, as the contact and the time now are; not before now.

    A step with a local hour that has passed by more than an hour, as after a pause, waits for the next.
    """
    due_at = hour_of(definition, step, contact, wait_until)
    if due_at >= now:
        return due_at
    if step.send_at_local is not None and now - due_at > MAX_LATE:
        return hour_of(definition, step, contact, now)
    if not definition.quiet_hours:
        return now
    return quiet_hours.next_opening(quiet_hours.zones_of(contact.phone, contact.timezone), contact.region, now)


def is_missed(step: SequenceStep, wait_until: datetime, now: datetime) -> bool:
    """Return whether the time of a step that counts from an anchor is over."""
    return step.anchor_minutes is not None and now - wait_until > MAX_LATE
