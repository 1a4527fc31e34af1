"""docs/carriers.md against the code: its file makes carriers, and it names every option."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from msvs.api.catalogue import ERRORS
from msvs.carriers.http import HttpOptions
from msvs.carriers.registry import KINDS, make_carriers
from msvs.carriers.telnyx import TelnyxOptions
from msvs.carriers.twilio import TwilioOptions
from msvs.carriers.vonage import VonageOptions
from msvs.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "carriers.md").read_text()
FILE = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def options_in(heading: str) -> set[str]:
    """The names in the first column of a section's first table."""
    text = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_files_make_their_carriers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(FILE)
    for name in re.findall(r'env = "(\w+)"', text):
        monkeypatch.setenv(name, "from-the-environment")
    path = tmp_path / "carriers.toml"
    path.write_text(text)
    carriers = make_carriers(Settings(carriers=path, live_carrier="twilio-us"))
    kinds = {name: carrier.kind for name, carrier in carriers.items()}
    assert kinds.items() >= {("twilio-us", "twilio"), ("telnyx-us", "telnyx"), ("vonage-br", "vonage")}
    assert set(kinds.values()) == {"virtual", *KINDS}
    assert [carriers[name].rate for name in ("twilio-us", "telnyx-us", "vonage-br")] == [80.0, None, 30.0]


@pytest.mark.parametrize(
    ("heading", "options"), [("Twilio", TwilioOptions), ("Telnyx", TelnyxOptions), ("Vonage", VonageOptions)]
)
def test_every_option_is_explained(heading: str, options: type[HttpOptions]) -> None:
    shared = {field.name for field in msgspec.structs.fields(HttpOptions)}
    assert options_in("Options of every HTTP carrier") == shared
    assert options_in(heading) == {field.name for field in msgspec.structs.fields(options)} - shared


def test_every_code_that_it_names_is_in_the_catalogue() -> None:
    assert set(re.findall(r"`(callback_\w+)`", PAGE)) == {"callback_refused", "callback_invalid"} <= ERRORS.keys()


def test_every_kind_by_http_has_its_section() -> None:
    for kind in ("twilio", "telnyx", "vonage"):
        assert kind in KINDS
        assert f"\n## {kind.capitalize()}\n" in PAGE
