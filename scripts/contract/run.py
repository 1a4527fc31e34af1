"""Holds a running service to its contract: Postman's collection, clients, rate limits, schemathesis."""

from __future__ import annotations

import argparse
import filecmp
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msvs.rest_compat.openapi import document
from scripts.contract.service import LOOPBACK, ROOT, Service, free_port, running_service

HERE = Path(__file__).resolve().parent
NODE = HERE / "node_modules" / ".bin"
PYTHON = ROOT / ".venv-contract" / "bin"
OPENAPI = ROOT / "openapi.yaml"
POSTMAN = ROOT / "msvs/rest_compat/postman"
# The one module that openapi-generator's client in Go needs, as Debian's golang-gopkg-validator.v2-dev installs it.
VALIDATOR = Path("/usr/share/gocode/src/gopkg.in/validator.v2")
# How many examples an operation, and how many seconds in all.
SHORT, FULL = (4, 75), (60, 400)
# What the full run must have tried at least.
FULL_CASES = 5_000
# The same of GraphQL, which the full run alone fuzzes: its examples end it, in a tenth of this on a quiet machine.
GRAPHQL = (20, 1800)
GRAPHQL_CASES = 4_000
# Of contacts that are there before GraphQL is fuzzed.
PHONES = [f"+1212555010{digit}" for digit in range(5)]
# What openapi-generator warns of by itself, for any document of this kind.
WARNINGS = (
    # Of every document in OpenAPI 3.1.
    "OpenAPI 3.1 support is still in beta",
    # It writes no examples of bodies into its documentation that are objects.
    "Ignoring complex example on request body",
    # It asks for the name of a schema that stands where it is used.
    "Failed to get the schema name: null",
    # Java imports by that word, so that an Import is a ModelImport in its client.
    "Import (reserved word) cannot be used as model name",
    # Go reads a file of such a name as a test, so that CampaignTest stands in one of another.
    "with suffix (reserved word) cannot be used as filename",
    # Go declares types by that word, so that the query parameter of the name is type_ in its client.
    "type (reserved word) cannot be used as",
)
# The parts in their order, and those that the full run alone has.
PARTS = (
    *("documents", "overload", "lint"),
    *("collection", "clients", "generated", "twilio", "graphql", "fuzz", "fuzz_graphql"),
)
OF_FULL = ("fuzz_graphql",)
CLI = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


class ContractBroken(Exception):
    """A part of the run failed; its own output above says how."""


