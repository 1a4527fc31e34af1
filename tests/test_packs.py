"""Packs: a file that is read as it is meant, or refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from msvs import packs
from msvs.packs import EXAMPLE_FILE, EXAMPLES, Billing, read_packs
from msvs.settings import PRODUCTION, Settings, SettingsError, from_environment

PACK = 'id = "a"\ncredits = 10\namount = 100\ncurrency = "usd"\nlabel = "A"\n'


def test_the_example_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "packs.toml"
    path.write_text(EXAMPLE_FILE)
    assert [pack.id for pack in read_packs(path).pack] == ["starter", "launch"]
    billing = Billing.from_settings(Settings(billing=path, stripe_key="sk_test_1"))
    assert (billing.is_open, billing.takes_money, billing.automatic_tax) == (True, False, False)
    assert Billing.from_settings(Settings(billing=path, stripe_key="rk_live_1")).takes_money
    assert not Billing.from_settings(Settings(billing=path)).is_open


def test_development_sells_examples_and_production_nothing() -> None:
    assert list(Billing.from_settings(Settings()).packs) == list(EXAMPLES)
    assert not Billing.from_settings(Settings(environment=PRODUCTION, stripe_key="sk_live_1")).is_open


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pack = 1", r"Expected `array`, got `int`; the file has tables \[\[pack\]\]"),
        ("[pack]\n" + PACK, r"the file has tables \[\[pack\]\]"),
        ("[[packs]]\n" + PACK, r"there is no packs; the file has tables \[\[pack\]\]"),
        ("[[pack]]\n" + PACK.replace("10\n", "0\n", 1), "pack 1: credits is a whole number from 1"),
        ("[[pack]]\n" + PACK.replace("100", "1.5"), "pack 1: amount is a whole number .* 1900 is 19.00 USD"),
        ("[[pack]]\n" + PACK.replace("usd", "USD"), "pack 1: currency is a code of three small letters"),
        ("[[pack]]\n" + PACK + "priec = 1", "pack 1: there is no priec; a pack has id, label"),
        ("[[pack]]\n" + PACK + "[[pack]]\n" + PACK.replace('label = "A"\n', ""), "pack 2: label is missing: a text"),
        ("[[pack]]\n" + PACK + 'price = "19"', "pack 1: price is the id of a price at Stripe"),
        ("[[pack]]\n" + PACK.replace("usd", "kwd").replace("100", "123"), "kwd goes in multiples of 10"),
        ("[[pack]]\n" + PACK + "[[pack]]\n" + PACK, "two packs have the id a"),
        ("tax = true", "there is no tax; the file has tables"),
        ("automatic_tax = 1", ": automatic_tax is true or false"),
        ('tax_behavior = "none"', "tax_behavior is exclusive or inclusive"),
        ("[[pack]", "line 1"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "packs.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told):
        read_packs(path)
    with pytest.raises(SettingsError, match="No such file"):
        read_packs(tmp_path / "none.toml")


def test_each_field_of_the_file_has_its_words() -> None:
    names = {field.name for kind in (packs.Pack, packs._File) for field in msgspec.structs.fields(kind)}
    assert set(packs.FIELDS) == names - {"pack"}
    assert all(re.search(rf"\b{name}\b", f"{packs.KNOWN} {packs.WHOLE_FILE}") for name in names)


def test_signing_secrets_are_stripes() -> None:
    read = from_environment({"MSVS_STRIPE_WEBHOOK_SECRETS": "whsec_aaaaaaaaaaaaaaaa, whsec_bbbbbbbbbbbbbbbb"})
    assert read.stripe_webhook_secrets == ("whsec_aaaaaaaaaaaaaaaa", "whsec_bbbbbbbbbbbbbbbb")
    assert "whsec" not in repr(read)
    for text in ("whsec_", "_".join(("sk", "live", "a" * 24))):
        with pytest.raises(SettingsError):
            from_environment({"MSVS_STRIPE_WEBHOOK_SECRETS": text})
