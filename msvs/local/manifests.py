"""Check a base backup against its manifest, as pg_verifybackup does, which not every build of PostgreSQL has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from msvs.local.postgres_tools import BackupError, find_tool, is_of, run_tool

MANIFEST = "backup_manifest"
ALGORITHM = "SHA256"
# What a backup may hold beside what its manifest lists.
UNLISTED = frozenset((MANIFEST, "postgresql.auto.conf", "recovery.signal", "standby.signal"))
SHOWN = 5


def verify_base(data: Path, major: int) -> None:
    """Check every file of a base backup, and that its WAL can be read. Raises BackupError."""
    try:
        text = (data / MANIFEST).read_text()
        manifest = json.loads(text)
        faults = list(_faults(data, text, manifest))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(f"the base backup in {data} cannot be checked: {error!r}") from None
    if faults:
        more = f", and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise BackupError(f"the base backup in {data} is damaged: {'; '.join(faults[:SHOWN])}{more}")
    tool = find_tool("pg_waldump", major)
    # A tool of another version cannot read the WAL.
    if is_of(tool, major):
        for span in manifest["WAL-Ranges"]:
            place = (f"--timeline={span['Timeline']}", f"--start={span['Start-LSN']}", f"--end={span['End-LSN']}")
            run_tool([str(tool), "--quiet", f"--path={data / 'pg_wal'}", *place])


def _faults(data: Path, text: str, manifest: Mapping[str, object]) -> Iterator[str]:
    body = text[: text.rindex('"Manifest-Checksum"')]
    if hashlib.sha256(body.encode()).hexdigest() != manifest["Manifest-Checksum"]:
        yield f"{MANIFEST} was changed"
    files = manifest["Files"]
    assert isinstance(files, list)
    listed = set()
    for entry in files:
        name = (
            entry["Path"] if "Path" in entry else bytes.fromhex(entry["Encoded-Path"]).decode(errors="surrogateescape")
        )
        listed.add(name)
        path = data / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != entry["Size"]:
            yield f"{name} has another size"
        elif entry["Checksum-Algorithm"] == ALGORITHM and _digest(path) != entry["Checksum"]:
            yield f"{name} has another content"
    for path in data.rglob("*"):
        name = path.relative_to(data).as_posix()
        if path.is_file() and name not in listed and name not in UNLISTED and not name.startswith("pg_wal/"):
            yield f"{name} does not belong to it"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
