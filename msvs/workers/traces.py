"""The spans of workers: what they do with messages, campaigns and events whose requests are traced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from time import time_ns
from uuid import UUID

from msvs import tracing
from msvs.api import ids
from msvs.api.dispatch import traces
from msvs.api.dispatch.claims import Claim
from msvs.api.dispatch.outcomes import ACCEPTED, UNUSED, Outcome
from msvs.api.webhooks.deliveries import ClaimedDelivery, Post
from msvs.models.rows import MessageRow
from msvs.tracing import Attributes, Kind, Span, Tracing

WELL = frozenset((ACCEPTED, UNUSED))


class HandOver:
    """The spans of a hand-over: one for each message that is traced, and one for the messages of a campaign together.

    Each has the carrier's call as its child.
    """

    def __init__(self, tracing: Tracing, parents: Mapping[UUID, str], claimed: int) -> None:
        self._tracing = tracing
        self._parents = parents
        self._claimed = claimed
        self._submitted = claimed
        self._answered = claimed

    def begin(self) -> None:
        """Note that the carrier is called now."""
        self._submitted = time_ns()

    def end(self) -> None:
        """Note that the carrier has answered."""
        self._answered = time_ns()

    def record(self, claim: Claim, outcomes: Sequence[Outcome]) -> None:
        """Write the spans down, once the outcomes of what was submitted are recorded."""
        by_id = {outcome.message_id: outcome for outcome in outcomes}
        campaigns: dict[UUID, list[Outcome]] = {}
        for row in claim.messages:
            if row.campaign_id is not None:
                campaigns.setdefault(row.campaign_id, []).append(by_id[row.id])
            elif row.id in self._parents:
                self._record_one(claim.carrier, row, by_id[row.id])
        for campaign_id in campaigns.keys() & self._parents.keys():
            self._record_campaign(claim.carrier, campaign_id, campaigns[campaign_id])

    def _record_one(self, carrier: str, row: MessageRow, outcome: Outcome) -> None:
        about: Attributes = {
            "msvs.carrier": carrier,
            "msvs.message_id": ids.encode_id(ids.MESSAGE, row.id),
            "msvs.workspace_id": ids.encode_id(ids.WORKSPACE, row.workspace_id),
            "msvs.livemode": row.livemode,
            "msvs.attempt": row.attempt_count + 1,
            "msvs.outcome": outcome.result,
            "msvs.error_code": outcome.code,
        }
        failure = None if outcome.result in WELL else outcome.code or outcome.result
        self._record(self._parents[row.id], "dispatch message", about, failure)

    def _record_campaign(self, carrier: str, campaign_id: UUID, outcomes: Sequence[Outcome]) -> None:
        counts = Counter(outcome.result for outcome in outcomes)
        about: Attributes = {
            "msvs.carrier": carrier,
            "msvs.campaign_id": ids.encode_id(ids.CAMPAIGN, campaign_id),
            "msvs.messages": len(outcomes),
            **{f"msvs.messages.{result}": count for result, count in sorted(counts.items())},
        }
        self._record(self._parents[campaign_id], "dispatch campaign", about, None)

    def _record(self, parent: str, name: str, about: Attributes, failure: str | None) -> None:
        own = self._tracing.record(name, Kind.CONSUMER, parent, about, began=self._claimed, failure=failure)
        if own is not None:
            self._tracing.record(
                f"submit to {about['msvs.carrier']}",
                Kind.CLIENT,
                own,
                about,
                began=self._submitted,
                ended=self._answered,
                failure=failure,
            )


async def traced_hand_over(claim: Claim) -> HandOver | None:
    """Return what traces the hand-over of a claim; None where none of its messages and campaigns is traced."""
    active = tracing.active()
    if active is None:
        return None
    claimed = time_ns()
    subjects = {row.id if row.campaign_id is None else row.campaign_id for row in claim.messages}
    parents = await traces.find(subjects)
    return HandOver(active, parents, claimed) if parents else None


async def record_expansion(campaign_id: UUID, messages: int, began: int) -> None:
    """Write down the span of a chunk of a campaign that became messages; `began` in nanoseconds."""
    active = tracing.active()
    if active is None:
        return
    parent = (await traces.find([campaign_id])).get(campaign_id)
    if parent is not None:
        about: Attributes = {"msvs.campaign_id": ids.encode_id(ids.CAMPAIGN, campaign_id), "msvs.messages": messages}
        active.record("expand campaign", Kind.CONSUMER, parent, about, began=began)


class WebhookPost:
    """The spans of one post to a webhook: one for each of its events whose message or campaign is traced.

    `parents` are found by endpoint and event.
    """

    def __init__(self, claimed: Sequence[ClaimedDelivery], parents: Mapping[tuple[UUID, UUID], str]) -> None:
        active = tracing.active()
        self._spans: list[Span] = []
        for row in claimed:
            parent = parents.get((row.endpoint_id, row.id))
            if active is not None and parent is not None:
                self._spans.append(active.begin("webhook", Kind.CLIENT, parent, _about(row)))

    @property
    def headers(self) -> Mapping[str, str]:
        """The header by which the receiver goes on with the trace, of the first event; none where it is not traced."""
        text = self._spans[0].traceparent if self._spans else None
        return {} if text is None else {"traceparent": text}

    def end(self, post: Post) -> None:
        """Write down what came of it."""
        for span in self._spans:
            span.note({"http.response.status_code": post.status})
            if not post.succeeded:
                span.fail(post.error or str(post.status))
            span.end()


def _about(row: ClaimedDelivery) -> Attributes:
    return {
        "msvs.webhook_id": ids.encode_id(ids.WEBHOOK, row.endpoint_id),
        "msvs.event_id": ids.encode_id(ids.EVENT, row.id),
        "msvs.event_type": row.type,
        "msvs.workspace_id": ids.encode_id(ids.WORKSPACE, row.workspace_id),
        "msvs.livemode": row.livemode,
        "msvs.attempt": row.attempt_count,
    }
