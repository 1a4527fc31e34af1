"""Read countries in tables: by code, by calling code, or by name in several languages."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files

import phonenumbers

from msvs.api.text.cells import clean_text
from msvs.api.text.columns import fold_name

_calling_code = re.compile(r"\+?[0-9]{1,3}").fullmatch


def read_country(text: str, default: str | None) -> str | None:
    """Return the region that a cell names; `default` where it names none, None if what it names is not known."""
    text = clean_text(text)
    if not text:
        return default
    if _calling_code(text):
        found = phonenumbers.region_code_for_country_code(int(text))
        return found if found in phonenumbers.SUPPORTED_REGIONS else None
    code = text.upper()
    return code if code in phonenumbers.SUPPORTED_REGIONS else _load_names().get(fold_name(text))


@lru_cache(maxsize=1)
def _load_names() -> dict[str, str]:
    data = tomllib.loads(files("msvs.api").joinpath("data/countries.toml").read_text("utf-8"))
    names: dict[str, str] = {}
    for code, spelled in data["names"].items():
        for name in spelled:
            names.setdefault(fold_name(name), code)
    return names
