"""The list of regions against what is refused."""

from __future__ import annotations

import phonenumbers

from msvs.api.errors import ComplianceRefused
from msvs.api.text.compliance import check_destination
from msvs.api.text.phones import Phone, parse_phone
from msvs.api.text.quiet_hours import rule_for
from msvs.api.text.regions import list_regions


def test_the_list_holds_every_region_once_in_order() -> None:
    codes = [region.code for region in list_regions()]
    assert codes == sorted(phonenumbers.SUPPORTED_REGIONS)
    assert all(region.rule is rule_for(region.code) for region in list_regions())


def test_what_the_list_of_regions_says_is_what_is_refused() -> None:
    """A number of each region is refused as its row tells, and with `mainRegion` blocked a dependency's is too."""
    for region in list_regions():
        number = phonenumbers.example_number_for_type(region.code, phonenumbers.PhoneNumberType.MOBILE)
        if number is None:
            continue
        phone = parse_phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        if phone.region != region.code:
            continue
        assert refusal(phone) == (
            "region_blocked" if region.is_blocked else "region_not_enabled" if region.is_off else None
        )
        if region.main_region is not None and not region.is_blocked:
            assert refusal(phone, region.main_region) == "region_blocked"


def refusal(phone: Phone, *blocked: str) -> str | None:
    """The code by which a number is refused, of those that are about regions."""
    try:
        check_destination(phone, blocked, ())
    except ComplianceRefused as error:
        return error.code
    return None
