"""Writes contacts.csv: fictional people, some of them twice, and rows that an import must refuse."""

from __future__ import annotations

import argparse
import csv
import io
import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SEED = 6
HEADER = ("phone", "first_name", "last_name", "email", "country", "tier", "joined_at", "language")
DUPLICATE_COUNT = 60

# Each of these makes the sandbox's virtual carrier act out something a campaign must survive.
SCRIPTED_PHONES = tuple(f"+1415555{line}" for line in ("0101", "0102", "0103", "0105", "0107", "0109", "0111", "0112"))
FIRST_SCRIPTED_ROW = 2
SCRIPTED_ROW_STEP = 3

# 555-0100 to 555-0199 are kept for fiction in every North American area code; 415 belongs to the scripts.
US_AREAS = (
    "201 202 203 206 210 212 213 214 215 216 239 301 303 305 310 312 313 314 "
    "404 407 412 503 504 505 512 602 612 615 619 702"
)
CA_AREAS = "204 226 250 306 403 416 418 438 506 514 519 604 613 647 705 902"
# Mobile numbers the Bundesnetzagentur keeps for films and books.
DE_BLOCKS = ("+4917139200", "+49176040690")
# Mobile numbers the ACMA keeps for fiction.
AU_LINES = (
    "570006 570156 570157 570158 570159 570110 570313 570737 571266 571491 571804 572549 572665 572983 573770 "
    "573087 574118 574632 575254 575789 576398 576801 577426 577644 578957 578148 578888 579212 579760 579455"
)
# No range kept for fiction is valid here: one round block each, three digits left open.
MADE_UP_BLOCKS = {
    "BR": "+5511900000",
    "MX": "+525555555",
    "PT": "+351920000",
    "ES": "+34600000",
    "FR": "+33600000",
    "GB": "+447400000",
    "IN": "+919000000",
    "JP": "+816010000",
}
COUNTS = {
    "US": 2392,
    "CA": 1200,
    "DE": 200,
    "AU": 30,
    "BR": 250,
    "MX": 150,
    "PT": 110,
    "ES": 120,
    "FR": 120,
    "GB": 120,
    "IN": 120,
    "JP": 80,
}
GOOD_COUNT = sum(COUNTS.values()) + len(SCRIPTED_PHONES)

# A name and how it is written in an e-mail address, where that differs by more than accents.
GIVEN_NAMES: dict[str, str] = {
    "en": "Maria James Olivia Noah Emma Liam Ava Ethan Zoë Grace Henry Chloe Renée Jack Ruby Oscar",
    "es": "José Lucía Mateo Sofía Iñigo Carmen Andrés Inés Martín Elena Jesús Paula Raúl Noa",
    "pt": "João Maria Inês Tiago Conceição Luís Beatriz Simão Marta Antônio Luana Caio Letícia Rui",
    "fr": "Amélie Hugo Chloé Gaël Zoé François Léa Benoît Manon Étienne Camille Loïc Jade Louis",
    "de": "Jürgen Anna Björn Käthe Lukas Sören Lena Günther Mia Felix Heike Jonas Clara Uwe",
    "pl": "Łukasz Agnieszka Paweł Małgorzata Michał Żaneta Wojciech Ola",
    "el": "Σοφία|Sofia Γιώργος|Giorgos Ελένη|Eleni Νίκος|Nikos",
    "hi": "प्रिया|Priya अर्जुन|Arjun अनन्या|Ananya रोहन|Rohan दीपा|Deepa Kavya Vikram Isha",
    "ja": "美咲|Misaki 陽翔|Haruto 結衣|Yui 蓮|Ren さくら|Sakura 大和|Yamato",
}
FAMILY_NAMES: dict[str, str] = {
    "en": "Smith Johnson O'Brien Taylor Walker Hughes Brontë Clarke Reed Young Foster McKay",
    "es": "García Núñez Fernández Ruiz Ibáñez Castro Peña Molina Vega Ortiz",
    "pt": "Silva Conceição Araújo Magalhães Sousa Nogueira Gonçalves Lima Falcão Reis",
    "fr": "Dupont Lefèvre Moreau Béranger Girard Françoise-Noël Petit Chevalier Dubois",
    "de": "Müller Schröder Weiß Groß Fischer Köhler Schäfer Vogel Bauer Jäger",
    "pl": "Kowalski Wiśniewska Dąbrowski Zielińska Wójcik",
    "el": "Παπαδοπούλου|Papadopoulou Νικολάου|Nikolaou Δημητρίου|Dimitriou",
    "hi": "शर्मा|Sharma पटेल|Patel Iyer सिंह|Singh Rao",
    "ja": "佐藤|Sato 鈴木|Suzuki 高橋|Takahashi 渡辺|Watanabe",
}
LANGUAGES: dict[str, Sequence[str]] = {
    "US": ("en", "en", "en", "en", "es"),
    "CA": ("en", "en", "fr"),
    "DE": ("de", "de", "de", "pl"),
    "AU": ("en", "en", "el"),
    "BR": ("pt",),
    "MX": ("es",),
    "PT": ("pt",),
    "ES": ("es",),
    "FR": ("fr",),
    "GB": ("en", "en", "pl", "el"),
    "IN": ("hi", "en"),
    "JP": ("ja",),
}
TIERS = ("free", "free", "free", "core", "core", "vip")

