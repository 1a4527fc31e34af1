"""Checks of this machine and its settings: no network, no engine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from msvs import start_checks
from msvs.doctor.findings import Finding, error, ok, skipped, warning
from msvs.settings import Settings, version

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2 * 1024**3
LEAST_FREE_SHARE = 0.1
# Others must not read the secrets in DATA_DIR.
OPEN_TO_OTHERS = 0o077


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Report settings that production must not have: weak secrets, default passwords, an http URL, test payments."""
    if not settings.is_production:
        yield warning(
            "settings",
            "this is development, which trusts everyone who can reach it",
            "set MSVS_ENV=production for a service that others use",
        )
        return
    refusals = list(start_checks.refusals(settings))
    for line in refusals:
        yield error("settings", line, "change the setting: no process starts with it")
    for name, value in (
        ("MSVS_OPERATOR_PASSWORD", settings.operator_password),
        ("MSVS_METRICS_TOKEN", settings.metrics_token),
    ):
        if value is None:
            yield warning(
                "settings",
                f"{name} is not set: each machine makes its own",
                "set it to the same value on every machine; `openssl rand -base64 32` makes one",
            )
    if settings.allow_insecure:
        yield warning(
            "settings",
            f"MSVS_ALLOW_INSECURE permits {', '.join(settings.allow_insecure)}",
            "remove it, unless this is a staging machine or a network of your own",
        )
    if settings.public_url is None:
        yield error(
            "settings",
            "MSVS_PUBLIC_URL is not set: links in mails and carriers' callbacks lead to this machine",
            "set it to the https address of the proxy",
        )
    if settings.public_url is not None and not settings.trusted_proxies:
        yield warning(
            "settings",
            "MSVS_TRUSTED_PROXIES is empty: all clients seem to have the proxy's address and share their limits",
            "list the networks of your proxies",
        )
    if not refusals:
        yield ok("settings", "production, with strong secrets and a safe public URL")


def check_versions(python: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """Report a Python that is too old for the service."""
    shown = ".".join(map(str, python))
    if python[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        yield error("versions", f"Python {shown} is too old", f"install Python {wanted} or later")
    else:
        yield ok("versions", f"msvs {version()}, Python {shown}")


def check_disk(folder: Path) -> Iterator[Finding]:
    """Report a full disk, and a DATA_DIR that cannot be written to or that others may read."""
    if not folder.is_dir():
        yield warning("disk", f"DATA_DIR does not exist: {folder}", "create it for the user of the service alone")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield error("disk", f"DATA_DIR cannot be written to: {folder}", "give it to the user of the service")
    elif folder.stat().st_mode & OPEN_TO_OTHERS and any(folder.glob("*.key")):
        yield error("disk", f"others may enter DATA_DIR, which holds secrets: {folder}", "run chmod 700 on it")
    usage = shutil.disk_usage(folder)
    yield judge_disk(usage.free, usage.total)


def judge_disk(free: int, total: int) -> Finding:
    """Judge how many bytes of a disk are free."""
    shown = f"{free / 1024**3:.1f} of {total / 1024**3:.1f} GB are free"
    if free < LEAST_FREE_BYTES or free < total * LEAST_FREE_SHARE:
        return warning("disk", f"DATA_DIR: only {shown}", "make room: logs, old dumps and old images")
    return ok("disk", f"DATA_DIR: {shown}")


def check_backups(folder: Path | None, hours: int) -> Iterator[Finding]:
    """Report a folder of backups without a recent one."""
    if folder is None:
        yield skipped("backups", "give the folder of your backups with --backups")
        return
    try:
        times = [path.stat().st_mtime for path in backups_in(folder) if is_whole(path)]
    except OSError as failure:
        yield error("backups", f"{folder}: {failure.strerror}", "mount the folder of your backups")
        return
    if not times:
        yield error("backups", f"{folder} holds no backup", "back up the database: see Backup and restore")
        return
    age = (time.time() - max(times)) / 3600
    if age > hours:
        yield error("backups", f"the newest backup is {age:.0f} hours old", "see why the backup did not run")
    else:
        yield ok("backups", f"the newest backup is {age:.0f} hours old")


def backups_in(folder: Path) -> Iterator[Path]:
    """Return what may be a backup in a folder: what is in it, or what `msvs backup` made there."""
    if not (folder / "base").is_dir():
        yield from folder.iterdir()
        return
    # A base backup counts once it has its description, which is written last.
    yield from (path for path in folder.glob("base/*/backup.json") if not path.parent.name.startswith("."))
    yield from folder.glob("dumps/*.dump")


def is_whole(path: Path) -> bool:
    """Return whether a path may be a backup: a folder or a file with something in it, and not a part of one."""
    if path.name.startswith(".") or path.suffix in (".part", ".tmp"):
        return False
    return any(path.iterdir()) if path.is_dir() else path.stat().st_size > 0
