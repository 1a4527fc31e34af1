"""The documents tell the truth: links resolve, tables agree with the code, and the tour runs."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from redis import Redis

from msvs import cli
from msvs.api.messages.messages import send_message
from scripts import build_reference, vendor
from tests.engines import eventually

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
CASES = ROOT / "tests" / "cases.md"
README_LINES = 150
PICTURE_BYTES = 150_000
TOUR_SECONDS = 100
START_SECONDS = 120.0  # on a busy machine, engines and all
STOP_SECONDS = 60

LINK = re.compile(r"(?<!`)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
# What a word in backquotes must look like to be a path of the repository.
PATH = re.compile(r"(?:msvs|tests|docs|examples|bench|\.ci)/[\w./-]+|[\w-]+\.(?:md|lock|toml|graphql)|Makefile")
PROOF = re.compile(r"tests/[\w/]+\.py::test_\w+")
# A function, class or constant of the package by its full name.
DOTTED = re.compile(r"`(msvs(?:\.\w+)+)`")
# A step of a list, with the lines that continue it.
STEP = re.compile(r"^\d+\. .*(?:\n   .*)*", re.MULTILINE)

# Put together from parts, so that this file does not match itself.
INDEX_HOSTS = (
    "pypi." + "org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "index-" + "url =",
    "extra-index-" + "url",
)
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:home|root|Users|work|mnt|workspace)/[\w.-]+")
KEYS = (
    # A secret of zeros, as the vectors of SDKs have it, opens nothing.
    re.compile(r"\bmsvs_(?:live|test)_(?!0{30})[0-9A-Za-z]{36}\b"),
    re.compile(r"\bwhsec_[0-9A-Za-z+/_-]{40,}"),
    re.compile(r"\b(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}"),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[0-9A-Za-z]{30,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
)


def tracked() -> list[Path]:
    """Every text file that the repository holds, as it stands in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def documents() -> list[Path]:
    pages = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")}
    return sorted({*pages, CASES})


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str) -> list[list[str]]:
    """The cells of a section's rows, without header and rule."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def code_of(cell: str) -> str:
    found = CODE.fullmatch(cell)
    assert found, cell
    return found[1]


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_links_resolve(path: Path) -> None:
    targets = LINK.findall(FENCE.sub("", path.read_text()))
    local = [target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")]
    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_paths_that_are_named_exist(path: Path) -> None:
    words = CODE.findall(FENCE.sub("", path.read_text()))
    named = {word.partition("::")[0] for word in words if PATH.fullmatch(word.partition("::")[0])}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_tests_that_are_named_exist(path: Path) -> None:
    missing = []
    for proof in set(PROOF.findall(path.read_text())):
        file, _, function = proof.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        if function not in {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }:
            missing.append(proof)
    assert missing == []


def find_named(name: str) -> object:
    """The module, or what a module holds, that a dotted name stands for. Raises AttributeError."""
    parts = name.split(".")
    found: object = import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        with suppress(ModuleNotFoundError):
            import_module(".".join(parts[:number]))
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_functions_that_are_named_exist(path: Path) -> None:
    missing = []
    for name in sorted(set(DOTTED.findall(path.read_text()))):
        try:
            find_named(name)
        except AttributeError:
            missing.append(name)
    assert missing == []


def test_a_function_that_does_not_exist_is_found() -> None:
    assert find_named("msvs.api.messages.messages.send_message") is send_message
    for name in ("msvs.api.messages.messages.no_such_function", "msvs.api.no_such_module.send_message"):
        with pytest.raises(AttributeError):
            find_named(name)


def test_the_walkthrough_names_a_function_at_each_step() -> None:
    text = (DOCS / "walkthrough.md").read_text()
    subjects = re.findall(r"^## Follow one (.+)$", text, re.MULTILINE)
    assert subjects == ["message", "campaign", "delivery report", "webhook"]
    steps = [step for subject in subjects for step in STEP.findall(section(text, f"Follow one {subject}"))]
    assert len(steps) >= 50
    unnamed = [step for step in steps if not any(callable(find_named(name)) for name in DOTTED.findall(step))]
    assert unnamed == []


def test_every_promise_has_its_tests() -> None:
    rows = table(section((DOCS / "reliability.md").read_text(), "Promises and their tests"))
    assert [row[0] for row in rows] == [f"P{number}" for number in range(1, 8)]
    assert [row[0] for row in rows if not PROOF.search(row[2])] == []


def test_every_case_has_its_tests() -> None:
    text = CASES.read_text()
    areas = {title: table(section(text, title)) for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert {title: len(rows) for title, rows in areas.items()} == {
        "Requests and answers of the API": 27,
        "Files, phones and texts as people send them": 32,
        "Attacks": 27,
        "Clients that others wrote": 15,
        "Pages": 11,
        "Purchases and top-ups": 21,
        "Carriers and operators": 8,
    }
    assert [row[0] for rows in areas.values() for row in rows if not PROOF.search(row[1])] == []


def test_the_readme_is_short_and_says_each_promise() -> None:
    assert len(README.splitlines()) <= README_LINES
    promises = re.findall(r"^(\d)\. \*\*", section(README, "What MassiveSMS promises"), re.MULTILINE)
    assert promises == [str(number) for number in range(1, 8)]
    assert "(docs/reliability.md)" in README


def test_pictures_are_described_and_small() -> None:
    shown = re.findall(r"!\[([^]]*)\]\((docs/images/[\w.-]+)\)", README)
    assert {path for _, path in shown} == {name_of(path) for path in (DOCS / "images").iterdir()}
    assert len(shown) >= 3
    assert [path for text, path in shown if len(text.split()) < 5] == []
    assert [path for _, path in shown if (ROOT / path).stat().st_size > PICTURE_BYTES] == []


def test_the_index_names_every_page_and_every_decision() -> None:
    index = (DOCS / "README.md").read_text()
    linked = {(DOCS / target).resolve() for target in LINK.findall(index)}
    pages = {*DOCS.glob("*.md"), *(DOCS / "adr").glob("*.md")} - {DOCS / "README.md"}
    assert sorted(name_of(page) for page in pages - linked) == []


GENERATED = (
    "schema.graphql",
    "openapi.yaml",
    "msvs/rest_compat/postman/",
    "msvs/docs/site/",
    "msvs/docs/stamp.json",
    "docs/commands.md",
    "docs/parity.md",
    "docs/settings.md",
    "msvs/models/rows.py",
    "examples/contacts.csv",
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-contract.lock",
    "requirements-deploy.lock",
    "requirements-node.lock",
)


def attributes(name: str, paths: list[str]) -> dict[str, str]:
    """The value of a git attribute for each path."""
    done = subprocess.run(
        ["git", "check-attr", "-z", name, "--", *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    parts = done.stdout.split("\0")
    return dict(zip(parts[0::3], parts[2::3], strict=False))


def test_generated_files_are_marked() -> None:
    paths = [name_of(path) for path in tracked()]
    marks = attributes("linguist-generated", paths)
    generated = {path for path in paths if path.startswith(GENERATED) or path.endswith("package-lock.json")}
    assert sorted(path for path in generated if marks[path] != "set") == []
    marked = {path for path, mark in marks.items() if mark == "set"} - generated
    # What an earlier release published is kept as it was.
    assert marked == {"tests/contract/openapi-v1-frozen.yaml", "tests/graphql_api/published.graphql"}
    page = section((DOCS / "vendored.md").read_text(), "Generated files")
    assert [name for name in GENERATED if name.rstrip("/") not in page] == []


def test_vendored_files_are_as_published() -> None:
    packages = vendor.read_manifest()
    files = {file["path"]: file["sha256"] for package in packages for file in package["files"]}
    assert files == {name: vendor.digest((ROOT / name).read_bytes()) for name in files}
    shown = [row[:3] for row in table(section((DOCS / "vendored.md").read_text(), "Update a browser bundle"))]
    assert shown == [[f"`{each['package']}`", each["version"], each["license"]] for each in packages]
    licenses = (ROOT / "msvs/graphql/static/LICENSES.txt").read_text()
    named = [f"{each['package']} {each['version']}" for each in packages if each["license"] == "MIT"]
    assert [name for name in named if name not in licenses] == []
    marks = attributes("linguist-vendored", [name_of(path) for path in tracked()])
    code = {name for name in files if name.endswith((".js", ".css"))}
    assert {path for path, mark in marks.items() if mark == "set" and path.endswith((".js", ".css"))} == code


def test_an_edit_of_a_vendored_file_takes_its_pattern_alone() -> None:
    style = b"@font-face{font-family:Roboto}a{color:red}\n/*# sourceMappingURL=a.css.map*/"
    assert vendor.edited(style, ["no fonts", "no source map"]) == b"a{color:red}\n"
    assert vendor.edited(b"f()\n//# sourceMappingURL=f.js.map\n", ["no source map"]) == b"f()\n"
    assert vendor.edited(b"f()\n", list(vendor.EDITS)) == b"f()\n"


def test_the_glossary_explains_each_term_in_a_sentence() -> None:
    text = (DOCS / "glossary.md").read_text()
    groups = [table(part) for part in text.split("\n## ")[1:]]
    terms = [row[0] for group in groups for row in group]
    assert len(terms) >= 70
    assert len({term.casefold() for term in terms}) == len(terms)
    assert [names for group in groups if (names := [row[0].casefold() for row in group]) != sorted(names)] == []
    meanings = [row[1] for group in groups for row in group]
    assert [each for each in meanings if not re.fullmatch(r"[A-Z`][^.]*(?:\.\w[^.]*)*\.", each)] == []
    for page in ("README.md", "CONTRIBUTING.md", "docs/README.md"):
        assert "glossary.md)" in (ROOT / page).read_text(), page


def test_the_glossary_has_only_words_that_are_used() -> None:
    """Each word of a term stands in the code, the schema or another document; those of the trade need not."""
    texts = [path.read_text() for path in (ROOT / "msvs").rglob("*.py")]
    texts += [path.read_text() for path in DOCS.glob("*.md") if path.name != "glossary.md"]
    texts += [(ROOT / name).read_text() for name in ("README.md", "schema.graphql")]
    used = "\n".join(texts).casefold()
    groups = (DOCS / "glossary.md").read_text().split("\n## ")[1:]
    terms = [row[0] for group in groups if not group.startswith("SMS terms") for row in table(group)]
    words = {term: re.findall(r"[a-z0-9]+", term.partition(" (")[0].casefold()) for term in terms}
    assert [term for term, parts in words.items() if any(part not in used for part in parts)] == []


def test_every_decision_names_what_keeps_it() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text()
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Rule", "Kept by"], page.name
        assert text.startswith(f"# {page.name[:4]}: "), page.name
        assert PROOF.search(section(text, "Kept by")), page.name
        decisions = table(section((DOCS / "README.md").read_text(), "Decisions"))
        title = text.partition("\n")[0].removeprefix(f"# {page.name[:4]}: ")
        assert [f"[{page.name[:4]}](adr/{page.name})", title] in decisions, page.name


def lines_of(path: Path) -> int:
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return sum(len(file.read_text().splitlines()) for file in files)


def test_the_sizes_of_what_is_written_by_hand_are_true() -> None:
    page = DOCS / "adr" / "0003-libraries.md"
    rows = table(section(page.read_text(), "Decision").split("### Written by hand", 1)[1])
    sizes = {
        link: (int(lines), lines_of(page.parent / link)) for name, lines, *_ in rows for link in LINK.findall(name)
    }
    assert len(sizes) == len(rows) > 20
    assert {link: size for link, size in sizes.items() if abs(size[0] - size[1]) > size[1] / 10} == {}


def test_the_settings_table_is_the_settings() -> None:
    assert (DOCS / "settings.md").read_text() == build_reference.settings_page()


def test_the_commands_table_is_the_command_line() -> None:
    assert (DOCS / "commands.md").read_text() == build_reference.commands_page()


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    spelled = re.findall(r"(?:`|bin/|^)msvs ((?:[a-z]+ ?)+)", text, re.MULTILINE)
    heads = cli.COMMANDS.keys() | cli.ALIASES.keys()
    assert {words.split()[0] for words in spelled} <= heads
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_the_picture_is_whole_and_legible_in_both_schemes() -> None:
    svg = (ROOT / "docs" / "architecture.svg").read_text()
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title") is not None
    assert root.find(f"{space}desc") is not None
    light, dark = (
        dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r"svg \{([^}]*)\}", svg)
    )
    assert light.keys() == dark.keys() == set(re.findall(r"var\((--[a-z-]+)\)", svg))
    for colors in (light, dark):
        for behind in ("--paper", "--box", "--inner", "--truth", "--notice", "--work"):
            for ink in ("--ink", "--soft"):
                assert contrast(colors[ink], colors[behind]) >= 4.5, (ink, behind)
    outside = [
        value for value in re.findall(r"""(?:href|src|url)[=(]["']?([^"')\s]+)""", svg) if not value.startswith("#")
    ]
    assert outside == []
    paths = [text.strip() for node in root.iter(f"{space}text") for text in node.itertext()]
    named = {word for text in paths for word in re.findall(r"msvs/[\w./]+\w", text)}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors, as WCAG 2 defines it."""

    def luminance(color: str) -> float:
        parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dim, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


def leaks(text: str) -> list[str]:
    """What no file of the repository may hold."""
    found = [host for host in INDEX_HOSTS if host in text]
    found += MACHINE_PATH.findall(text)
    return found + [match for pattern in KEYS for match in pattern.findall(text)]


def test_no_index_host_and_no_machine_path_is_tracked() -> None:
    found = {}
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if leaked := leaks(text):
            found[name_of(path)] = sorted(set(leaked))
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "https://files." + "pythonhosted" + ".org/packages",
        "cd " + "/home" + "/maria/massivesms",
        'key = "msvs_live_' + "4f2a" * 9 + '"',
        "whsec_" + "0123456789" * 4,
        "-----BEGIN " + "RSA PRIVATE KEY-----",
    ],
)
def test_a_leak_is_found(text: str) -> None:
    assert leaks(text) != []


@pytest.mark.parametrize(
    "text", ["Bearer msvs_live_4f2a...", "whsec_of_the_tour", "https://cohortlabs.co/home/maria", "DATA_DIR/work/lock"]
)
def test_what_is_no_leak_is_left_alone(text: str) -> None:
    assert leaks(text) == []


# The tour


def tour() -> list[str]:
    """The shell blocks of the tour, in order."""
    steps = (DOCS / "tour.md").read_text().split("\n## Next steps\n", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", steps, re.DOTALL | re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Service:
    """A service of these tests alone."""

    address: str
    data_dir: Path

    def call(self, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        """The answer to a GET, or with a body to a POST, under the sandbox key."""
        key = json.loads((self.data_dir / "demo.json").read_text())["test_key"]
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`msvs run` on a data directory of its own."""
    data_dir = tmp_path_factory.mktemp("service") / "data"
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MSVS_", "DATABASE_", "REDIS_"))}
    environment = kept | {"DATA_DIR": str(data_dir), "PORT": str(port)}
    with (data_dir.with_name("service.log")).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "msvs", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            eventually(lambda: process.poll() is not None or is_ready(address), START_SECONDS)
            assert process.poll() is None, data_dir.with_name("service.log").read_text()
            yield Service(address, data_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_the_tour_works_twice(service: Service) -> None:
    """Every shell block of docs/tour.md, as it is printed, in one shell that stops at the first failure."""
    first, again = [take_the_tour(service) for _ in range(2)]
    for lines, balance in ((first, 10_500), (again, 11_000)):
        assert '{"added":1,"already_members":0,"not_found":[]}' in lines
        assert {"stop", "start"} <= set(lines)
        assert any('"code": "recipient_opted_out"' in line for line in lines)
        assert lines.count(str(balance - 500)) == 1
        assert f"balance        {balance}" in lines
        assert any(line.startswith("webhook: ") for line in lines)
        assert not any("FORGED" in line for line in lines)
        assert [line for line in lines if line == "true"] == ["true", "true"]


def test_the_readmes_curl_sends_a_message(service: Service) -> None:
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section(README, "Send a message"), re.DOTALL | re.MULTILINE)
    for printed, here in ((".data/", f"{service.data_dir}/"), ("http://127.0.0.1:8000", service.address)):
        assert printed in block
        block = block.replace(printed, here)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("curl ", "curl --silent --show-error ", 1)],
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    message = json.loads(done.stdout)
    assert (message["status"], message["to"]) == ("queued", "+14155550123")
    eventually(lambda: service.call(f"/v1/messages/{message['id']}")["status"] == "delivered")


