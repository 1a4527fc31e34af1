"""The commands: send, batch, listen, trigger, events, logs, contacts, campaigns, webhooks, login, open, completion."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
from click.shell_completion import get_completion_class
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from massivesms import webhooks as signatures
from massivesms._version import VERSION
from massivesms.cli import _listen, _samples, _state
from massivesms.client import MassiveSMS
from massivesms.errors import ConfigurationError, MassiveSMSError

MESSAGE_FIELDS = ("to", "body", "from", "scheduled_at", "expires_at")
DELIMITERS = ",;\t|"
FIELDS = ("phone", "first_name", "last_name", "email", "timezone", "external_id")
BATCH = 500
# Events of the last run that a replay leaves out; it begins at one that is surely before all that was missed.
KEPT = 500
ENDED = ("completed", "canceled", "failed")
REQUESTS = (
    "query { apiRequests(first: 50) { nodes { id requestId method path status errorCode elapsedMs createdAt } } }"
)
_variable = re.compile(r"[^=]+=.*", re.DOTALL)


class App:
    """What commands share: the client, and how results are told."""

    def __init__(self, key: str | None, base_url: str | None, as_json: bool) -> None:
        kept = _state.read("login")
        self.key = key or kept.get("api_key")
        self.base_url = base_url or kept.get("base_url")
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        self._client: MassiveSMS | None = None

    @property
    def client(self) -> MassiveSMS:
        """Return the client, made at its first use. Raises ClickException where there is no key."""
        if self._client is None:
            if not self.key:
                raise click.ClickException("No API key: run `massivesms login`, or set MASSIVESMS_API_KEY.")
            with told():
                self._client = MassiveSMS(self.key, base_url=self.base_url, app_info=f"massivesms-cli/{VERSION}")
        return self._client

    @property
    def mode(self) -> str:
        """Return where the key leads to."""
        return "live" if self.client.livemode else "the sandbox"

    def say(self, value: Any, text: str) -> None:
        """Tell a result: the text, or with --json the value on a line."""
        if self.as_json:
            click.echo(json.dumps(value, ensure_ascii=False))
        else:
            self.console.print(text, markup=False)


class Refused(click.ClickException):
    """An error of the API: a line, or with --json an object; both on standard error."""

    def __init__(self, error: MassiveSMSError) -> None:
        super().__init__(str(error))
        self._error = error
        context = click.get_current_context(silent=True)
        app = context.find_object(App) if context else None
        self._as_json = app is not None and app.as_json

    def show(self, file: Any = None) -> None:
        """Tell it."""
        if not self._as_json:
            super().show(file)
            return
        names = ("status", "type", "code", "param", "request_id", "idempotency_key")
        told = {name: getattr(self._error, name, None) for name in names}
        message = getattr(self._error, "message", str(self._error))
        click.echo(json.dumps({"error": {"message": message} | told}, ensure_ascii=False), err=True)


@contextmanager
def told() -> Iterator[None]:
    """Tell errors of the API in a line, and end with 1."""
    try:
        yield
    except MassiveSMSError as error:
        raise Refused(error) from error


class Group(click.Group):
    """Tells errors of every command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with told():
            return super().invoke(ctx)


class Root(Group):
    """A group that takes `--json` in every position."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move --json to the front."""
        if "--json" in args:
            args = ["--json", *(each for each in args if each != "--json")]
        return super().parse_args(ctx, args)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--api-key", envvar="MASSIVESMS_API_KEY", help="The API key; else that of `login`.")
@click.option("--base-url", envvar="MASSIVESMS_BASE_URL", help="Another address of the API.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")
@click.version_option(VERSION, prog_name="massivesms")
@click.pass_context
def cli(ctx: click.Context, api_key: str | None, base_url: str | None, as_json: bool) -> None:
    """Send SMS, follow events and try webhooks of MassiveSMS."""
    ctx.obj = App(api_key, base_url, as_json)


@cli.command()
@click.option("--key", help="The key; asked for, or read from standard input, where it is not given.")
@click.pass_obj
def login(app: App, key: str | None) -> None:
    """Keep an API key for the commands to come."""
    if key is None:
        piped = not sys.stdin.isatty()
        key = sys.stdin.readline() if piped else click.prompt("API key", hide_input=True)
    app.key = key.strip()
    credits = app.client.credits.retrieve()
    kept = {"api_key": app.key} | ({"base_url": app.base_url} if app.base_url else {})
    path = _state.write("login", kept)
    app.say(
        {"livemode": app.client.livemode, "balance": credits.balance},
        f"Logged in to {app.mode}, {credits.balance:,} credits; the key is in {path}.",
    )
    if os.environ.get("MASSIVESMS_API_KEY", app.key) != app.key:
        click.echo("MASSIVESMS_API_KEY is another key, and comes before this one.", err=True)


