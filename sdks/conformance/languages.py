"""What each language needs to be run: its tools, its suite, and its driver."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
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
            (("node", "--test", "tests/vectors.test.mjs", "tests/receivers.test.mjs"),),
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