def take_the_tour(service: Service) -> list[str]:
    """The lines that the tour prints."""
    blocks = tour()
    assert len(blocks) >= 8
    # If the shell ends early, its receiver must not outlive it.
    script = "\n".join(["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *blocks])
    for printed, here in (
        (".data/", f"{service.data_dir}/"),
        ("8900", str(free_port())),
        (".venv/bin/msvs", f"{shlex.quote(sys.executable)} -m msvs"),
    ):
        assert printed in script
        script = script.replace(printed, here)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def type_in(service: Service, page: str) -> list[str]:
    """The lines that the shell blocks of a page of the site print, typed in order, as they are printed."""
    text = (DOCS / "site" / page).read_text()
    # Text and JSON are shown, not typed.
    assert set(re.findall(r"^```(\w+)$", text, re.MULTILINE)) <= {"sh", "text", "json"}
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks).replace(".data/", f"{service.data_dir}/")],
        env=os.environ
        | {"BASE": service.address, "KEY": json.loads((service.data_dir / "demo.json").read_text())["test_key"]},
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout.splitlines()


def stats_of(lines: list[str]) -> list[tuple[int, int]]:
    """The recipients, and to how many the message was delivered, of each campaign whose `stats` were printed."""
    stats = [ast.literal_eval(line) for line in lines if line.startswith("{'recipients'")]
    return [(each["recipients"], each["delivered"]) for each in stats]


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_the_quickstart_works_typed_in_twice(service: Service) -> None:
    first, again = (type_in(service, "quickstart.md") for _ in range(2))
    sent = set()
    for lines in (first, again):
        answer, reply, simulated, added = (json.loads(line) for line in lines if line.startswith('{"'))
        assert (answer["status"], answer["metadata"]) == ("queued", {"campaign": "cohort_06_close"})
        sent.add(answer["id"])
        (inbound,) = reply["data"]
        assert (inbound["from"], inbound["body"]) == ("+14155550107", "Thanks, see you there!")
        assert inbound["message_id"].startswith("msg_")
        assert (simulated["body"], simulated["message_id"]) == ("Is there a replay?", answer["id"])
        assert [line for line in lines if line in ("delivered", "replied", "completed")] == [
            "delivered",
            "replied",
            "completed",
        ]
        assert added == {"added": 1, "already_members": 0, "not_found": []}
        assert stats_of(lines) == [(1, 1)]
    assert len(sent) == 2


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_a_launch_goes_as_the_guide_says_typed_in_twice(service: Service) -> None:
    for _ in range(2):
        lines = type_in(service, "launch.md")
        assert stats_of(lines) == [(3, 3), (2, 2)]
        assert lines.count("completed") == 2
        assert "True" in lines


