"""Carriers configured by the operator: a TOML file with a table for each; secrets come from the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from msvs.settings import SettingsError

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,29}")


@dataclass(frozen=True, slots=True)
class CarrierConfig:
    """One carrier of the file: `[name]` with its `kind`, and what that kind of carrier wants to know.

    `public_url` is where the carrier reaches us, without a trailing slash.
    """

    name: str
    kind: str
    options: Mapping[str, object] = field(repr=False)
    public_url: str

    def read(self, type: type[T]) -> T:
        """Read the options as a carrier's own msgspec Struct. Raises SettingsError that names carrier and option."""
        try:
            return msgspec.convert(dict(self.options), type)
        except msgspec.ValidationError as error:
            raise SettingsError(f"carrier {self.name}: {error}") from None

    def callback_url(self, kind: str) -> str:
        """Return where the carrier is to send its `reports` or `inbound`."""
        return f"{self.public_url}/carriers/{self.name}/{kind}"


def read_carriers(path: Path, *, public_url: str, environ: Mapping[str, str] | None = None) -> list[CarrierConfig]:
    """Read the carriers of a file. A value `{env = "NAME"}` is that variable of the environment.

    Raises SettingsError.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"MSVS_CARRIERS: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"MSVS_CARRIERS: {path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"MSVS_CARRIERS: {path}: {error}") from None
    env = os.environ if environ is None else environ
    return [_read(name, table, public_url, env) for name, table in tables.items()]


def _read(name: str, table: object, public_url: str, env: Mapping[str, str]) -> CarrierConfig:
    if not _NAME.fullmatch(name) or name == "virtual":
        raise SettingsError(f"carrier {name!r}: a name is up to 30 of a-z, 0-9, _ and -, and not `virtual`")
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise SettingsError(f"carrier {name}: a table with a `kind` is required")
    options = {key: _value(name, key, value, env) for key, value in table.items() if key != "kind"}
    return CarrierConfig(name, table["kind"], options, public_url)


def _value(name: str, key: str, value: object, env: Mapping[str, str]) -> object:
    if not (isinstance(value, dict) and set(value) == {"env"}):
        return value
    found = env.get(str(value["env"]))
    if not found:
        raise SettingsError(f"carrier {name}: {key}: the environment has no {value['env']}")
    return found
