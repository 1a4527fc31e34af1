"""The command that checks a deployment."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msvs import connections
from msvs.cli.common import FAILED, JSON, OK, Arguments, CommandFailed, Whole, main_command, running_url
from msvs.local.embedded import EmbeddedEngines
from msvs.loops import new_runner
from msvs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msvs.doctor.findings import Finding


@main_command(
    "doctor",
    click.Option(["--backups"], type=click.Path(path_type=Path), metavar="FOLDER", help="the folder of your backups"),
    click.Option(
        ["--backup-hours"],
        type=Whole(1, 8760),
        default=26,
        metavar="N",
        help="how old the newest backup may be, in hours (default 26)",
    ),
    click.Option(["--strict"], is_flag=True, help="fail for warnings too"),
    JSON,
)
def examine_deployment(settings: Settings, arguments: Arguments) -> int:
    """Check the deployment, and say what to do about what is found."""
    from msvs.doctor.examination import examine
    from msvs.doctor.findings import Level

    with new_runner() as runner:
        found = runner.run(
            examine(with_running(settings), backups=arguments.backups, backup_hours=arguments.backup_hours)
        )
    # Which is among the findings: it does not end this process as it does others.
    connections.forget()
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
    else:
        print(report(found))
    failing = {Level.ERROR, Level.WARNING} if arguments.strict else {Level.ERROR}
    return FAILED if any(each.level in failing for each in found) else OK


def with_running(settings: Settings) -> Settings:
    """Return the settings with the embedded engines of DATA_DIR that run, in place of what is not set."""
    engines = EmbeddedEngines(settings.data_dir)
    found: dict[str, str] = {}
    for field, variable, url_of in (
        ("database_url", "DATABASE_URL", lambda: engines.service_url),
        ("redis_url", "REDIS_URL", lambda: engines.redis_url),
    ):
        if getattr(settings, field) is None:
            try:
                found[field] = running_url(url_of, variable, settings)
            except CommandFailed:
                continue
    return replace(settings, **found)  # type: ignore[arg-type]  # both are texts


def report(found: Sequence[Finding]) -> str:
    """Return the findings as lines, what to do below each, and a sum."""
    width = max(len(each.check) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.level:8} {each.check:{width}}  {each.message}")
        if each.action is not None:
            lines.append(f"{'':8} {'':{width}}  → {each.action}")
    counts = Counter(each.level for each in found)
    return "\n".join([*lines, "", ", ".join(f"{count} {level}" for level, count in sorted(counts.items()))])
