"""Destinations: what blocks a number, by the table, by every calling code, and by data that is reviewed."""

from __future__ import annotations

import csv
import tomllib
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path

import phonenumbers
import pytest

from msvs.api.errors import ComplianceRefused
from msvs.api.text.compliance import (
    ALWAYS_BLOCKED,
    BLOCKED_KINDS,
    BLOCKED_RANGES,
    OFF_UNTIL_ENABLED,
    TREATY_CODES,
    check_destination,
    is_in_blocked_range,
)
from msvs.api.text.number_plans import KINDS
from msvs.api.text.phones import Phone, parse_phone

TABLE = list(csv.DictReader((Path(__file__).parents[2] / "data/destinations.csv").read_text().splitlines()))

GB_MOBILE, GB_PLACED_IN_GG, GB_FIXED = "+447400123456", "+447911123456", "+442034567890"
GG, JE, IM = "+447781123456", "+447797712345", "+447624123456"
US, CA, JM, RU, KZ = "+14155550123", "+14165550123", "+18762101234", "+79123456789", "+77710009998"
BR, IT, VA, NO, SJ = "+5511961234567", "+393123456789", "+390669812345", "+4740612345", "+4779123456"


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+5352123456", "CU (+53)"),
        ("+989121234567", "IR (+98)"),
        ("+8501921234567", "KP (+850)"),
        ("+963944567890", "SY (+963)"),
    ],
)
@pytest.mark.parametrize("blocked", [(), ("GB", "US")])
def test_some_regions_are_always_blocked(number: str, region: str, blocked: tuple[str, ...]) -> None:
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(parse_phone(number), blocked, ())
    assert caught.value.code == "region_blocked"
    assert caught.value.param == "to"
    assert caught.value.status == 422
    assert caught.value.message == f"Messages to this region are blocked: {region}."


@pytest.mark.parametrize(
    ("blocked", "refused", "admitted"),
    [
        ([], [], [GB_MOBILE, GG, US, CA, RU, KZ, BR, IT, VA]),
        (["GB"], [GB_MOBILE, GB_PLACED_IN_GG, GB_FIXED, GG, JE, IM], [US, BR]),
        (["GG"], [GG, GB_PLACED_IN_GG], [GB_MOBILE, GB_FIXED, JE, IM]),
        (["JE", "IM"], [JE, IM], [GB_MOBILE, GG]),
        (["US"], [US], [CA, JM, GB_MOBILE]),
        (["CA"], [CA], [US, JM]),
        (["JM"], [JM], [US, CA]),
        (["RU"], [RU], [KZ]),
        (["KZ"], [KZ], [RU]),
        (["IT"], [IT, VA], [BR]),
        (["VA"], [VA], [IT]),
        (["NO"], [NO, SJ], [BR]),
        (["SJ"], [SJ], [NO]),
        (["BR"], [BR], [US]),
        (["AQ", "ZZ", "001"], [], [US, GB_MOBILE, BR]),
    ],
)
def test_a_workspace_blocks_regions(blocked: list[str], refused: list[str], admitted: list[str]) -> None:
    for number in refused:
        with pytest.raises(ComplianceRefused) as caught:
            check_destination(parse_phone(number), blocked, ())
        assert caught.value.code == "region_blocked"
    for number in admitted:
        check_destination(parse_phone(number), frozenset(blocked), ())


@pytest.mark.parametrize(
    ("phone", "blocked"),
    [
        (Phone("+12425550123", None, 1, "mobile"), "CA"),
        (Phone("+79990000000", None, 7, "mobile"), "KZ"),
        (Phone("+447000000000", None, 44, "mobile"), "GG"),
        (Phone("+5511900000000", None, 55, "mobile"), "BR"),
    ],
)
def test_a_number_of_no_known_region_is_blocked_with_any_region_of_its_code(phone: Phone, blocked: str) -> None:
    check_destination(phone, ["MX"], ())
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(phone, [blocked], ())
    assert caught.value.code == "region_blocked"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['number']}-{row['code'] or 'sent'}-{row['why']}")
def test_the_table(row: dict[str, str]) -> None:
    phone, blocked, enabled = parse_phone(row["number"]), row["blocked"].split(), row["enabled"].split()
    if not row["code"]:
        check_destination(phone, blocked, enabled)
        return
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(phone, blocked, enabled)
    refusal = caught.value
    assert (refusal.code, refusal.status, refusal.type, refusal.param) == (
        row["code"],
        422,
        "compliance_error",
        "to",
    )


