"""Sizes and CPU times of importing our libraries beside others': `python -m bench.libraries`.

It installs stripe, twilio and svix from the registries into folders of its own, which are gone afterwards.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SDKS = Path(__file__).resolve().parents[1] / "sdks"
ROUNDS = 12
KEY = "msvs_test_0000000000000000000000000000002C8GjS"
PYTHON = {
    "massivesms": f"from massivesms import MassiveSMS; MassiveSMS(api_key={KEY!r}).messages",
    "stripe": "import stripe; stripe.StripeClient('sk_test_x').v1.customers",
    "twilio": "from twilio.rest import Client; Client('AC', 'x').messages",
    "svix": "from svix.api import Svix; Svix('testsk_x.eu').message",
}
NODE = {
    "@massivesms/node": f"new (require('@massivesms/node').MassiveSMS)({{ apiKey: '{KEY}' }}).messages",
    "stripe": "const S = require('stripe'); new (S.default ?? S)('sk_test_x').customers",
    "twilio": "require('twilio')('AC' + '0'.repeat(32), 'x').messages",
    "svix": "await import('svix').then((svix) => new svix.Svix('testsk_x.eu').message)",
}


def _run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def python(place: Path) -> dict[str, tuple[float, float]]:
    """Return the megabytes of each package and the median milliseconds of CPU until a client is there."""
    found = {}
    for name, code in PYTHON.items():
        target = place / name
        source = str(SDKS / "python") if name == "massivesms" else name
        _run(
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--target",
            str(target),
            source,
            cwd=place,
        )
        size = _size(target / name)
        timed = f"import sys, time; sys.path.insert(0, {str(target)!r}); start = time.process_time(); {code}"
        command = (sys.executable, "-S", "-c", f"{timed}; print(time.process_time() - start)")
        _run(*command, cwd=place)
        found[name] = (size, 1000 * statistics.median(float(_run(*command, cwd=place)) for _ in range(ROUNDS)))
    return found


def node(place: Path) -> dict[str, tuple[float, float]]:
    """Return the same of npm's packages."""
    packed = json.loads(_run("npm", "pack", "--json", "--pack-destination", str(place), cwd=SDKS / "node"))[0][
        "filename"
    ]
    (place / "package.json").write_text("{}")
    others = [name for name in NODE if not name.startswith("@")]
    _run("npm", "install", "--silent", "--no-audit", "--no-fund", f"./{packed}", *others, cwd=place)
    found = {}
    for name, code in NODE.items():
        timed = f"const start = process.cpuUsage(); {code}; const used = process.cpuUsage(start);"
        script = f"(async () => {{ {timed} console.log((used.user + used.system) / 1000); }})()"
        command = ("node", "-e", script)
        times = [float(_run(*command, cwd=place)) for _ in range(ROUNDS)]
        found[name] = (_size(place / "node_modules" / name), statistics.median(times))
    return found


def main() -> None:
    """Print a table of each language."""
    for measure in (python, node):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{measure.__name__:<20} {'MB':>8} {'ms CPU':>8}")
            for name, (size, milliseconds) in measure(Path(folder)).items():
                print(f"{name:<20} {size:>8.2f} {milliseconds:>8.0f}")


if __name__ == "__main__":
    main()
