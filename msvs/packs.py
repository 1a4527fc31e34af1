"""Packs of credits for sale, read from the operator's TOML file, and the payment settings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from msvs.settings import LIVE_KEYS, Settings, SettingsError

VARIABLE = "MSVS_BILLING"

PackId = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_-]{0,39}$")]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Currency = Annotated[str, msgspec.Meta(pattern="^[a-z]{3}$")]
# What fits Stripe's amounts and a ledger.
Credits = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=99_999_999)]


class Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credits for money: `amount` in the smallest unit of the currency, or a price of Stripe's that says the same."""

    id: PackId
    credits: Credits
    amount: Amount
    currency: Currency
    label: Label
    price: Annotated[str, msgspec.Meta(pattern="^price_[A-Za-z0-9_]{1,100}$")] | None = None
    badge: Annotated[str, msgspec.Meta(min_length=1, max_length=40)] | None = None
    active: bool = True


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of the file."""

    pack: tuple[Pack, ...] = ()
    automatic_tax: bool = False
    tax_behavior: Literal["exclusive", "inclusive"] | None = None
    tax_code: Annotated[str, msgspec.Meta(pattern="^txcd_[0-9]{8}$")] | None = None
    invoices: bool = False


# What development sells where no file says otherwise.
EXAMPLES = (
    Pack("starter", 1_000, 1_900, "usd", "Starter"),
    Pack("launch", 10_000, 14_900, "usd", "Launch", badge="Most popular"),
    Pack("scale", 100_000, 1_190_00, "usd", "Scale", badge="Best price"),
)
EXAMPLE_FILE = """\
# Amounts are in the smallest unit of the currency: 1900 is 19.00 USD.
automatic_tax = false

[[pack]]
id = "starter"
label = "Starter"
credits = 1000
amount = 1900
currency = "usd"

[[pack]]
id = "launch"
label = "Launch"
credits = 10000
amount = 14900
currency = "usd"
badge = "Most popular"
"""


# How many digits of an amount stand behind the point, where they are not two; Stripe takes UGX and ISK in hundredths.
DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf"), 0),
    **dict.fromkeys(("vnd", "vuv", "xaf", "xof", "xpf"), 0),
    **dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3),
}
# What an amount is a multiple of: these have no smaller coin, or cards take none.
MULTIPLES: Mapping[str, int] = {"isk": 100, "ugx": 100, **{code: 10 for code, digits in DIGITS.items() if digits == 3}}


# What belongs into the fields of the file.
FIELDS: Mapping[str, str] = {
    "id": "1 to 40 of a to z, 0 to 9, - and _, such as starter",
    "label": "a text of 1 to 80 characters",
    "credits": "a whole number from 1 to 1000000000",
    "amount": "a whole number of the currency's smallest unit, at most 99999999: 1900 is 19.00 USD",
    "currency": "a code of three small letters, such as usd",
    "price": "the id of a price at Stripe, price_…",
    "badge": "a text of 1 to 40 characters",
    "active": "true or false",
    "automatic_tax": "true or false",
    "invoices": "true or false",
    "tax_behavior": "exclusive or inclusive",
    "tax_code": "a tax code of Stripe's, txcd_ and 8 digits",
}
KNOWN = "a pack has id, label, credits, amount, currency, price, badge and active"
WHOLE_FILE = "the file has tables [[pack]], automatic_tax, tax_behavior, tax_code and invoices"
PLACE = re.compile(r"(?:\.pack\[(?P<number>\d+)\])?(?:\.(?P<name>\w+))?")
MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")


def shown_price(amount: int, currency: str) -> str:
    """Return an amount in words: `19.00 USD`, and `1900 JPY`."""
    digits = DIGITS.get(currency, 2)
    return f"{amount / 10**digits:,.{digits}f} {currency.upper()}"


@dataclass(slots=True)
class Billing:
    """The packs for sale, and the Stripe account; closed if no key or no pack is configured."""

    packs: Sequence[Pack] = ()
    key: str | None = field(default=None, repr=False)
    webhook_secrets: Sequence[str] = field(default=(), repr=False)
    api_url: str | None = None
    automatic_tax: bool = False
    tax_behavior: str | None = None
    tax_code: str | None = None
    invoices: bool = False

    @property
    def is_open(self) -> bool:
        """Whether credits can be bought."""
        return self.key is not None and bool(self.offered)

    @property
    def tops_up(self) -> bool:
        """Whether saved cards may be charged; not where tax is to be added, which Stripe does on its page alone."""
        return self.is_open and not self.automatic_tax

    @property
    def is_connected(self) -> bool:
        """Whether there is an account at Stripe, so that what was sold can be followed."""
        return self.key is not None

    @property
    def offered(self) -> Sequence[Pack]:
        """The packs that are sold now, in the order of the file."""
        return [pack for pack in self.packs if pack.active]

    @property
    def takes_money(self) -> bool:
        """Whether payments are of Stripe's live mode: no other may move a balance then, and none of it otherwise."""
        return self.key is not None and self.key.startswith(LIVE_KEYS)

    def find(self, id: str) -> Pack | None:
        """Return the pack with an id, if it is sold now."""
        return next((pack for pack in self.offered if pack.id == id), None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Billing:
        """Read what the settings name. Raises SettingsError."""
        known = _File(EXAMPLES if not settings.is_production else ()) if settings.billing is None else None
        file = known or read_packs(settings.billing or Path())
        return cls(
            file.pack,
            settings.stripe_key,
            settings.stripe_webhook_secrets,
            settings.stripe_url,
            file.automatic_tax,
            file.tax_behavior,
            file.tax_code,
            file.invoices,
        )


def _explained(problem: str) -> str:
    """Return what is wrong in a file as its writer would say it: which pack, which field, and what belongs there."""
    told, _, at = problem.partition(" - at `$")
    found = PLACE.fullmatch(at.rstrip("`"))
    if found is None or found["name"] == "pack":
        return f"{told}; {WHOLE_FILE}"
    number, name = found["number"], found["name"]
    where = "" if number is None else f"pack {int(number) + 1}: "
    if name in FIELDS:
        return f"{where}{name} is {FIELDS[name]}"
    missing = MISSING.fullmatch(told)
    if missing is not None:
        return f"{where}{missing['name']} is missing: {FIELDS.get(missing['name'], '')}"
    unknown = UNKNOWN.fullmatch(told)
    if unknown is not None:
        return f"{where}there is no {unknown['name']}; {WHOLE_FILE if number is None else KNOWN}"
    return f"{where}{told}"


def read_packs(path: Path) -> _File:
    """Read a file of packs. Raises SettingsError that names what is wrong in it."""
    try:
        file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except OSError as error:
        raise SettingsError(f"{VARIABLE}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{VARIABLE}: {path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{VARIABLE}: {path}: {error}") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{VARIABLE}: {path}: {_explained(str(error))}") from None
    ids = [pack.id for pack in file.pack]
    for pack in file.pack:
        if pack.amount % (unit := MULTIPLES.get(pack.currency, 1)):
            raise SettingsError(f"{VARIABLE}: {path}: {pack.id}: {pack.currency} goes in multiples of {unit}")
    if repeated := sorted({id for id in ids if ids.count(id) > 1}):
        raise SettingsError(f"{VARIABLE}: {path}: two packs have the id {repeated[0]}")
    return file
