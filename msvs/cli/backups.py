"""Commands that back a database up, and restore it to a point in time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    CommandFailed,
    Whole,
    fail,
    main_command,
    reaching_database,
    running_url,
    services_of_command,
    show,
    unlock,
)
from msvs.local import backups
from msvs.local.embedded import EmbeddedEngines
from msvs.local.manifests import verify_base
from msvs.settings import Settings

if TYPE_CHECKING:
    from msvs.api.campaigns.holding import Held

FOLDER = click.Path(path_type=Path)
BOOKS = """
SELECT (SELECT count(*) FROM workspaces) AS workspaces, (SELECT count(*) FROM messages) AS messages,
    (SELECT count(*) FROM credit_balances AS kept WHERE balance <> (
        SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE workspace_id = kept.workspace_id)) AS off
"""


@main_command(
    "backup",
    click.Option(["--into"], type=FOLDER, metavar="FOLDER", help="the folder (default MSVS_BACKUP_DIR)"),
    click.Option(["--follow"], is_flag=True, help="receive WAL until a signal, with a base backup when one is due"),
    click.Option(["--dump"], is_flag=True, help="make a logical dump, which needs no right but the owner's"),
    click.Option(["--list", "lists"], is_flag=True, help="list what is there, and make nothing"),
    click.Option(["--verify"], is_flag=True, help="check all that is there, and make nothing"),
    click.Option(
        ["--keep"],
        type=Whole(1, 1000),
        default=backups.KEEP,
        metavar="N",
        help=f"how many base backups and dumps stay (default {backups.KEEP})",
    ),
    click.Option(
        ["--every"],
        type=Whole(1, 8760),
        default=backups.EVERY_HOURS,
        metavar="HOURS",
        help=f"with --follow: how old the newest base backup may be (default {backups.EVERY_HOURS})",
    ),
    JSON,
)
def back_up(settings: Settings, arguments: Arguments) -> int | None:
    """Make a backup, or look at those that are there."""
    folder = arguments.into or settings.backup_dir
    if folder is None:
        raise click.UsageError("Name the folder of the backups with --into or MSVS_BACKUP_DIR.")
    if arguments.follow + arguments.dump + arguments.lists + arguments.verify > 1:
        raise click.UsageError("Give one of --follow, --dump, --list and --verify.")
    folder = folder.resolve()
    if arguments.lists or arguments.verify:
        return _look(folder, arguments)
    if arguments.dump:
        _dump(settings, folder, arguments)
    elif arguments.follow:
        _follow(settings, folder, arguments)
    else:
        _make_base(settings, folder, arguments)
    return None


def _source(settings: Settings) -> tuple[str, bool]:
    """Return the URL with which a PostgreSQL is copied, and whether it is the embedded one."""
    engines = EmbeddedEngines(settings.data_dir)
    try:
        own = engines.backup_url
    except (OSError, ValueError):
        own = None
    given = settings.backup_database_url or settings.database_url
    if given is not None:
        return given, given == own
    return running_url(lambda: engines.backup_url, "MSVS_BACKUP_DATABASE_URL", settings), True


def _make_base(settings: Settings, folder: Path, arguments: Arguments) -> None:
    url, is_embedded = _source(settings)
    server = reaching_database(backups.ask(url))
    backups.require_replication(server)
    backups.open_folder(folder, server)
    with backups.held(folder):
        part = backups.begin_base(folder, url, server)
        base = backups.end_base(part, server, reaching_database(backups.clock(url)), is_embedded=is_embedded)
        pruned = backups.prune(folder, arguments.keep)
    show(arguments, {**asdict(base), "folder": str(folder), "pruned": pruned})


def _dump(settings: Settings, folder: Path, arguments: Arguments) -> None:
    url = settings.owner_url
    if url is None:
        url = running_url(lambda: EmbeddedEngines(settings.data_dir).database_url, "MIGRATIONS_DATABASE_URL", settings)
    server = reaching_database(backups.ask(url))
    backups.open_folder(folder, server)
    with backups.held(folder):
        path = backups.dump(folder, url, server)
        backups.prune(folder, arguments.keep)
    show(arguments, {"dump": str(path), "bytes": path.stat().st_size})


def _follow(settings: Settings, folder: Path, arguments: Arguments) -> None:
    url, _ = _source(settings)
    server = reaching_database(backups.ask(url))
    backups.require_replication(server)
    backups.open_folder(folder, server)
    make_base = backups.own_command("backup", "--into", str(folder), "--keep", str(arguments.keep))
    backups.follow(folder, url, server, hours=arguments.every, make_base=make_base, say=_say)


def _say(line: str) -> None:
    click.echo(f"msvs: {line}", err=True)


def _look(folder: Path, arguments: Arguments) -> int | None:
    known = backups.bases(folder)
    if not known:
        raise CommandFailed(f"{folder} holds no base backup: run `msvs backup`")
    gap = backups.find_gap(folder)
    wal = backups.wal_files(folder)
    newest = datetime.fromtimestamp(wal[-1].stat().st_mtime, known[0].at.tzinfo).isoformat() if wal else None
    shown = [{"base": base.name, "from": base.finished_at, "postgresql": base.major} for base in known]
    told = {"bases": shown, "wal_segments": len(wal), "wal_until": newest, "wal_gap": gap}
    if arguments.json:
        show(arguments, told)
    else:
        show(arguments, [*shown, {name: told[name] for name in ("wal_segments", "wal_until", "wal_gap")}])
    if arguments.verify:
        for base in known:
            verify_base(folder / backups.BASES / base.name / "data", base.major)
        if not arguments.json:
            print(f"\n{len(known)} base backups are whole.")
    return None if gap is None else fail(f"the segment {gap} of the WAL is missing: make a new base backup")


def _read_time(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    from msvs.local.restoring import read_time

    try:
        read_time(text)
    except ValueError:
        raise click.BadParameter("must be `latest`, or a time with its offset, such as 2026-11-28T09:00:00Z") from None
    return text


@main_command(
    "restore",
    click.Option(["--from", "source"], type=FOLDER, metavar="FOLDER", help="the backups (default MSVS_BACKUP_DIR)"),
    click.Option(
        ["--to"], required=True, callback=_read_time, metavar="TIME", help="`latest`, or a time with its offset"
    ),
    click.Option(["--into"], type=FOLDER, required=True, metavar="FOLDER", help="a new or empty folder"),
    click.Option(["--base"], metavar="NAME", help="a base backup (default: the newest that was finished by then)"),
    click.Option(["--no-hold"], is_flag=True, help="leave what waits as it is; workers will send it"),
    JSON,
)
def restore(settings: Settings, arguments: Arguments) -> int | None:
    """Restore a backup into a new folder, check it, hold what would be sent, and say what to do next."""
    from msvs.local import restoring

    folder = arguments.source or settings.backup_dir
    if folder is None:
        raise click.UsageError("Name the folder of the backups with --from or MSVS_BACKUP_DIR.")
    to = restoring.read_time(arguments.to)
    base = restoring.choose_base(folder, to, arguments.base)
    with restoring.recovering(folder, to=to, into=arguments.into.resolve(), base=base) as recovered:
        found = reaching_database(_examine(settings, recovered.url, holds=not arguments.no_hold))
    told = {
        "base": base.name,
        "last_commit_at": recovered.last_commit_at or base.finished_at,
        "into": str(arguments.into.resolve()),
        **found.told(),
    }
    show(arguments, told)
    if not arguments.json:
        print("\n" + "\n".join(next_steps(arguments.into.resolve(), found, is_embedded=base.is_embedded)))
    return None if found.is_whole else fail("what was restored is not whole: choose another time or --base")


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a recovered database found."""

    pending: Sequence[str]
    workspaces: int
    messages: int
    wrong_balances: int
    consent_rows: int | None
    is_consent_whole: bool | None
    held: Held | None

    @property
    def is_whole(self) -> bool:
        """Whether the books balance and no chain is broken."""
        return not self.wrong_balances and self.is_consent_whole is not False

    def told(self) -> dict[str, object]:
        """Return it for people."""
        return {
            "schema": "up to date"
            if not self.pending
            else f"{len(self.pending)} migrations to apply: run `msvs migrate`",
            "workspaces": self.workspaces,
            "messages": self.messages,
            "balances": "are the sums of the ledger" if not self.wrong_balances else f"{self.wrong_balances} are wrong",
            "consent": {
                True: f"{self.consent_rows} records in whole chains",
                False: "a chain is broken",
                None: "not verified, for want of the secret key of the service",
            }[self.is_consent_whole],
            "held": "nothing" if self.held is None else ", ".join(f"{n} {w}" for w, n in asdict(self.held).items()),
        }