def main() -> int:
    """Run all parts; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"fuzz for up to {FULL[1]} s, {FULL_CASES} cases, and GraphQL too",
    )
    parser.add_argument("--seed", type=int, help="schemathesis' seed, to repeat a run")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="run these parts alone")
    options = parser.parse_args()
    chosen = options.only or [part for part in PARTS if options.full or part not in OF_FULL]
    parts: dict[str, Callable[[Service], None]] = {
        "collection": collection,
        "clients": clients,
        "generated": generated,
        "twilio": twilio,
        "graphql": graphql_clients,
        "fuzz": lambda service: fuzz(service, full=options.full, seed=options.seed),
        "fuzz_graphql": lambda service: fuzz_graphql(service, seed=options.seed),
    }
    started = time.monotonic()
    try:
        for name, part in (("documents", compare_collection), ("overload", overload), ("lint", lint)):
            if name in chosen:
                part()
        if not parts.keys().isdisjoint(chosen):
            # A workspace of a minute, with no sender of its own.
            with running_service(sender=None) as service:
                for name, run in parts.items():
                    if name in chosen:
                        run(service)
                read_log(service)
    except ContractBroken as error:
        print(f"\nThe contract is broken: {error}.", file=sys.stderr)
        return 1
    print(f"\nThe contract holds ({time.monotonic() - started:.0f} s).")
    return 0


def call(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None, what: str) -> str:
    """Run a command, passing its output on, and return it. Raises ContractBroken."""
    print(f"\n== {what}", flush=True)
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        print(line, end="", flush=True)
        output.append(line)
    if process.wait() != 0:
        raise ContractBroken(what)
    return "".join(output)


def compare_collection() -> None:
    """The committed collection is what openapi.yaml makes."""
    with tempfile.TemporaryDirectory(prefix="msvs-postman-") as folder:
        call("node", HERE / "postman" / "build.mjs", OPENAPI, folder, what="the Postman collection is up to date")
        names = sorted(path.name for path in Path(folder).iterdir())
        _, different, missing = filecmp.cmpfiles(folder, POSTMAN, names, shallow=False)
    if different or missing:
        raise ContractBroken(f"{', '.join(different + missing)} differs from openapi.yaml: run make postman")


def overload() -> None:
    """Ten seconds of more requests than the rate limit lets through, on two API processes."""
    call(
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "tests/rest_compat/test_overload.py",
        env={"MSVS_OVERLOAD_SECONDS": "10"},
        what="rate limits under overload",
    )


def lint() -> None:
    """Spectral with OWASP's rules and Redocly's strict ones find in openapi.yaml what exceptions.json lists alone."""
    exceptions = json.loads((HERE / "lint" / "exceptions.json").read_text())
    call(NODE / "redocly", "lint", OPENAPI, "--config", HERE / "lint" / "redocly.yaml", what="redocly, strict")
    with tempfile.TemporaryDirectory(prefix="msvs-lint-") as name:
        report = Path(name) / "spectral.json"
        print("\n== spectral, with OWASP's rules", flush=True)
        subprocess.run(
            [
                *(NODE / "spectral", "lint", OPENAPI, "--ruleset", HERE / "lint" / "spectral.yaml"),
                *("--format", "json", "--output", report, "--quiet"),
            ],
            check=False,
        )
        if not report.exists():
            raise ContractBroken("spectral did not report")
        findings = json.loads(report.read_text())
    asked = requested(document())
    left, used = [], set()
    for finding in findings:
        covering = [each for each, row in enumerate(exceptions) if covers(row, finding, asked)]
        used.update(covering)
        if not covering:
            left.append(f"{finding['code']} {'/'.join(map(str, finding['path']))}: {finding['message']}")
    unused = [row for each, row in enumerate(exceptions) if each not in used]
    print(f"{len(findings)} findings, of which {len(exceptions)} exceptions leave {len(left)}", *left[:40], sep="\n")
    if left or unused:
        raise ContractBroken(f"openapi.yaml has {len(left)} findings; needless exceptions: {unused}")


def covers(exception: dict[str, Any], finding: dict[str, Any], asked: frozenset[str]) -> bool:
    """Whether an exception is of this rule, place and part: `requests`, or `answers` (with what webhooks bring)."""
    path = [str(part) for part in finding["path"]]
    in_operation = path[:1] == ["paths"] and not {"parameters", "requestBody"}.isdisjoint(path)
    part = "requests" if in_operation or "/".join(path[:3]) in asked else "answers"
    return (
        finding["code"] in exception["rules"]
        and exception.get("part", part) == part
        and re.search(exception.get("where", ""), "/".join(path)) is not None
    )


def requested(openapi: dict[str, Any]) -> frozenset[str]:
    """The components that requests are made of, as `components/schemas/Name`."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, dict):
            place = str(value.get("$ref", "")).removeprefix("#/")
            if place.startswith("components/") and place not in found:
                found.add(place)
                _, kind, name = place.split("/")
                walk(openapi["components"][kind][name])
            for each in value.values():
                walk(each)

    for operations in openapi["paths"].values():
        for operation in operations.values():
            walk([operation.get("parameters"), operation.get("requestBody")])
    return frozenset(found)


class Received(http.server.BaseHTTPRequestHandler):
    """Answers every webhook with 200."""

    def do_POST(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[str]:
    """The address of a webhook endpoint on loopback."""
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Received) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}/webhooks/sms"
        server.shutdown()
        thread.join()


def collection(service: Service) -> None:
    """Newman runs the collection from top to bottom, as an integrator would in Postman."""
    for name, key in (("sandbox", service.test_key), ("production", service.live_key)):
        with receiver() as webhook_url, environment_file(name, key) as environment:
            call(
                NODE / "newman",
                "run",
                POSTMAN / "massivesms.postman_collection.json",
                "--environment",
                environment,
                "--env-var",
                f"base_url={service.base_url}",
                "--env-var",
                f"webhook_url={webhook_url}",
                *(["--folder", "Credits"] if name == "production" else []),
                "--color",
                "off",
                "--disable-unicode",
                "--reporter-cli-no-success-assertions",
                what=f"newman, {name}",
            )