@pytest.mark.parametrize(("file", "program"), [("send.py", sys.executable), ("send.mjs", "node")])
def test_a_sample_of_a_client_sends_once_however_often_it_runs(service: Service, file: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    source = (DOCS / "site" / "clients" / file).read_text()
    assert "https://api.massivesms.com" in source
    script = service.data_dir.with_name(file)
    script.write_text(source.replace("https://api.massivesms.com", service.address).replace("1042", file))
    key = json.loads((service.data_dir / "demo.json").read_text())["test_key"]
    env = os.environ | {"KEY": key}
    first, again = (
        subprocess.run([program, str(script)], env=env, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert re.fullmatch(r"msg_\w{26} queued\n", first.stdout)
    assert again.stdout == first.stdout


@pytest.mark.timeout(300)
def test_a_lost_redis_loses_no_message(service: Service) -> None:
    """P1: Valkey is emptied and killed between acceptance and sending; what was accepted is delivered all the same."""
    valkey = service.data_dir / "valkey"
    password, port = (valkey / "password").read_text().strip(), int(json.loads((valkey / "port").read_text()))
    later = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    accepted = [
        service.call("/v1/messages", {"to": "+12125550150", "body": "Doors open", "scheduled_at": later}),
        service.call("/v1/messages", {"to": "+12125550151", "body": "Doors open"}),
    ]
    with Redis(port=port, password=password) as redis:
        redis.flushall()
    os.kill(int((valkey / "valkey.pid").read_text()), signal.SIGKILL)
    accepted.append(service.call("/v1/messages", {"to": "+12125550152", "body": "Doors open"}))
    assert accepted[0]["status"] == "scheduled"
    for message in accepted:
        eventually(lambda id=message["id"]: service.call(f"/v1/messages/{id}")["status"] == "delivered")  # type: ignore[misc]
    for message in accepted:
        sent = [
            event["type"]
            for event in service.call("/v1/events?limit=100")["data"]
            if event["data"]["id"] == message["id"]
        ]
        assert sorted(sent) == ["message.delivered", "message.queued", "message.sent"]
    eventually(lambda: is_ready(service.address))


def test_no_conflict_marker_is_tracked() -> None:
    marker = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    assert [name_of(path) for path in tracked() if path.suffix in READ and marker.search(path.read_text())] == []


# Words that read as translated or dated, in halves, so that this file does not match itself.
DATED_WORDS = (
    "who" + "ever",
    "whom" + "ever",
    "whoso" + "ever",
    "what" + "ever",
    "which" + "ever",
    "wher" + "ever",
    "an" + "ew",
    "nobody" + "'s",
    "of (?:its|their) own " + "accord",
    "call(?:s|ed|ing)? (?:it |them )?" + "off",
    "what is " + "where",
    "in " + "vain",
    "le" + "st",
    "hen" + "ce",
    "hencef" + "orth",
    "hither" + "to",
    "forth" + "with",
    "there" + "by",
    "there" + "in",
    "where" + "by",
    "where" + "in",
    "whereu" + "pon",
    "up" + "on",
    "among" + "st",
)
# Names are words too: an underscore stands for a space.
WORST = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(DATED_WORDS).replace(' ', '[ _]')})(?![A-Za-z])", re.IGNORECASE)
# Words that people write in texts and passwords.
WORDS_OF_OTHERS = (
    "msvs/api/data/courtesies.toml",
    "msvs/api/data/opt_out_phrases.toml",
    "msvs/api/accounts/common_words.txt",
    "tests/data/opt_out_corpus.csv",
)
LICENSE = re.compile(r"LICENSE[^/]*$")
READ = (".py", ".md", ".toml", ".yaml", ".graphql", ".ts", ".tsx")


# Phrases of pages that read as translated, in halves for the same reason.
TRANSLATED = (
    "a phone that is " + "not there",
    "When something is " + "to go",
    "What holds " + "everywhere",
    "Refresh by " + "itself",
    "Evidence and " + "erasure",
    "Why is it as " + "it is",
    "Numbers with " + "a script",
    "called " + "off",
    "with nothing but " + "failures",
)
PAGES_OF_PEOPLE = ("docs/site/", "docs/operations.md", "docs/carriers.md", "docs/sandbox.md", "mkdocs.yml")
TEMPLATES = ("/templates/", "/static/", "/reference/index.html", "/reference/start.js")


def test_pages_do_not_read_as_translated() -> None:
    found = {
        name: sorted(phrases)
        for path in tracked()
        if (name := name_of(path)).startswith(PAGES_OF_PEOPLE)
        or (name.startswith("msvs/") and "docs/site" not in name and any(part in name for part in TEMPLATES))
        if path.suffix in (".md", ".html", ".js", ".yml")
        if (phrases := [phrase for phrase in TRANSLATED if phrase in path.read_text()])
    }
    assert found == {}


def dated_words(text: str) -> list[str]:
    """Each word of a text that is dated or reads as translated, once."""
    return sorted({found.lower() for found in WORST.findall(text)})


def own_texts() -> dict[str, str]:
    """Every text that is written for this repository, by its path; built, generated and vendored files are not."""
    vendored = {file["path"] for package in vendor.read_manifest() for file in package["files"]}
    paths = {name: path for path in tracked() if (name := name_of(path)) not in vendored and not LICENSE.search(name)}
    generated = {name for name, mark in attributes("linguist-generated", list(paths)).items() if mark == "set"}
    texts = {}
    for name in paths.keys() - generated:
        with suppress(UnicodeDecodeError):
            texts[name] = paths[name].read_text()
    return texts


def test_a_dated_word_is_found_in_prose_and_names() -> None:
    assert dated_words("def test_who" + "ever_asks() -> None: # It is made an" + "ew.") == ["an" + "ew", "who" + "ever"]
    assert dated_words("call_" + "off calls them " + "off") == ["call_" + "off", "calls them " + "off"]
    assert dated_words("No manewo, no coupon, no coherence and no lesson.") == []


def test_the_worst_words_are_kept_away() -> None:
    """In all that is written here: documents, code, tests, scripts and pages."""
    texts = own_texts()
    assert len(texts) > 1000
    found = {
        name: words
        for name, text in sorted(texts.items())
        if not name.startswith(WORDS_OF_OTHERS) and (words := dated_words(text))
    }
    assert found == {}


def test_examples_of_the_site_take_the_key_that_the_quickstart_exports() -> None:
    """Any other variable is empty where somebody follows the pages."""
    found = {
        (path.name, name)
        for path in sorted((ROOT / "docs" / "site").glob("*.md"))
        for name in re.findall(r"Bearer \$([A-Z_]+)", path.read_text())
    }
    assert {name for _, name in found} <= {"MASSIVESMS_API_KEY", "KEY"}, found