BAD_PHONES = (
    # National and human formats: the API takes E.164 alone.
    "(212) 555-0142",
    "(312) 555-0177",
    "212-555-0143",
    "312.555.0144",
    "12125550145",
    "2125550146",
    "+1 212 555 0147",
    "+1-212-555-0148",
    "+1 (212) 555-0149",
    "tel:+12125550150",
    "0049 171 3920099",
    "00493920012",
    "011442079460123",
    # Letters, words and spreadsheet damage.
    "+1212555ABCD",
    "+1abc",
    "+1800FLOWERS",
    "+1212555O151",
    "n/a",
    "unknown",
    "-",
    "1.2125550152E+10",
    "#REF!",
    # Too short, too long, no such range.
    "+1415",
    "+49",
    "+12125550",
    "+3519123",
    "+121255501535555",
    "+4917139200001234",
    "+10005550100",
    "+19995550100",
    # Digits that are not ASCII digits.
    "+１２１２５５５０１５４",
    # Nothing at all.
    "",
    "",
    "",
)
BAD_EMAILS = (
    "no-at-sign.example.com",
    "@example.com",
    "nobody@",
    "two@@example.com",
    "with space@example.com",
    "double..dot@example..com",
)
BAD_COUNT = len(BAD_PHONES) + len(BAD_EMAILS)
ROW_COUNT = GOOD_COUNT + DUPLICATE_COUNT + BAD_COUNT

Row = list[str]


class Draw:
    """Seeded draws made of `random()` alone, whose sequence Python keeps the same in every version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, count: int) -> int:
        """A whole number from 0 to `count` - 1."""
        return int(self._random.random() * count)

    def pick(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.number(len(items))]

    def chance(self, percent: int) -> bool:
        """True `percent` times in a hundred."""
        return self.number(100) < percent

    def shuffle(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        keyed = [(self._random.random(), position, item) for position, item in enumerate(items)]
        return [item for _, _, item in sorted(keyed, key=lambda entry: entry[:2])]


def phones(country: str) -> list[str]:
    """A country's numbers to draw from: kept for fiction where such a range is valid, else made up."""
    if country in ("US", "CA"):
        areas = US_AREAS if country == "US" else CA_AREAS
        return [f"+1{area}55501{line:02}" for area in areas.split() for line in range(100)]
    if country == "DE":
        return [f"{block}{line:02}" for block in DE_BLOCKS for line in range(100)]
    if country == "AU":
        return [f"+61491{line}" for line in AU_LINES.split()]
    return [f"{MADE_UP_BLOCKS[country]}{line:03}" for line in range(1000)]


