"""Senders that a reader takes for one another."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from msvs.api.dispatch.lookalikes import platform_names, resembles_platform, skeleton, skeletons
from msvs.models import Workspace

ALIKE = (
    *("MASSIVESMS", "MASSlVESMS", "MASSIVE5MS", "MASS1VESMS", "massivesms", "MASSIVE-SMS", "MASSIVE.SMS"),
    *("MASSIUESMS", "MASSIVESM", "MASSIVESMSS", "MASSIVEMMS", "MASSIVES_MS", "NASSIVESMS"),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COHORTLABS", "cohortlabs"),
        ("COHORTLABS", "Cohort Labs"),
        ("COHORTLABS", "COHORT-LABS"),
        ("COHORTLABS", "C.O.HORTLABS"),
        ("COHORTLABS", "C0H0RTLABS"),
        ("COHORTLABS", "COHORT1ABS"),
        ("COHORTLABS", "COHORTLAB5"),
        ("COHORTLABS", "COHORTLA8S"),
        ("COHORTLABS", "CoHORTIABS"),
        ("Summit", "Surnrnit"),
        ("WAVE", "VVAVE"),
        ("WAVE", "vvave"),
        ("dawn", "clawn"),
        ("BUS", "BVS"),
        ("GOOGLE", "60O9LE"),
        ("ELITE", "3L1T3"),
        ("ZAP", "2AP"),
        ("TAP", "74P"),
        ("+5511987654321", "5511987654321"),
        ("+5491123456789", "+541123456789"),
    ],
)
def test_lookalikes_are_one_sender(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("COHORTLABS", "COHORTLAB"),
        ("COHORT", "COHORT06"),
        ("BARN", "BAM"),
        ("CLUB", "DUB"),
        ("12345", "12346"),
        ("+12125550106", "+12125550109"),
        ("ACME", "ACNE"),
    ],
)
def test_distinct_names_are_two_senders(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


def test_a_name_may_read_as_a_number() -> None:
    assert skeletons("74l741") == ("taltal", "741741")
    assert skeletons("COHORT6") == ("cohortg",)
    assert skeletons("SOS") == ("sos",)


@pytest.mark.parametrize("name", ALIKE)
def test_the_platforms_name_is_known_by_its_looks(name: str) -> None:
    assert resembles_platform(name)


@pytest.mark.parametrize("name", ["MASSIVE", "MASSAGE", "COHORTLABS", "SMS", "12345", "+12125550100"])
def test_other_names_are_not_the_platforms(name: str) -> None:
    assert not resembles_platform(name)


def test_the_data_is_whole() -> None:
    table = tomllib.loads(files("msvs.api").joinpath("data/sender_names.toml").read_text())
    assert platform_names()[0] == Workspace(name="x").default_sender == "MASSIVESMS"
    assert all(len(each) == 1 for pair in table["characters"].items() for each in pair)
    # What a character folds to folds to itself, so that the order of folding does not matter.
    assert not table["characters"].keys() & set(table["characters"].values())


def test_the_migration_folds_as_the_data_does() -> None:
    names = ["COHORT LABS", "Surnrnit", "VVAVE", "clawn", "60O9LE", "3L1T3", "BUS-8", "741741", "+12125550100"]
    source = (files("msvs.migrations") / "0010_senders_and_scopes.py").read_text()
    space: dict[str, object] = {"__name__": "migration"}
    exec(source, space)
    assert [space["skeleton"](name) for name in names] == [skeleton(name) for name in names]  # type: ignore[operator]
