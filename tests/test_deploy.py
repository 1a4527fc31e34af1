"""What deploy/ holds: read by the programs it is for where they are installed, and held to the service everywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from msvs import start_checks
from msvs.carriers.config import read_carriers
from msvs.cli import COMMANDS
from msvs.cli.processes import QUEUES
from msvs.database_roles import recipe
from msvs.settings import describe, from_environment
from tests.test_proxy_blocks import check, program

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
# Those of the service itself, by name.
OURS = {name: each for name, each in SERVICES.items() if name not in ("postgres", "valkey", "caddy")}
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "helm/massivesms/values.yaml").read_text())
# As systemd-analyze rates: 100 is an open door, and below 25 a unit is well protected.
MOST_EXPOSED = 20
# A process ends within ten seconds of SIGTERM, and may need two more.
GRACE_SECONDS = 12


def environment_of_image() -> dict[str, str]:
    text = (DEPLOY / "Dockerfile").read_text()
    (block,) = re.findall(r"^ENV PATH=(.*?)\nWORKDIR", text, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"(\w+)=(\S+)", block))


def set_up(folder: Path, domain: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh in a copy of the folder."""
    if not folder.exists():
        shutil.copytree(DEPLOY / "compose", folder)
    return subprocess.run([folder / "setup.sh", domain], capture_output=True, text=True, check=False)


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


# systemd


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    """The program is not there, and neither is its user: only its path is replaced."""
    for unit in UNITS:
        text = unit.read_text().replace("/opt/msvs/bin/msvs", "/bin/true")
        (tmp_path / unit.name.replace("@.", "@messages.")).write_text(text)
    check(program("systemd-analyze"), "verify", "--man=no", *sorted(tmp_path.iterdir()))