def test_the_table_has_every_rule() -> None:
    phones = [parse_phone(row["number"]) for row in TABLE]
    assert len({phone.e164 for phone in phones}) >= 80
    assert {row["code"] for row in TABLE} == {"", "region_blocked", "region_not_enabled", "number_type_blocked"}
    for code in TREATY_CODES:
        placed = {phone.region for phone in phones if phone.country_code == code}
        assert placed >= set(phonenumbers.region_codes_for_country_code(code))
    assert {prefix for prefix in BLOCKED_RANGES for phone in phones if phone.e164.startswith(prefix)} == set(
        BLOCKED_RANGES
    )
    for region in OFF_UNTIL_ENABLED:
        assert {row["code"] for row, phone in zip(TABLE, phones, strict=True) if phone.region == region} >= {
            "",
            "region_not_enabled",
        }


@pytest.mark.parametrize("name", ["blocked_regions", "regions_off", "number_ranges"])
def test_data_names_its_source_and_review(name: str) -> None:
    data = tomllib.loads(files("msvs.api").joinpath(f"data/{name}.toml").read_text())
    assert len(data["source"].strip()) > 10
    assert date(2026, 1, 1) <= data["reviewed"] <= datetime.now(UTC).date()
    for row in data.get("ranges", ()):
        assert len(row["source"].strip()) > 10


def test_regions_and_ranges_are_what_they_should_be() -> None:
    assert frozenset({"CU", "IR", "KP", "SY"}) == ALWAYS_BLOCKED
    assert not ALWAYS_BLOCKED & OFF_UNTIL_ENABLED
    assert phonenumbers.SUPPORTED_REGIONS >= OFF_UNTIL_ENABLED
    assert set(KINDS.values()) >= set(BLOCKED_KINDS)
    assert not OFF_UNTIL_ENABLED & {"US", "CA", "BR", "GB", "PT", "ES", "MX"}
    for prefix in BLOCKED_RANGES:
        assert [other for other in BLOCKED_RANGES if prefix.startswith(other)] == [prefix]
        assert is_in_blocked_range(f"{prefix}0")
    assert not is_in_blocked_range("+14155550123")


def test_a_refusal_says_how_to_undo_it() -> None:
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(parse_phone("+2348021234567"), (), ("PK",))
    assert caught.value.message == "Messages to this region are off until the workspace enables it: NG (+234)."


def test_every_number_of_a_calling_code_follows_the_rule() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        code = phonenumbers.country_code_for_region(region)
        regions = phonenumbers.region_codes_for_country_code(code)
        takes_the_code = regions[0] == region and code not in TREATY_CODES
        for other in regions:
            phone = Phone(f"+{code}", other, code, "mobile")
            if other == region or takes_the_code:
                with pytest.raises(ComplianceRefused):
                    check_destination(phone, [region], ())
            elif other not in ALWAYS_BLOCKED:
                check_destination(phone, [region], OFF_UNTIL_ENABLED)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("+19002345678", "Messages to premium-rate numbers are not sent."),
        ("+979123456789", "Messages to premium-rate numbers are not sent."),
        ("+80812345678", "Messages to shared-cost numbers are not sent."),
        ("+870773111632", "Messages to satellite numbers are not sent."),
        ("+881612345678", "Messages to satellite numbers are not sent."),
        ("+882161234567", "Messages to satellite numbers are not sent."),
        ("+8831001234567", "Messages to satellite numbers are not sent."),
        ("+447640123456", "Messages to pager numbers are not sent."),
        ("+445512345678", "Messages to universal access numbers are not sent."),
        ("+4915123456789", None),
        ("+18005551234", None),
        ("+447012345678", None),
        (GB_FIXED, None),
    ],
)
def test_number_types(number: str, message: str | None) -> None:
    if message is None:
        check_destination(parse_phone(number), (), ())
        return
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(parse_phone(number), (), ())
    assert (caught.value.code, caught.value.message) == ("number_type_blocked", message)
    assert caught.value.param == "to"


def test_a_voicemail_number_is_refused() -> None:
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(Phone("+4917700000000", "DE", 49, "voicemail"), (), ())
    assert caught.value.code == "number_type_blocked"


def test_a_blocked_region_is_named_before_the_type() -> None:
    with pytest.raises(ComplianceRefused) as caught:
        check_destination(parse_phone("+19002345678"), ["US"], ())
    assert caught.value.code == "region_blocked"
