"""The sequences to begin with: a welcome, a challenge, and reminders of a webinar."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.campaigns.sequence_requests import Definition, Otherwise, SequenceStep, StepCondition, Template
from msvs.api.campaigns.sequence_timing import DAY

HOUR = DAY // 24
# With a local hour, so long after a step at any time of the day is the next such hour: no day is left out.
HALF_A_DAY = DAY // 2

WELCOME = Definition(
    steps=[
        SequenceStep(
            key="hello",
            body="Hi {firstName|there}, welcome to {brand|our community}! Reply here any time; a person reads along.",
        ),
        SequenceStep(
            key="start",
            body="Hey {firstName|there}, here is the best place to start: {link}",
            wait_minutes=HALF_A_DAY,
            send_at_local="10:00",
            shorten_links=False,
        ),
        SequenceStep(
            key="question",
            body="{firstName|Hey}, one question: what made you join? Reply with a word or two.",
            wait_minutes=3 * DAY,
            send_at_local="10:00",
        ),
    ],
)
CHALLENGE = Definition(
    steps=[
        SequenceStep(
            key="day_1",
            body="Day 1, {firstName|friend}: write down the one thing that you want to finish this week.",
        ),
        *(
            SequenceStep(
                key=f"day_{day}",
                body=f"Day {day}: {task}",
                wait_minutes=HALF_A_DAY if day == 2 else DAY,
                send_at_local="09:00",
            )
            for day, task in (
                (2, "tell one person about your goal."),
                (3, "do the smallest part of it, in ten minutes."),
                (4, "look at what held you up, and drop one thing."),
                (5, "finish it. Reply DONE, and we celebrate with you!"),
            )
        ),
    ],
    leave_on_reply=False,
)
WEBINAR_REMINDER = Definition(
    steps=[
        SequenceStep(key="booked", body="You are in, {firstName|friend}! We will text you before it begins."),
        SequenceStep(
            key="day_before", body="{firstName|Hey}, the webinar is tomorrow at this time.", anchor_minutes=-DAY
        ),
        SequenceStep(key="hour_before", body="The webinar begins in one hour.", anchor_minutes=-HOUR),
        SequenceStep(key="now", body="We are live! Join here: {link}", anchor_minutes=-5, shorten_links=False),
        SequenceStep(
            key="replay",
            body="Thank you for your time. The replay is here: {link}",
            anchor_minutes=DAY,
            only_if=StepCondition(not_replied="now"),
            otherwise=Otherwise.SKIP,
        ),
    ],
    leave_on_reply=False,
    may_reenter=True,
)

TEMPLATES: Mapping[Template, Definition] = {
    Template.WELCOME: WELCOME,
    Template.CHALLENGE: CHALLENGE,
    Template.WEBINAR_REMINDER: WEBINAR_REMINDER,
}
