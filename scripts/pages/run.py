"""Looks at every page in Chromium, against a service of its own: axe-core's rules, keyboard, search and forms."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from scripts.contract.service import Service, running_service

HERE = Path(__file__).resolve().parent
# One of these answers, one fails, and one is refused.
PHONES = ("+14155550107", "+14155550103", "+14155550101")
SETTLED_SECONDS = 6


def send(service: Service, phone: str) -> None:
    """Send a message in the sandbox."""
    body = json.dumps({"to": phone, "body": "Doors open at 8pm ET."}).encode()
    headers = {"Authorization": f"Bearer {service.test_key}", "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{service.base_url}/v1/messages", body, headers), timeout=10).close()


def main() -> int:
    """Run the browser; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="keep a picture of each view in this folder")
    parser.add_argument("--only", default="", help="only what begins so, such as docs or handset")
    options = parser.parse_args()
    with running_service() as service:
        for phone in PHONES:
            send(service, phone)
        time.sleep(SETTLED_SECONDS)
        known = json.loads((service.data_dir / "demo.json").read_text()) | {
            "base": service.base_url,
            "only": options.only,
            "folder": None if options.pictures is None else str(options.pictures.resolve()),
        }
        command = ["node", str(HERE / "check.mjs")]
        return subprocess.run(command, cwd=HERE, input=json.dumps(known), text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