async def _examine(settings: Settings, url: str, *, holds: bool) -> Examined:
    from msvs import database
    from msvs.api.campaigns import holding
    from msvs.api.consent import consent_chain

    async with database.connected(url, pool_size=1):
        pending = await database.pending_migrations(url)
        row = await database.fetch_row(BOOKS)
        assert row is not None
        chain, held = None, None
        # A schema from before is looked at once it is migrated.
        if settings.known_secrets() and not pending:
            await unlock(settings)
            chain = await consent_chain.verify(services_of_command())
            held = await holding.hold_everything(services_of_command()) if holds else None
    return Examined(
        pending=pending,
        workspaces=row["workspaces"],
        messages=row["messages"],
        wrong_balances=row["off"],
        consent_rows=None if chain is None else sum(each.rows for each in chain.chains),
        is_consent_whole=None if chain is None else chain.is_whole,
        held=held,
    )


def next_steps(into: Path, found: Examined, *, is_embedded: bool) -> list[str]:
    """Return what is left to do before workers start on what was restored."""
    where = shlex.quote(str(into))
    if is_embedded:
        steps = [
            f"Copy secret.key and operator.key from where you keep them into {where}, or set MSVS_SECRET_KEY.",
            f"Run `DATA_DIR={where} msvs engines` in another terminal: it runs the engines, and nothing that sends.",
        ]
    else:
        steps = [
            f"Put {where}/data in the place of PostgreSQL's data directory, with its owner and configuration.",
            "Start PostgreSQL, and neither the API nor workers.",
        ]
    if found.pending:
        steps.append("Run `msvs migrate`.")
    if found.held is None:
        steps.append("Run `msvs hold`: what was sent after that time waits again, and would be sent once more.")
    steps += [
        "Add the opt-outs since that time: `msvs suppressions import`.",
        "Grant the credits that were bought since that time, with the same --reference.",
        "Name an empty folder in MSVS_BACKUP_DIR: the time line of what was restored is another.",
        "Start the service, and resume campaigns one by one. See “A restore turns back time” in the documentation.",
    ]
    return ["Next:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))]
