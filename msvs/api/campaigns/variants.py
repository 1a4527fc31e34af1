"""Variants of a campaign: what a test asks for, who of an audience is in it, and what each recipient reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from msvs.api.context import Context, Services
from msvs.api.dispatch.senders import check_sender, check_usable
from msvs.api.dispatch.short_links import body_template
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.messages.bodies import Body, TemplateId
from msvs.api.resources import variant_name
from msvs.api.text.sms import measure
from msvs.api.text.templates import Template
from msvs.fields import Request, Sender, about
from msvs.models.campaigns import VARIANTS, AbTest, Metric, VariantSpec

FEWEST, MOST = 2, 5
MAX_PERCENT = 100
MINUTES = (5, 7 * 24 * 60)
# Stands for a value that is not known yet when the size of a body is estimated.
SAMPLE_VALUE = "Mariana"
# The number of values that the hash of a recipient has.
POINTS = 2**32


class VariantOptions(Request, frozen=True, kw_only=True):
    """A variant of a campaign: what it does not say is as in the campaign."""

    body: Annotated[Body, about("The text; the campaign's own if it is left out.")] | None = None
    template_id: TemplateId | None = None
    from_: Annotated[Sender, about("The sender; the campaign's own if it is left out.")] | None = msgspec.field(
        name="from", default=None
    )
    share: (
        Annotated[
            int,
            about(
                "Its share of the test in percent. Give it for all variants, so that they add up to 100, or for none:"
                " then they have equal shares.",
                minimum=1,
                maximum=MAX_PERCENT - 1,
            ),
        ]
        | None
    ) = None


class AbTestOptions(Request, frozen=True, kw_only=True):
    """An A/B test: the variants go to a part of the audience, and the best of them to the rest."""

    variants: Annotated[
        list[VariantOptions],
        about("The variants, A first. No two may be the same.", minItems=FEWEST, maxItems=MOST),
    ]
    test_percent: Annotated[
        int,
        about(
            "The part of the audience that the test goes to, in percent. With 100, the variants go to all of it, and"
            " no winner is chosen.",
            minimum=1,
            maximum=MAX_PERCENT,
        ),
    ] = 20
    metric: Annotated[str, about("By what the variants are compared.", enum=[*Metric])] = Metric.DELIVERY.value
    test_minutes: (
        Annotated[
            int,
            about(
                "How many minutes after the last message of the test is due the best variant is chosen; null if you"
                " choose it yourself.",
                minimum=MINUTES[0],
                maximum=MINUTES[1],
            ),
        ]
        | None
    ) = None


@dataclass(frozen=True, slots=True)
class Content:
    """What recipients of a campaign get, or of one of its variants, which are counted from 1."""

    body: str
    sender: str
    template: Template
    variant: int | None = None


class HasContent(Protocol):
    """The columns of a campaign that say what its messages read."""

    @property
    def body(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def ab_test(self) -> AbTest | None: ...

    @property
    def shorten_links(self) -> bool: ...

    @property
    def utm(self) -> Mapping[str, str] | None: ...


def contents_of(services: Services, campaign: HasContent) -> list[Content]:
    """Return what a campaign sends: its own content, or that of each of its variants. Raises InvalidRequest."""
    if campaign.ab_test is None:
        return [_content(services, campaign, campaign.body, campaign.sender, None, "body")]
    return [
        _content(
            services,
            campaign,
            spec.get("body", campaign.body),
            spec.get("sender", campaign.sender),
            number,
            f"ab_test.variants[{number - 1}].body" if "body" in spec else "body",
        )
        for number, spec in enumerate(campaign.ab_test["variants"], start=1)
    ]


def _content(
    services: Services, campaign: HasContent, body: str, sender: str, variant: int | None, param: str
) -> Content:
    try:
        template = body_template(services, body, shorten_links=campaign.shorten_links, utm=campaign.utm)
    except InvalidRequest as error:
        error.param = param
        raise
    return Content(body, sender, template, variant)


def check_contents(services: Services, campaign: HasContent) -> None:
    """Check that the bodies of a campaign and its variants can be read, and that no two variants are the same.

    Raises InvalidRequest.
    """
    body_template(services, campaign.body, shorten_links=campaign.shorten_links, utm=campaign.utm)
    seen: dict[tuple[str, str], int] = {}
    for content in contents_of(services, campaign):
        if content.variant is None:
            return
        first = seen.setdefault((content.body, content.sender), content.variant)
        if first != content.variant:
            raise InvalidRequest(
                f"Variants {variant_name(first)} and {variant_name(content.variant)} have the same body and sender.",
                param=f"ab_test.variants[{content.variant - 1}]",
            )


def longest_of(contents: Sequence[Content]) -> Content:
    """Return the content with the most segments, and of those with as many the one with the longest body."""
    return max(contents, key=lambda content: (estimated_segments(content.template), len(content.body)))


def estimated_segments(template: Template) -> int:
    """Return the segments of a body whose variables are of ordinary length, before anything is rendered."""
    return measure(template.render(dict.fromkeys(template.names, SAMPLE_VALUE))).segments


def read_variant(ab_test: AbTest, name: str, param: str = "variant") -> int:
    """Return the variant of a name. Raises InvalidRequest."""
    known = VARIANTS[: len(ab_test["variants"])]
    if len(name) != 1 or name not in known:
        raise InvalidRequest(f"{param} must be one of {', '.join(known)}.", param=param)
    return known.index(name) + 1


async def check_ab_test(ctx: Context, options: AbTestOptions | None) -> AbTest | None:
    """Return an A/B test as a campaign keeps it; None for none. Raises InvalidRequest, ComplianceRefused."""
    if options is None:
        return None
    number = len(options.variants)
    if not FEWEST <= number <= MOST:
        raise _out_of_range("variants", f"A test has {FEWEST} to {MOST} variants.")
    if not 1 <= options.test_percent <= MAX_PERCENT:
        raise _out_of_range("test_percent", f"ab_test.test_percent must be from 1 to {MAX_PERCENT}.")
    if options.metric not in {*Metric}:
        raise InvalidRequest(f"ab_test.metric must be one of {', '.join(Metric)}.", param="ab_test.metric")
    if options.test_minutes is not None and not MINUTES[0] <= options.test_minutes <= MINUTES[1]:
        raise _out_of_range("test_minutes", f"ab_test.test_minutes must be from {MINUTES[0]} to {MINUTES[1]}.")
    _check_shares([variant.share for variant in options.variants])
    variants = [
        await _check_variant(ctx, variant, f"ab_test.variants[{place}]")
        for place, variant in enumerate(options.variants)
    ]
    return AbTest(
        variants=variants,
        test_percent=options.test_percent,
        metric=options.metric,
        minutes=options.test_minutes,
    )


def _check_shares(shares: Sequence[int | None]) -> None:
    given = [share for share in shares if share is not None]
    if not given:
        return
    if len(given) < len(shares):
        raise InvalidRequest("Give a share for each variant, or for none.", param="ab_test.variants")
    if min(given) < 1 or sum(given) != MAX_PERCENT:
        raise _out_of_range("variants", f"The shares of the variants must add up to {MAX_PERCENT}.")


async def _check_variant(ctx: Context, variant: VariantOptions, param: str) -> VariantSpec:
    spec = VariantSpec()
    if variant.body is not None:
        spec["body"] = variant.body
    if variant.from_ is not None:
        sender = check_sender(variant.from_, param=f"{param}.from")
        spec["sender"] = await check_usable(ctx, sender, param=f"{param}.from")
    if variant.share is not None:
        spec["share"] = variant.share
    return spec


async def check_senders(ctx: Context, ab_test: AbTest | None) -> None:
    """Check that the senders of a stored test may be used by now. Raises ComplianceRefused."""
    for place, spec in enumerate(ab_test["variants"] if ab_test else ()):
        if "sender" in spec:
            await check_usable(ctx, spec["sender"], param=f"ab_test.variants[{place}].from")


def _out_of_range(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, param=f"ab_test.{name}", code=ErrorCode.PARAMETER_OUT_OF_RANGE)


def shares_of(ab_test: AbTest) -> list[int]:
    """Return what each variant has of the test, as weights."""
    return [spec.get("share", 1) for spec in ab_test["variants"]]


def bounds_of(ab_test: AbTest) -> list[int]:
    """Return the points with which each variant begins, and the one with which the rest of the audience does."""
    shares = shares_of(ab_test)
    tested = POINTS * ab_test["test_percent"] // MAX_PERCENT
    return [tested * share // sum(shares) for share in accumulate(shares, initial=0)]


# The same as `variant_of`: null for the rest. A recipient's point depends on its contact and campaign alone, so that
# fixing an audience again comes to the same.
VARIANT = """
nullif(width_bucket(
    ('x' || left(encode(sha256(uuid_send({contact}) || uuid_send({campaign})), 'hex'), 8))::bit(32)::bigint, {bounds}
), {rest})
"""


def variant_of(campaign_id: UUID, contact_id: UUID, ab_test: AbTest) -> int | None:
    """Return the variant of a test that a contact gets, counted from 1; None for who waits for the winner."""
    point = int.from_bytes(sha256(contact_id.bytes + campaign_id.bytes).digest()[:4])
    bounds = bounds_of(ab_test)
    variant = sum(bound <= point for bound in bounds)
    return None if variant == len(bounds) else variant