def make_rows(seed: int = SEED) -> list[Row]:
    """All rows under the header, in order."""
    draw = Draw(seed)
    serial = iter(range(1, ROW_COUNT + 1))
    people: list[Row] = []
    spare: list[str] = []
    for country, count in COUNTS.items():
        numbers = draw.shuffle(phones(country))
        people += [_person(draw, phone, country, next(serial)) for phone in numbers[:count]]
        if country == "US":
            spare = numbers[count:]
    duplicates = []
    for original in draw.shuffle(people)[:DUPLICATE_COUNT]:
        again = list(original)
        again[5] = draw.pick(TIERS)
        again[6] = _joined_at(draw)
        duplicates.append(again)
    for position, person in enumerate(people):
        _trouble(person, position)
    bad = []
    for phone in BAD_PHONES:
        row = _person(draw, phone, "US", next(serial))
        bad.append(row)
    for phone, email in zip(spare, BAD_EMAILS, strict=False):
        row = _person(draw, phone, "US", next(serial))
        row[3] = email
        bad.append(row)
    rows = draw.shuffle(people + duplicates + bad)
    # The scripted numbers stand near the top, so that a run on the first rows alone meets them too.
    for position, phone in enumerate(SCRIPTED_PHONES):
        person = _person(draw, phone, "US", next(serial))
        rows.insert(FIRST_SCRIPTED_ROW + SCRIPTED_ROW_STEP * position, person)
    return rows


def make_csv(seed: int = SEED) -> bytes:
    """The file: UTF-8 without a byte order mark, lines ended by a line feed, quoted where needed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(make_rows(seed))
    return text.getvalue().encode()


def _person(draw: Draw, phone: str, country: str, serial: int) -> Row:
    language = draw.pick(LANGUAGES[country])
    first, first_ascii = _spelled(draw.pick(GIVEN_NAMES[language].split()))
    last, last_ascii = _spelled(draw.pick(FAMILY_NAMES[language].split()))
    email = f"{first_ascii}.{last_ascii}{serial}@example.{draw.pick(('com', 'com', 'org'))}"
    if draw.chance(5):
        email = email.replace("@", "+sms@")
    if draw.chance(6):
        email = ""
    if draw.chance(4):
        first = ""
    return [phone, first, last, email, country, draw.pick(TIERS), _joined_at(draw), language]


def _trouble(row: Row, position: int) -> None:
    """Dress a good row in what spreadsheets really export."""
    if position % 97 == 0:
        row[2] = f"{row[2]}, Jr."
    elif position % 97 == 1 and row[1]:
        row[1] = f'{row[1]} "Ace"'
    elif position % 97 == 2:
        row[0] = f"{row[0]}  "
    elif position % 97 == 3:
        row[2] = f"  {row[2]} "
    elif position % 97 == 4:
        row[3] = f"{row[3]} "


def _spelled(name: str) -> tuple[str, str]:
    native, _, latin = name.partition("|")
    plain = unicodedata.normalize("NFKD", (latin or native).replace("ł", "l").replace("Ł", "L").replace("ß", "ss"))
    return native, "".join(c for c in plain.lower() if c.isascii() and (c.isalnum() or c == "-"))


def _joined_at(draw: Draw) -> str:
    return f"{2024 + draw.number(2)}-{1 + draw.number(12):02}-{1 + draw.number(28):02}"


def main() -> None:
    """Write the file the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("contacts.csv"))
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    options.output.write_bytes(make_csv(options.seed))
    print(f"{ROW_COUNT} rows: {GOOD_COUNT} good, {DUPLICATE_COUNT} duplicates, {BAD_COUNT} bad")


if __name__ == "__main__":
    main()
