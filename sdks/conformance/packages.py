"""Builds the package of an SDK, installs it into an empty project, and runs the README's examples there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from sdks.conformance import installed
from sdks.conformance.languages import SDKS
from sdks.generator import readmes

Command = tuple[str, ...]
Environment = dict[str, str]
GO_MODULE = "github.com/massivesms/massivesms-go"
# What the package of PHP does not hold.
LEFT_OUT = ("tests", "examples", "phpunit.xml", "vendor")


def check(language: str, project: Path, environment: Environment) -> list[str]:
    """Install an SDK into the empty folder `project` and run its examples; name what fails."""
    install = INSTALL[language]
    project.mkdir(parents=True)
    command, more = install(SDKS / language, project, environment)
    faults = []
    for name in readmes.EXAMPLES:
        source = readmes.example(language, name)
        target = project / f"{name}{source.suffix}"
        shutil.copyfile(source, target)
        run = subprocess.run(
            (*command, target.name), cwd=project, env=environment | more, capture_output=True, text=True, check=False
        )
        target.unlink()
        if run.returncode:
            faults.append(f"installed from its package, the example {name} fails: {run.stderr.strip()[-400:]}")
    return faults


def install_go(folder: Path, project: Path, environment: Environment) -> tuple[Command, Environment]:
    """Put the module into a proxy of files, as it would be published, and get it from there."""
    version = "v" + _version(folder / "version.go")
    proxy = project.parent / "proxy"
    place = proxy / GO_MODULE / "@v"
    place.mkdir(parents=True)
    (place / "list").write_text(version + "\n")
    (place / f"{version}.info").write_text(json.dumps({"Version": version}))
    shutil.copyfile(folder / "go.mod", place / f"{version}.mod")
    with zipfile.ZipFile(place / f"{version}.zip", "w") as package:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                package.write(path, f"{GO_MODULE}@{version}/{path.relative_to(folder).as_posix()}")
    more = {
        "GOPROXY": f"file://{proxy}",
        "GOSUMDB": "off",
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOMODCACHE": str(project.parent / "modules"),
    }
    for command in (("go", "mod", "init", "example.com/project"), ("go", "get", f"{GO_MODULE}@{version}")):
        _run(command, project, environment | more)
    return ("go", "run"), more


def install_ruby(folder: Path, project: Path, environment: Environment) -> tuple[Command, Environment]:
    """Build the gem and install it into a folder of gems of its own."""
    gems = project.parent / "gems"
    gem = project.parent / "massivesms.gem"
    more = {"GEM_HOME": str(gems), "GEM_PATH": str(gems)}
    _run(("gem", "build", "--quiet", "massivesms.gemspec", "--output", str(gem)), folder, environment)
    _run(("gem", "install", "--quiet", "--local", "--no-document", str(gem)), project, environment | more)
    return ("ruby",), more


def install_php(folder: Path, project: Path, environment: Environment) -> tuple[Command, Environment]:
    """Lay the package out as it would be published, and have Composer copy it into the project."""
    version = _version(folder / "src" / "Version.php")
    package = project.parent / "package"
    shutil.copytree(folder, package, ignore=shutil.ignore_patterns(*LEFT_OUT))
    told = json.loads((folder / "composer.json").read_text()) | {"version": version}
    (package / "composer.json").write_text(json.dumps(told))
    sources = [{"type": "path", "url": str(package), "options": {"symlink": False}}, {"packagist.org": False}]
    required = {"massivesms/massivesms-php": version}
    (project / "composer.json").write_text(json.dumps({"repositories": sources, "require": required}))
    more = {"COMPOSER_HOME": str(project.parent / "composer"), "COMPOSER_ALLOW_SUPERUSER": "1"}
    _run(("composer", "install", "--quiet", "--no-interaction"), project, environment | more)
    return ("php",), more


def _version(path: Path) -> str:
    found = re.search(r"[0-9]+\.[0-9]+\.[0-9]+", path.read_text())
    assert found is not None
    return found[0]


def _run(command: Command, folder: Path, environment: Environment) -> None:
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True)


INSTALL: dict[str, Callable[[Path, Path, Environment], tuple[Command, Environment]]] = {
    "go": install_go,
    "node": lambda folder, project, environment: installed.node(project),
    "php": install_php,
    "python": lambda folder, project, environment: installed.python(project),
    "ruby": install_ruby,
}