@contextmanager
def environment_file(name: str, key: str) -> Iterator[Path]:
    """The committed environment with a key in it, in a file for its owner alone; a command line is for all to see."""
    text = (POSTMAN / f"{name}.postman_environment.json").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(re.sub(r'("key": "api_key",\s+"value": )""', rf'\1"{key}"', text))
        file.flush()
        yield Path(file.name)


def clients(service: Service) -> None:
    """Clients made by three generators compile, send a message and understand a refusal."""
    with tempfile.TemporaryDirectory(prefix="msvs-clients-") as name:
        folder = Path(name)
        for path in (HERE / "clients").iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}\n')
        env = {"API_KEY": service.test_key, "OPENAPI": str(OPENAPI)}
        call(NODE / "openapi-typescript", OPENAPI, "-o", folder / "schema.ts", what="openapi-typescript")
        call(NODE / "openapi-ts", "-f", "openapi-ts.config.mjs", cwd=folder, env=env, what="@hey-api/openapi-ts")
        call(NODE / "tsc", "-p", ".", cwd=folder, what="tsc --strict")
        for script in ("openapi_fetch", "hey_api"):
            call("node", f"out/{script}.js", service.base_url, cwd=folder, env=env, what=script)
        output = call(
            PYTHON / "openapi-python-client",
            *("generate", "--path", OPENAPI, "--output-path", folder / "python"),
            # It calls ruff, which stands beside this Python.
            env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            what="openapi-python-client",
        )
        if "warning" in output.lower():
            raise ContractBroken("openapi-python-client warns")
        call(
            PYTHON / "python",
            "python_client.py",
            service.base_url,
            cwd=folder,
            env=env | {"PYTHONPATH": str(folder / "python")},
            what="python_client",
        )


def twilio(service: Service) -> None:
    """Twilio's own libraries send, page, cancel, verify callbacks, redact, delete, count and understand refusals."""
    env = {"API_KEY": service.test_key}
    call(PYTHON / "python", HERE / "twilio_sdk.py", service.base_url, env=env, what="twilio for Python")
    call("node", HERE / "twilio_sdk.mjs", service.base_url, env=env, what="twilio for Node")


def graphql_clients(service: Service) -> None:
    """graphql-http's audits, urql, Apollo Client, graphql-request, and Relay's compiler and runtime."""
    env = {"API_KEY": service.test_key}
    for script in ("audits", "urql", "apollo", "graphql_request"):
        call("node", HERE / "graphql" / f"{script}.mjs", service.base_url, env=env, what=f"graphql: {script}")
    with tempfile.TemporaryDirectory(prefix="msvs-relay-") as name:
        folder = Path(name) / "relay"
        shutil.copytree(HERE / "graphql" / "relay", folder)
        shutil.copy(ROOT / "schema.graphql", folder)
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        (folder / "package.json").write_text('{"type": "commonjs"}\n')
        call(NODE / "relay-compiler", "relay.config.json", cwd=folder, what="graphql: relay-compiler")
        call("node", "run.mjs", service.base_url, cwd=folder, env=env, what="graphql: relay-runtime")