@cli.command()
@click.pass_obj
def logout(app: App) -> None:
    """Forget the API key."""
    _state.clear("login")
    app.say({"logged_out": True}, "The key is forgotten here. It is valid until you revoke it in the dashboard.")


@cli.command()
@click.argument("to")
@click.argument("body")
@click.option("--from", "from_", help="The sender.")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the body.")
@click.option("--at", "scheduled_at", help="When: ISO 8601 with an offset.")
@click.option("--idempotency-key", help="A key with which the request may be made again.")
@click.option("--preview", is_flag=True, help="Tell what would be sent, and send nothing.")
@click.pass_obj
def send(
    app: App,
    to: str,
    body: str,
    from_: str | None,
    variables: tuple[str, ...],
    scheduled_at: str | None,
    idempotency_key: str | None,
    preview: bool,
) -> None:
    """Send a message."""
    given: dict[str, Any] = {"to": to, "body": body} | _set(from_=from_, scheduled_at=scheduled_at)
    if variables:
        given["variables"] = pairs(variables)
    if preview:
        seen = app.client.messages.preview(**given)
        shown = "The text cannot be made; variables without a value: " + (", ".join(seen.missing_variables) or "none")
        if seen.segments is not None and seen.credits is not None:
            shown = f"{counted(seen.segments, 'segment')}, {counted(seen.credits, 'credit')}: {seen.body}"
        app.say(seen.to_dict(), shown)
        return
    message = app.client.messages.create(**given, idempotency_key=idempotency_key)
    app.say(message.to_dict(), f"{message.id} {message.status}, {counted(message.segments, 'segment')} to {message.to}")


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--body", help="The text of rows that have none; {name} stands for the row's column.")
@click.option("--from", "from_", help="The sender of rows that have none.")
@click.option("--idempotency-key", help="That of a run that stopped: what it sent is not sent again.")
@click.option("--yes", is_flag=True, help="Do not ask before live messages are sent.")
@click.pass_obj
def batch(app: App, file: Path, body: str | None, from_: str | None, idempotency_key: str | None, yes: bool) -> None:
    """Send a message for each row of a CSV: columns `to` and `body`; others are variables of the body."""
    rows, messages = read_messages(file, body, from_)
    if app.client.livemode and not yes:
        click.confirm(f"Send {counted(len(messages), 'message')}?", abort=True, err=True)
    key = idempotency_key or str(uuid.uuid4())
    sent = 0
    refused = []
    with Progress(console=Console(stderr=True), disable=app.as_json) as progress:
        task = progress.add_task("Sending", total=len(messages))
        for start in range(0, len(messages), BATCH):
            part: Any = messages[start : start + BATCH]
            try:
                answers = app.client.messages.create_batch(messages=part, idempotency_key=f"{key}-{start}").data
            except MassiveSMSError:
                click.echo(f"Stopped after {start:,} rows. Go on with --idempotency-key {key}", err=True)
                raise
            sent += sum(1 for each in answers if each.message is not None)
            refused += [
                {"row": rows[start + each.index], "to": part[each.index]["to"]}
                | {"code": each.error.code, "message": each.error.message}
                for each in answers
                if each.error is not None
            ]
            progress.advance(task, len(part))
    lines = [f"{counted(sent, 'message')} accepted, {len(refused):,} refused", *map(refusal, refused[:20])]
    app.say({"accepted": sent, "refused": refused, "idempotency_key": key}, "\n".join(lines))
    if refused:
        sys.exit(1)


def refusal(row: dict[str, Any]) -> str:
    """Return a line about a row of a file that was refused."""
    return f"row {row['row']}: {row['code']}: {row['message']}"


def read_messages(file: Path, body: str | None, from_: str | None) -> tuple[list[int], list[dict[str, Any]]]:
    """Read the rows of a CSV as messages, with their lines. Raises ClickException."""
    lines, messages = [], []
    for line, row in read_csv(file, "to"):
        given = {name: value for name, value in row.items() if name in MESSAGE_FIELDS}
        variables = {name: value for name, value in row.items() if name not in MESSAGE_FIELDS}
        message = _set(body=body, **{"from": from_}) | given | ({"variables": variables} if variables else {})
        if "body" not in message or "to" not in message:
            raise click.ClickException(f"Row {line} has no {'body' if 'to' in message else 'to'}.")
        lines.append(line)
        messages.append(message)
    return lines, messages


