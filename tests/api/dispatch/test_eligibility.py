"""Who is skipped, and why: every case of the one rule."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from msvs.api.campaigns import audiences, previews
from msvs.api.dispatch import admission
from msvs.api.dispatch.eligibility import skip_reason


def blocked() -> str:
    return "region_blocked"


def never() -> str:
    raise AssertionError("the destination of somebody without consent was looked at")


@pytest.mark.parametrize(
    ("consent", "admits_unknown", "code"),
    [
        ("opted_in", False, None),
        ("opted_in", True, None),
        ("unknown", True, None),
        ("unknown", False, "recipient_not_opted_in"),
        ("pending", True, "recipient_not_opted_in"),
        ("opted_out", True, "recipient_opted_out"),
        (None, True, "recipient_deleted"),
    ],
)
def test_a_campaign_reaches_who_consented(consent: str | None, admits_unknown: bool, code: str | None) -> None:
    assert skip_reason(consent, admits_unknown=admits_unknown) == code
    assert skip_reason(consent, admits_unknown=admits_unknown, destination=never if code else blocked) == (
        code or "region_blocked"
    )
    assert skip_reason(consent, admits_unknown=admits_unknown, has_sender=False) == (code or "sender_not_allowed")


@pytest.mark.parametrize("consent", ["opted_in", "unknown", "pending", "opted_out", None])
@pytest.mark.parametrize("is_single", [False, True])
def test_a_suppressed_phone_gets_nothing(consent: str | None, is_single: bool) -> None:
    assert skip_reason(consent, admits_unknown=True, is_suppressed=True, is_single=is_single) == "recipient_opted_out"


@pytest.mark.parametrize("consent", ["opted_in", "unknown", "pending", None])
def test_a_single_message_reaches_a_contact_that_did_not_opt_out(consent: str | None) -> None:
    assert skip_reason(consent, admits_unknown=False, is_single=True) is None
    assert skip_reason("opted_out", admits_unknown=False, is_single=True) == "recipient_opted_out"


def test_an_exclusion_comes_after_consent_and_before_the_destination() -> None:
    code = "excluded_list"
    assert skip_reason("opted_in", admits_unknown=False, exclusion=code, destination=never) == code
    assert skip_reason("opted_out", admits_unknown=False, exclusion="excluded_list") == "recipient_opted_out"
    assert skip_reason("unknown", admits_unknown=False, exclusion="excluded_list") == "recipient_not_opted_in"
    # A single message belongs to no campaign.
    assert skip_reason("opted_in", admits_unknown=False, exclusion="excluded_list", is_single=True) is None


def test_a_destination_goes_before_a_sender() -> None:
    assert skip_reason("opted_in", admits_unknown=False, destination=blocked, has_sender=False) == "region_blocked"


def test_claims_expansions_and_previews_ask_it() -> None:
    for module in (admission, audiences, previews):
        assert module.skip_reason is skip_reason


def test_previews_touch_no_private_name_of_another_module() -> None:
    tree = ast.parse(Path(str(previews.__file__)).read_text())
    touched = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert touched == []


def test_an_unreachable_number_is_skipped_by_campaigns_alone() -> None:
    assert skip_reason("opted_in", admits_unknown=False, is_unreachable=True) == "recipient_unreachable"
    assert skip_reason("opted_in", admits_unknown=False, is_unreachable=True, is_single=True) is None
    assert skip_reason("opted_out", admits_unknown=False, is_unreachable=True) == "recipient_opted_out"
    assert skip_reason("unknown", admits_unknown=False, is_unreachable=True) == "recipient_not_opted_in"
    assert skip_reason(None, admits_unknown=False, is_unreachable=True) == "recipient_deleted"
