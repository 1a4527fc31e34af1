"""Write the vendored files again from their npm packages: `python -m scripts.vendor`; `--check` only compares."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "scripts" / "vendored.json"

# What is changed in a file, by name: a pattern and what takes its place.
EDITS: Mapping[str, tuple[re.Pattern[bytes], bytes]] = {
    "no source map": (re.compile(rb"(?://# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+\*/)\n?\Z"), b""),
    "no fonts": (re.compile(rb"@font-face\{[^}]*\}"), b""),
    "no link to babel": (
        re.compile(rb"https://github\.com/babel/\S+/LICENSE"),
        b"see the licence of babel-helpers in babel/babel",
    ),
}


def read_manifest() -> list[dict[str, Any]]:
    """Return the packages with their versions and files."""
    packages: list[dict[str, Any]] = json.loads(MANIFEST.read_text())
    return packages


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content in hex."""
    return hashlib.sha256(content).hexdigest()


def edited(content: bytes, edits: list[str]) -> bytes:
    """Return a file's content with the named edits made."""
    for name in edits:
        pattern, replacement = EDITS[name]
        content = pattern.sub(replacement, content)
    return content


def download(package: str, version: str, folder: Path) -> tarfile.TarFile:
    """Download a package with npm, which verifies its checksum."""
    command = ["npm", "pack", "--silent", f"{package}@{version}"]
    packed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return tarfile.open(folder / packed.stdout.split()[-1])


def take(archive: tarfile.TarFile, source: str) -> bytes:
    """Return the content of one file of a package. Raises FileNotFoundError."""
    try:
        member = archive.extractfile(f"package/{source}")
    except KeyError:
        member = None
    if member is None:
        raise FileNotFoundError(f"the package holds no {source}")
    return member.read()


def main() -> int:
    """Write or compare the files; return 1 if a file differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    options = parser.parse_args()
    packages, differing = read_manifest(), []
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            with download(package["package"], package["version"], Path(folder)) as archive:
                for file in package["files"]:
                    content = edited(take(archive, file["source"]), file["edits"])
                    path = ROOT / file["path"]
                    if not path.exists() or path.read_bytes() != content:
                        differing.append(file["path"])
                    if not options.check:
                        path.write_bytes(content)
                        file["sha256"] = digest(content)
    if not options.check:
        MANIFEST.write_text(json.dumps(packages, indent=2) + "\n")
    for name in differing:
        print(f"{'differs' if options.check else 'written'}: {name}")
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
