"""Runs the suites of SDKs and holds them to the service: `python -m sdks.conformance [--lang LANGUAGE]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.contract.service import running_service
from sdks.conformance import packages, samples
from sdks.conformance.languages import LANGUAGES, Language
from sdks.conformance.run import Conformance
from sdks.generator import readmes
from sdks.generator import samples as guides

MISSING = 3


def main() -> int:
    """Run the chosen languages; 1 where any fails, 3 where none fails and a toolchain is missing."""
    parser = argparse.ArgumentParser(prog="python -m sdks.conformance", description=__doc__)
    parser.add_argument("--lang", choices=[*LANGUAGES, "curl"], action="append")
    parser.add_argument("--only", choices=("suite", "samples", "service"), help="one part of it alone")
    options = parser.parse_args()
    results: dict[str, str] = {}
    for name in options.lang or [*LANGUAGES, "curl"]:
        if name == "curl":
            results[name] = curl()
            continue
        language = LANGUAGES[name]
        missing = language.missing()
        results[name] = f"NOT RUN: {', '.join(missing)} is missing" if missing else run(language, options.only)
    print("\n".join(f"{name:8} {result}" for name, result in results.items()))
    if any(result.startswith("failed") for result in results.values()):
        return 1
    return MISSING if any(result.startswith("NOT RUN") for result in results.values()) else 0


def curl() -> str:
    """Run the examples of curl against the service, and say what came of it."""
    paths = [path for name in readmes.EXAMPLES if (path := readmes.example("curl", name)).exists()]
    with running_service() as service:
        given = dict(os.environ)
        given |= {"MASSIVESMS_API_KEY": service.test_key, "MASSIVESMS_BASE_URL": service.unlimited_url}
        failed = [path.name for path in paths if subprocess.run(["sh", "-e", path], env=given, check=False).returncode]
    failed += samples.run_curl()
    count = len(guides.called())
    return f"failed: {', '.join(failed)}" if failed else f"passed: {len(paths)} examples and {count} calls"


def run(language: Language, only: str | None) -> str:
    """Run one language and say what came of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MASSIVESMS_")}
    for command in (*language.prepare, *(language.suite if only in (None, "suite") else ())):
        if language.run(command, kept):
            return f"failed: {' '.join(command)}"
    if only != "service" and (wrong := samples.run(language)):
        return f"failed: {len(wrong)} samples of the reference: {'; '.join(wrong[:5])}"
    if only in ("suite", "samples"):
        return f"passed: {'suite and ' if only == 'suite' else ''}samples"
    with running_service() as service:
        found = Conformance(language, service, kept).run()
        print(f"{language.name}: {found.calls} calls, {len(found.faults)} wrong", flush=True)
        kept |= {"MASSIVESMS_API_KEY": service.test_key, "MASSIVESMS_BASE_URL": service.unlimited_url}
        for name in readmes.EXAMPLES:
            path = readmes.example(language.name, name).relative_to(language.folder)
            if language.run((*language.example, f"./{path}"), kept):
                found.faults.append(f"the example {path} fails")
        if language.name in packages.INSTALL:
            with tempfile.TemporaryDirectory() as folder:
                found.faults += packages.check(language.name, Path(folder) / "project", kept)
    for line in found.faults:
        print(f"{language.name}: {line}")
    told = f"{found.calls} calls of {found.operations} operations, {found.made} faults, {found.seen} requests"
    return f"failed: {len(found.faults)} in {told}" if found.faults else f"passed: suite, and {told}"


if __name__ == "__main__":
    sys.exit(main())