@pytest.mark.parametrize("unit", [each for each in UNITS if each.suffix == ".service"], ids=lambda each: each.name)
def test_a_unit_may_do_little(unit: Path) -> None:
    check(program("systemd-analyze"), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_units_begin_after_the_migrations_and_end_in_time() -> None:
    for unit in UNITS:
        text = unit.read_text()
        if unit.suffix != ".service":
            continue
        is_migration = unit.name == "msvs-migrate.service"
        assert ("/etc/msvs-owner.env" in text) == (is_migration or "maintenance" in unit.name), unit.name
        if not is_migration:
            assert re.search(r"^After=.*\bmsvs-migrate\.service$", text, re.MULTILINE), unit.name
            (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
            assert int(stop) >= GRACE_SECONDS
            # os.nice of the workers in bulk is among @resources.
            assert "~@resources" not in text


def test_the_unit_of_workers_reads_its_queue() -> None:
    text = (DEPLOY / "systemd/msvs-worker@.service").read_text()
    (script,) = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", text, re.MULTILINE)
    for instance in ("messages", "messages:2"):
        # As systemd replaces them.
        words = script.replace("$$", "$").replace("%%", "\0").replace("%i", instance).replace("\0", "%")
        words = words.replace("exec /opt/msvs/bin/msvs", "echo")
        done = subprocess.run(["/bin/sh", "-c", words], capture_output=True, text=True, check=True)
        assert done.stdout == "worker messages\n"


# The image


def test_the_image_sets_what_the_service_reads() -> None:
    known = {each.variable for each in describe()}
    own = {name: value for name, value in environment_of_image().items() if not name.startswith("PYTHON")}
    assert own.keys() <= known
    settings = from_environment(own | {"PORT": "8000"})
    assert (settings.is_production, settings.host, str(settings.data_dir)) == (True, "0.0.0.0", "/var/lib/msvs")


def test_the_image_has_all_that_the_wheel_is_built_from() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"requirements.lock", "requirements-node.lock", "pyproject.toml", "README.md", "msvs", "scripts"} <= kept
    # The dashboard's types are made of the schema.
    assert {"dashboard", "schema.graphql"} <= kept
    assert [name for name in kept if not (ROOT / name).exists()] == []


# Compose


def test_compose_runs_every_process_of_the_service() -> None:
    commands = sorted(" ".join(each["command"]) for each in OURS.values())
    assert commands == sorted(["api", "cron", "binds", "migrate", *(f"worker {queue}" for queue in QUEUES)])
    assert {command.split()[0] for command in commands} <= COMMANDS.keys()


def test_compose_gives_each_process_no_more_than_it_needs() -> None:
    for name, each in OURS.items():
        assert (each["read_only"], each["cap_drop"], "ports" in each) == (True, ["ALL"], False), name
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert int(each["stop_grace_period"].removesuffix("s")) >= GRACE_SECONDS
        has_owner = "owner.env" in each["env_file"]
        assert has_owner == (name in ("migrate", "worker-maintenance")), name
        waits = each["depends_on"]
        assert (
            ("postgres" in waits)
            if name == "migrate"
            else waits["migrate"] == {"condition": "service_completed_successfully"}
        )
    assert [name for name, each in SERVICES.items() if "ports" in each] == ["caddy"]
    assert COMPOSE["networks"]["engines"] == {"internal": True}
    # An engine, the proxy and each process of ours: no image without a version.
    for name in SERVICES.keys() - OURS.keys():
        assert re.search(r":\d+\.\d+[\w.-]*$", SERVICES[name]["image"]), name


def test_compose_keeps_jobs_in_valkey() -> None:
    assert SERVICES["valkey"]["command"][1:3] == ["--maxmemory-policy", "noeviction"]


def test_the_roles_of_compose_are_those_of_the_recipe(tmp_path: Path) -> None:
    """The script runs with a psql that writes down what it is given."""
    (tmp_path / "psql").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/statements\n')
    (tmp_path / "psql").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OWNER_PASSWORD": "o'wner", "SERVICE_PASSWORD": "rows"}
    subprocess.run([DEPLOY / "compose/init-roles.sh"], env=environ, check=True)
    wanted = [line for line in recipe("msvs_production").splitlines() if not line.startswith("--")]
    said = (tmp_path / "statements").read_text()
    said = said.replace(":'owner_password'", "'change-me'").replace(":'service_password'", "'change-me-too'")
    assert said.splitlines() == wanted
    assert "owner_password=o'wner" in (tmp_path / "arguments").read_text()


def test_what_setup_writes_is_safe_to_start_with(tmp_path: Path) -> None:
    program("openssl")
    folder = tmp_path / "compose"
    done = set_up(folder, "sms.cohortlabs.co")
    assert done.returncode == 0, done.stderr
    service, owner, own = (variables(folder / name) for name in ("service.env", "owner.env", ".env"))
    assert (service.keys() | owner.keys()) <= {each.variable for each in describe()}
    settings = from_environment(environment_of_image() | service | owner)
    assert list(start_checks.refusals(settings)) == []
    assert settings.base_url == "https://sms.cohortlabs.co"
    assert settings.database_url == f"postgresql://msvs_service:{own['SERVICE_PASSWORD']}@postgres/msvs_production"
    assert settings.owner_url == f"postgresql://msvs_owner:{own['OWNER_PASSWORD']}@postgres/msvs_production"
    (subnet,) = COMPOSE["networks"]["edge"]["ipam"]["config"]
    assert settings.trusted_proxies == (subnet["subnet"],)
    assert read_carriers(folder / "carriers.toml", public_url=settings.base_url) == []
    secrets = [own["POSTGRES_PASSWORD"], own["OWNER_PASSWORD"], own["SERVICE_PASSWORD"], settings.secret_key]
    assert len({*secrets, settings.operator_password, settings.metrics_token}) == 6
    for name in (".env", "service.env", "owner.env"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    # What Compose asks for is there.
    asked = set(re.findall(r"\$\{(\w+):\?", (folder / "compose.yaml").read_text()))
    assert asked == own.keys()


def test_setup_keeps_what_is_there(tmp_path: Path) -> None:
    program("openssl")
    folder = tmp_path / "compose"
    for wrong in ("", "-a", "a b", "https://sms.cohortlabs.co", "$(id)"):
        assert set_up(folder, wrong).returncode != 0
    assert not (folder / ".env").exists()
    assert set_up(folder, "sms.cohortlabs.co").returncode == 0
    before = (folder / "service.env").read_text()
    done = set_up(folder, "other.cohortlabs.co")
    assert (done.returncode, (folder / "service.env").read_text()) == (1, before)


def test_secrets_of_compose_are_ignored_by_git() -> None:
    names = [f"deploy/compose/{name}" for name in (".env", "service.env", "owner.env")]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == names


def test_caddy_reads_its_file() -> None:
    caddy = program("caddy")
    file = DEPLOY / "compose/Caddyfile"
    done = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", file],
        env=os.environ | {"MSVS_DOMAIN": "sms.example.com"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Helm: `make deploy` renders the chart.


def test_the_chart_runs_every_queue_and_this_version() -> None:
    assert VALUES["workers"].keys() == set(QUEUES)
    chart = yaml.safe_load((DEPLOY / "helm/massivesms/Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == version[1]


def test_what_the_chart_scales_by_is_a_metric() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    metrics = {each["autoscaling"]["metric"] for each in VALUES["workers"].values() if "autoscaling" in each}
    assert len(metrics) == 3
    assert [name for name in metrics if f"`{name}`" not in page] == []


# All of them


def test_every_variable_that_is_set_is_one_of_the_service() -> None:
    known = {each.variable for each in describe()}
    text = "\n".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    named = set(re.findall(r"\bMSVS_[A-Z_]+\b", text))
    # Of Compose's own file.
    assert named - known == {"MSVS_DOMAIN", "MSVS_IMAGE"}
