"""Drives the handset's page in Chromium against a service of its own, or takes the README's pictures there."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from scripts.contract.service import running_service

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the browser; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=Path, help="keep pictures of the page in this folder")
    parser.add_argument("--pictures", type=Path, help="only take the README's pictures, into this folder: docs/images")
    options = parser.parse_args()
    folder = [] if options.screenshots is None else [str(options.screenshots.resolve())]
    with running_service() as service:
        command = ["node", str(HERE / "drive.mjs"), service.base_url, *folder]
        if options.pictures is not None:
            password = (service.data_dir / "operator.key").read_text().strip()
            command = ["node", str(HERE / "pictures.mjs"), service.base_url, password, str(options.pictures.resolve())]
        return subprocess.run(command, cwd=HERE, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