def generated(service: Service) -> None:
    """Clients that openapi-generator makes as the docs say: they compile, send a message and create a webhook.

    Raises ContractBroken also where a toolchain is missing: what did not run proves nothing.
    """
    missing = [tool for tool in ("java", "javac", "go") if shutil.which(tool) is None]
    if not VALIDATOR.is_dir():
        missing.append("golang-gopkg-validator.v2-dev")
    if missing:
        print(f"\n== openapi-generator: NOT RUN, {', '.join(missing)} is not installed", flush=True)
        raise ContractBroken(f"the clients of openapi-generator need {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="msvs-generated-") as name:
        folder = Path(name)
        shutil.copy(OPENAPI, folder)
        for language in ("java", "go"):
            generate(language, folder)
        run_java(folder / "java", service)
        run_go(folder, service)


def generate(language: str, folder: Path) -> None:
    """Run the commands of the docs for a language. Raises ContractBroken for a warning that is not one of WARNINGS."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/site/sdks.md").read_text(), re.DOTALL)
    (commands,) = [
        block for block in blocks if f"openapi-generator-cli generate -i openapi.yaml -g {language} " in block
    ]
    output = call(
        *("sh", "-ec", commands),
        cwd=folder,
        env={"PATH": f"{PYTHON}{os.pathsep}{os.environ['PATH']}"},
        what=f"openapi-generator, {language}",
    )
    told = [line for line in output.splitlines() if " WARN " in line or " ERROR " in line]
    unexpected = [line for line in told if not any(text in line for text in WARNINGS)]
    if unexpected:
        raise ContractBroken(f"openapi-generator warns: {unexpected[0]}")


def run_java(folder: Path, service: Service) -> None:
    """Compile the client in Java, and a program that uses it, against the libraries in the generator's jar."""
    jar = next((PYTHON.parent / "lib").glob("python3*/site-packages/openapi_generator_cli/openapi-generator.jar"))
    stubs = HERE / "generated" / "java"
    sources = [*folder.glob("src/main/**/*.java"), *stubs.glob("**/*.java")]
    classes = folder / "classes"
    call("javac", "-nowarn", "-d", classes, "-cp", jar, *sources, what="the client in Java compiles")
    path = os.pathsep.join(str(each) for each in (classes, jar))
    call("java", "-cp", path, "Run", service.base_url, env={"API_KEY": service.test_key}, what="the client in Java")


def run_go(folder: Path, service: Service) -> None:
    """Compile the client in Go, and a program that uses it, with the one module it needs from Debian's package."""
    client, validator = folder / "go", folder / "validator"
    shutil.copytree(VALIDATOR, validator, ignore=shutil.ignore_patterns("*_test.go"))
    (validator / "go.mod").write_text("module gopkg.in/validator.v2\n\ngo 1.18\n")
    (client / "run").mkdir()
    shutil.copy(HERE / "generated" / "go" / "main.go", client / "run")
    # Nothing is downloaded.
    env = {"API_KEY": service.test_key, "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    replaced = f"gopkg.in/validator.v2={validator}"
    call("go", "mod", "edit", "-replace", replaced, cwd=client, env=env, what="the module that the client in Go needs")
    call("go", "vet", ".", "./run", cwd=client, env=env, what="the client in Go compiles")
    call("go", "run", "./run", service.base_url, cwd=client, env=env, what="the client in Go")


def fuzz(service: Service, *, full: bool, seed: int | None) -> None:
    """Schemathesis on every operation: examples, coverage, fuzzing and stateful."""
    with tempfile.TemporaryDirectory(prefix="msvs-fuzz-") as folder:
        # The key stands in a file, not on the command line; schemathesis masks it in what it prints.
        config = Path(folder) / "schemathesis.toml"
        config.touch(0o600)
        text = (HERE / "schemathesis.toml").read_text()
        config.write_text(f'headers = {{ Authorization = "Bearer {service.test_key}" }}\n{text}')
        output = schemathesis(
            config,
            OPENAPI,
            service.unlimited_url,
            *("--phases", "examples,coverage,fuzzing,stateful"),
            bounds=FULL if full else SHORT,
            seed=seed,
            env={"SCHEMATHESIS_HOOKS": "scripts.contract.schemathesis_hooks"},
            what="schemathesis",
        )
    check_cases(output, FULL_CASES if full else 1)


def fuzz_graphql(service: Service, *, seed: int | None) -> None:
    """Schemathesis on every query and mutation, as an owner who is logged in and has one of everything."""
    with tempfile.TemporaryDirectory(prefix="msvs-fuzz-") as folder:
        headers, test_key = sign_up(service.unlimited_url)
        config = Path(folder) / "schemathesis.toml"
        config.touch(0o600)
        config.write_text(
            f"headers = {{ {', '.join(f'{name} = {json.dumps(value)}' for name, value in headers.items())} }}\n"
            "[generation]\nallow-x00 = false\n"
        )
        output = schemathesis(
            config,
            ROOT / "schema.graphql",
            f"{service.unlimited_url}/graphql",
            *("--phases", "fuzzing", "--checks", "graphql_answer"),
            # It would end the session.
            *("--exclude-name", "Mutation.logOut"),
            bounds=GRAPHQL,
            seed=seed,
            env={
                "SCHEMATHESIS_HOOKS": "scripts.contract.graphql_hooks",
                "MSVS_CONTRACT_IDS": " ".join(one_of_everything(service.unlimited_url, test_key)),
            },
            what="schemathesis on GraphQL",
        )
    check_cases(output, GRAPHQL_CASES)


def schemathesis(
    config: Path,
    document: Path,
    url: str,
    *options: str,
    bounds: tuple[int, int],
    seed: int | None,
    env: dict[str, str],
    what: str,
) -> str:
    """Run it on a document in the config's folder, within `bounds`: examples an operation, and seconds."""
    examples, seconds = bounds
    return call(
        PYTHON / "python",
        *("-c", CLI, "--config-file", config, "run", document, "--url", url),
        *options,
        *("--max-examples", str(examples), "--max-time", str(seconds)),
        # With two, hypothesis changes the interpreter's recursion limit under the other one's feet.
        *("--workers", "1"),
        *("--continue-on-failure", "--no-color"),
        *(["--seed", str(seed)] if seed is not None else []),
        cwd=config.parent,
        env={**env, "PYTHONPATH": str(ROOT)},
        what=f"{what}, at most {seconds} s",
    )


def check_cases(output: str, least: int) -> None:
    """Schemathesis tried no fewer cases. Raises ContractBroken."""
    cases = re.search(r"^\s*(\d+) generated", output, re.MULTILINE)
    if cases is None or int(cases[1]) < least:
        raise ContractBroken(f"schemathesis tried fewer than {least} cases")


def sign_up(base_url: str) -> tuple[dict[str, str], str]:
    """What a browser sends whose user has just signed up, and the sandbox key of the new workspace."""
    document = """mutation ($input: SignUpInput!) {
        signUp(input: $input) { ... on SignedUp { session { csrfToken } testKey } }
    }"""
    user = {"email": "fuzz@cohortlabs.co", "password": "correct horse battery", "name": "F", "workspaceName": "Fuzz"}
    answer, cookie = post(
        f"{base_url}/graphql", {"query": document, "variables": {"input": user}}, {"Origin": base_url}
    )
    made = answer["data"]["signUp"]
    csrf_token = made["session"]["csrfToken"]
    return {"Cookie": str(cookie).partition(";")[0], "X-CSRF-Token": csrf_token, "Origin": base_url}, made["testKey"]


def one_of_everything(base_url: str, key: str) -> list[str]:
    """Make some of each kind in a workspace; their ids."""

    def made(path: str, body: dict[str, Any]) -> str:
        return str(post(f"{base_url}/v1/{path}", body, {"Authorization": f"Bearer {key}"})[0].get("id", ""))

    people = [
        made("contacts", {"phone": phone, "first_name": "Maria", "opt_in": {"source": "checkout"}}) for phone in PHONES
    ]
    (contact_list,) = found = [made("lists", {"name": "Cohort 06"})]
    made(f"lists/{contact_list}/contacts", {"contact_ids": people})
    vip = {"field": "attributes.tier", "op": "eq", "value": "vip"}
    found += [made("segments", {"name": "VIP", "filter": vip})]
    found += [made("keywords", {"word": "COHORT6", "list_id": contact_list})]
    found += [made("suppressions", {"phone": "+12125550188", "source": "complaint"})]
    later = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    campaign = {"name": "Cart close", "body": "Hey {firstName}", "audience": {"list_ids": [contact_list]}}
    for phone in PHONES:
        found += [
            made("messages", {"to": phone, "body": "Doors open at 8pm ET."}),
            made("messages", {"to": phone, "body": "Doors open at 8pm ET.", "scheduled_at": later}),
            made("campaigns", {**campaign, "scheduled_at": later}),
            made("campaigns", {**campaign, "draft": True}),
            # Each has a URL of its own, at which nobody listens.
            made("webhooks", {"url": f"http://{LOOPBACK}:{free_port()}/webhooks/sms", "events": ["*"]}),
            made("test/inbound", {"from": phone, "body": "When?"}),
        ]
    return [*people, *found]


def post(url: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[Any, str | None]:
    """The JSON answered to a POST of JSON, and the cookie it sets."""
    content = json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer), answer.headers["Set-Cookie"]


def read_log(service: Service) -> None:
    """Nothing failed behind an answer that looked well."""
    print("\n== the service's log", flush=True)
    lines = service.log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if re.search(r"\[(error|critical) *\]|Traceback", line)]
    print(f"{len(lines)} lines, {len(errors)} errors", *errors[:20], sep="\n")
    if errors:
        raise ContractBroken("the log holds errors")


if __name__ == "__main__":
    sys.exit(main())