@cli.command()
@click.option("--forward-to", metavar="URL", help="Post each event to this URL, signed as a webhook.")
@click.option("--secret", help="The secret to sign with; else one that this machine keeps.")
@click.option("--since", metavar="EVENT_ID", help="Begin after this event.")
@click.option("--replay", is_flag=True, help="Begin where the last run ended.")
@click.option("--type", "types", multiple=True, help="Only events of this type.")
@click.option("--max", "most", type=int, hidden=True)
@click.pass_obj
def listen(
    app: App,
    forward_to: str | None,
    secret: str | None,
    since: str | None,
    replay: bool,
    types: tuple[str, ...],
    most: int | None,
) -> None:
    """Follow events, and forward them to an endpoint of yours, also one on this machine."""
    place = f"{app.client.base_url} {'live' if app.client.livemode else 'test'}"
    kept = _state.read("listen")
    last = kept.get(place) if replay and since is None else None
    last = last if isinstance(last, dict) else {}
    done = [str(each) for each in last.get("done") or ()]
    follower = _listen.Follower(app.client, since or last.get("after"), done)
    secret = secret or _listen.kept_secret()
    action = f"Forwarding the events of {app.mode} to {forward_to}, signed with {secret}"
    click.echo(f"{action if forward_to else f'Listening to events of {app.mode}'}. Ctrl-C ends.", err=True)
    waker = threading.Event()
    _listen.wake_by_stream(app.client.base_url, app.key or "", waker)
    count = 0
    with httpx.Client() as http, ended():
        for event in follower.follow(waker):
            if types and event.type not in types:
                continue
            data = event.to_dict()
            status = _listen.forward(http, forward_to, data, secret) if forward_to else None
            shown = data if status is None else {"id": event.id, "type": event.type, "status": status}
            app.say(shown, f"{event.created_at} {event.type} {event.id}{'' if status is None else f' -> {status}'}")
            if status is None or (isinstance(status, int) and status < 300):
                done = [*done[-KEPT:], event.id]
            if follower.cursor is not None:
                _state.write("listen", _state.read("listen") | {place: {"after": follower.cursor, "done": done}})
            count += 1
            if count == most:
                return


