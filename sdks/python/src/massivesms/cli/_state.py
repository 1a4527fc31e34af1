"""What the command line keeps between runs: the key and address of `login`, how far `listen` came, and its secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "MASSIVESMS_CONFIG_DIR"


def folder() -> Path:
    """Return the folder of the user's settings."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(os.environ.get(VARIABLE) or Path(home) / "massivesms")


def read(name: str) -> dict[str, Any]:
    """Read what is kept under a name."""
    try:
        value = json.loads((folder() / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def clear(name: str) -> None:
    """Forget what is kept under a name."""
    (folder() / f"{name}.json").unlink(missing_ok=True)


def write(name: str, value: dict[str, Any]) -> Path:
    """Keep a value where nobody else can read it."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder() / f"{name}.json"
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    new.replace(path)
    return path