@contextmanager
def ended() -> Iterator[None]:
    """Take Ctrl-C for what it is where one follows something: its end."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("", err=True)


@cli.command()
@click.argument("type_", metavar="EVENT", type=click.Choice(_samples.TYPES))
@click.option("--forward-to", metavar="URL", required=True, help="Where to post the event.")
@click.option("--secret", help="The secret to sign with; else that of `listen` on this machine.")
@click.pass_obj
def trigger(app: App, type_: str, forward_to: str, secret: str | None) -> None:
    """Post a sample event of a type, signed as a webhook."""
    secret = secret or _listen.kept_secret()
    with httpx.Client() as http:
        status = _listen.forward(http, forward_to, _samples.sample(type_), secret)
    app.say({"type": type_, "status": status, "secret": secret}, f"{type_} -> {status}, signed with {secret}")
    if not isinstance(status, int) or status >= 300:
        sys.exit(1)


@cli.group()
def events() -> None:
    """Look at events and deliver them again."""


@events.command("tail")
@click.option("--count", default=20, show_default=True, help="How many, from the newest.")
@click.option("--type", "type_", help="Only events of this type.")
@click.option("--follow", "-f", is_flag=True, help="Go on as events happen.")
@click.option("--max", "most", type=int, hidden=True)
@click.pass_obj
def events_tail(app: App, count: int, type_: str | None, follow: bool, most: int | None) -> None:
    """List the newest events."""
    page = app.client.events.list(limit=max(1, min(count, 100)), **_set(type=type_))

    def show(event: Any) -> None:
        app.say(event.to_dict(), f"{event.created_at} {event.type} {event.id}")

    for event in reversed(page.data):
        show(event)
    if not follow:
        return
    # Of all types: that of `--type` may be long ago.
    newest = page.data[0].id if page.data and type_ is None else None
    follower = _listen.Follower(app.client, newest)
    waker = threading.Event()
    _listen.wake_by_stream(app.client.base_url, app.key or "", waker)
    with ended():
        for number, event in enumerate(follower.follow(waker), 1):
            if type_ in (None, event.type):
                show(event)
            if number == most:
                return


@events.command("resend")
@click.argument("event_id")
@click.option("--webhook", "webhook_id", help="Only to this webhook.")
@click.pass_obj
def events_resend(app: App, event_id: str, webhook_id: str | None) -> None:
    """Deliver an event again."""
    sent = app.client.events.resend(event_id, **_set(webhook_id=webhook_id))
    app.say(sent.to_dict(), counted(sent.delivery_count, "delivery", "deliveries"))


@cli.group()
def logs() -> None:
    """Look at requests to the API."""


@logs.command("tail")
@click.option("--follow/--no-follow", "-f", default=False, help="Go on as requests come.")
@click.pass_obj
def logs_tail(app: App, follow: bool) -> None:
    """List the newest requests made with keys of the workspace."""
    seen: set[str] = set()
    with ended():
        while True:
            for node in reversed(requests(app)):
                if node["id"] not in seen:
                    seen.add(node["id"])
                    code = f" {node['errorCode']}" if node["errorCode"] else ""
                    line = f"{node['createdAt']} {node['method']} {node['path']} {node['status']}{code}"
                    app.say(node, f"{line} {node['elapsedMs']} ms {node['requestId']}")
            if not follow:
                return
            time.sleep(2)


def requests(app: App) -> list[dict[str, Any]]:
    """Return the newest requests. Raises ClickException."""
    url, headers = f"{app.client.base_url}/graphql", {"Authorization": f"Bearer {app.key}"}
    try:
        answer = httpx.post(url, json={"query": REQUESTS}, headers=headers, timeout=30.0)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise click.ClickException(f"The log of requests cannot be read: {type(error).__name__}") from error
    if body.get("errors") or not body.get("data"):
        raise click.ClickException(
            body.get("errors", [{}])[0].get("message", f"The server answered {answer.status_code}.")
        )
    return list(body["data"]["apiRequests"]["nodes"])


@cli.group()
def contacts() -> None:
    """Bring contacts in."""


@contacts.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--list", "list_id", help="The list to add them to.")
@click.option("--source", help="Where they opted in: evidence for all of them.")
@click.option("--region", help="The region of phones without a country code, such as US.")
@click.pass_obj
def contacts_import(app: App, file: Path, list_id: str | None, source: str | None, region: str | None) -> None:
    """Import a CSV whose first row names its columns; what is no field of a contact is an attribute."""
    lines, rows = read_contacts(file)
    more = _set(list_id=list_id, default_region=region, opt_in={"source": source} if source else None)
    counts: dict[str, int] = {}
    invalid: list[Any] = []
    with Progress(console=Console(stderr=True), disable=app.as_json) as progress:
        task = progress.add_task("Importing", total=len(rows))
        for start in range(0, len(rows), BATCH):
            part: Any = rows[start : start + BATCH]
            done = app.client.contacts.import_batch(contacts=part, **more).to_dict()
            for name, value in done.items():
                if isinstance(value, int) and not isinstance(value, bool):
                    counts[name] = counts.get(name, 0) + value
            for each in done.get("invalid") or []:
                invalid.append(
                    {"row": lines[start + each["index"]]} | {"code": each["code"], "message": each["message"]}
                )
            progress.advance(task, len(part))
    told_counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items() if value)
    first = f"{len(rows):,} rows: {told_counts or 'nothing changed'}, {len(invalid)} invalid"
    app.say(counts | {"invalid": invalid}, "\n".join([first, *map(refusal, invalid[:20])]))


def read_contacts(file: Path) -> tuple[list[int], list[dict[str, Any]]]:
    """Read the rows of a CSV as contacts, with their lines. Raises ClickException."""
    lines, rows = [], []
    for line, given in read_csv(file, "phone"):
        contact: dict[str, Any] = {name: value for name, value in given.items() if name in FIELDS}
        attributes = {name: value for name, value in given.items() if name not in FIELDS}
        lines.append(line)
        rows.append(contact | ({"attributes": attributes} if attributes else {}))
    return lines, rows


def read_csv(file: Path, needed: str) -> list[tuple[int, dict[str, str]]]:
    """Return what is not blank of each row of a CSV, with its line; blank rows are left out. Raises ClickException."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.ClickException(
            "The file is not CSV in UTF-8: save it as such. The dashboard imports other encodings, XLSX and gzip."
        ) from error
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=max(DELIMITERS, key=head.count))
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    if needed not in reader.fieldnames:
        raise click.ClickException(f"The file has no column named {needed}.")
    rows = []
    for row in reader:
        given = {name: value for name, value in row.items() if name and isinstance(value, str) and value.strip()}
        if given:
            rows.append((reader.line_num, given))
    if not rows:
        raise click.ClickException("The file has no rows.")
    return rows


@cli.group()
def campaigns() -> None:
    """Create campaigns and watch them."""


@campaigns.command("create")
@click.option("--name", required=True)
@click.option("--body", required=True)
@click.option("--list", "list_ids", multiple=True, help="A list to send to; may be given more than once.")
@click.option("--segment", "segment_id", help="A segment to send to.")
@click.option("--at", "scheduled_at", help="When: ISO 8601 with an offset; now where it is not given.")
@click.option("--draft", is_flag=True, help="Keep it as a draft.")
@click.option("--yes", is_flag=True, help="Do not ask before a live campaign is sent.")
@click.pass_obj
def campaigns_create(
    app: App,
    name: str,
    body: str,
    list_ids: tuple[str, ...],
    segment_id: str | None,
    scheduled_at: str | None,
    draft: bool,
    yes: bool,
) -> None:
    """Create a campaign, after a look at what it would send and cost."""
    audience: Any = _set(list_ids=list(list_ids) or None, segment_id=segment_id)
    if not audience:
        raise click.UsageError("Give --list or --segment.")
    cost = ""
    if not draft:
        seen = app.client.campaigns.preview(body=body, audience=audience)
        cost = f"{counted(seen.recipient_count, 'recipient')}, {counted(seen.credits.total, 'credit')}"
        if app.client.livemode and not yes:
            click.confirm(f"{cost}. Send?", abort=True, err=True)
    more = _set(scheduled_at=scheduled_at, draft=draft or None)
    campaign = app.client.campaigns.create(name=name, body=body, audience=audience, **more)
    app.say(campaign.to_dict(), f"{campaign.id} {campaign.status}{f', {cost}' if cost else ''}")


@campaigns.command("watch")
@click.argument("campaign_id")
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.2), help="Seconds between looks.")
@click.pass_obj
def campaigns_watch(app: App, campaign_id: str, interval: float) -> None:
    """Follow a campaign until it has ended."""
    with ended():
        watch(app, campaign_id, interval)


def watch(app: App, campaign_id: str, interval: float) -> None:
    """Tell each change of a campaign until it has ended."""
    last = None
    while True:
        campaign = app.client.campaigns.retrieve(campaign_id)
        stats = campaign.stats.to_dict()
        if (campaign.status, stats) != last:
            last = (campaign.status, stats)
            if app.as_json:
                app.say(campaign.to_dict(), "")
            else:
                table = Table(title=f"{campaign.name}: {campaign.status}", show_header=False)
                for each, value in stats.items():
                    table.add_row(each.replace("_", " "), f"{value:,}")
                app.console.print(table)
        if campaign.status in ENDED:
            return
        time.sleep(interval)


@cli.group()
def webhooks() -> None:
    """Try signatures of webhooks."""


@webhooks.command("verify")
@click.argument("file", type=click.File("rb"))
@click.option("--header", required=True, help="The value of MSVS-Signature, or the line of it.")
@click.option("--secret", required=True, envvar="MASSIVESMS_WEBHOOK_SECRET", help="The endpoint's secret.")
@click.option("--tolerance", default=300.0, show_default=True, help="Seconds that it may be away from now.")
@click.pass_obj
def webhooks_verify(app: App, file: Any, header: str, secret: str, tolerance: float) -> None:
    """Verify the signature of a body kept in a file (- for standard input)."""
    value = re.sub(rf"(?i)\A\s*{signatures.SIGNATURE_HEADER}\s*:\s*", "", header)
    event = signatures.construct_event(file.read(), value, secret, tolerance=tolerance)
    app.say({"valid": True, "id": event.id, "type": event.type}, f"valid: {event.type} {event.id}")


@cli.command("open")
@click.argument("page", type=click.Choice(["dashboard", "docs", "reference"]), default="dashboard")
@click.option("--print", "only_print", is_flag=True, help="Print the address alone.")
@click.pass_obj
def open_page(app: App, page: str, only_print: bool) -> None:
    """Open the dashboard or the documentation in a browser."""
    base = app.base_url or "https://api.massivesms.com"
    url = f"{base.rstrip('/')}/{'docs/reference' if page == 'reference' else page}"
    app.say({"url": url}, url)
    if not only_print:
        click.launch(url)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what a shell needs to complete commands: `eval "$(massivesms completion bash)"`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigurationError(f"There is no completion for {shell}.")
    click.echo(kind(cli, {}, "massivesms", "_MASSIVESMS_COMPLETE").source())


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its word."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def pairs(given: tuple[str, ...]) -> dict[str, str]:
    """Return NAME=VALUE as a map. Raises BadParameter."""
    for each in given:
        if not _variable.fullmatch(each):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE.")
    return dict(each.split("=", 1) for each in given)


def _set(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
