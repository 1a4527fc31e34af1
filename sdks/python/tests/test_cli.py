"""The command line: what it asks the API for, what it tells, and what it keeps."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import vectors
from click.testing import CliRunner, Result

from massivesms import webhooks
from massivesms.cli import _listen, _samples, commands
from massivesms.client import MassiveSMS
from massivesms.testing import FakeTransport

KEY = vectors.read("encodings")["key"]


class Shell:
    """Runs commands over a transport in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch = monkeypatch
        monkeypatch.setenv("MASSIVESMS_CONFIG_DIR", str(folder))
        monkeypatch.setenv("MASSIVESMS_API_KEY", KEY)
        monkeypatch.delenv("MASSIVESMS_BASE_URL", raising=False)
        monkeypatch.setattr(_listen, "wake_by_stream", lambda *_: None)
        monkeypatch.setattr(_listen, "POLL_SECONDS", 0)
        self.wire = FakeTransport()

    def run(self, *arguments: str, answers: tuple[Any, ...] = (), given: str | None = None) -> Result:
        self.wire = FakeTransport(*answers)
        make = lambda key, **more: MassiveSMS(key, transport=self.wire, **more)  # noqa: E731
        self._patch.setattr(commands, "MassiveSMS", make)
        return CliRunner().invoke(commands.cli, arguments, input=given)

    def sent(self, number: int = 0) -> Any:
        return json.loads(self.wire.requests[number].content)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    return Shell(monkeypatch, tmp_path)


MESSAGE = {"id": "msg_1", "object": "message", "status": "queued", "segments": 1, "to": "+14155550123"}


def test_send(shell: Shell) -> None:
    told = shell.run("send", "+14155550123", "Hey {a}", "--var", "a=b=c", "--from", "COHORT", answers=(MESSAGE,))
    assert (told.exit_code, told.output) == (0, "msg_1 queued, 1 segment to +14155550123\n")
    assert shell.sent() == {"to": "+14155550123", "body": "Hey {a}", "from": "COHORT", "variables": {"a": "b=c"}}


@pytest.mark.parametrize("arguments", [("--json", "send", "+1", "Hi"), ("send", "+1", "Hi", "--json")])
def test_json_is_accepted_in_every_position(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert json.loads(shell.run(*arguments, answers=(MESSAGE,)).output) == MESSAGE


def test_a_refusal_is_a_line_and_never_the_key(shell: Shell) -> None:
    error = {"error": {"type": "invalid_request_error", "code": "phone_number_invalid", "message": "No phone."}}
    told = shell.run("send", "+1", "Hi", answers=((400, error),))
    assert (told.exit_code, told.output) == (1, "Error: No phone. (phone_number_invalid)\n")
    assert KEY not in told.output


def test_a_wrong_variable_sends_nothing(shell: Shell) -> None:
    assert shell.run("send", "+1", "Hi", "--var", "a").exit_code == 2
    assert shell.wire.requests == []


def test_login_keeps_the_key_for_its_owner_alone(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASSIVESMS_API_KEY")
    assert "massivesms login" in shell.run("send", "+1", "Hi").output
    told = shell.run("login", answers=({"object": "credits", "balance": 5},), given=f"{KEY}\n")
    assert told.exit_code == 0, told.output
    assert "Logged in to the sandbox, 5 credits" in told.output
    assert KEY not in told.output
    assert (tmp_path / "login.json").stat().st_mode & 0o777 == 0o600
    assert shell.run("send", "+1", "Hi", answers=(MESSAGE,)).exit_code == 0
    assert shell.wire.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert shell.run("logout").exit_code == 0
    assert "massivesms login" in shell.run("send", "+1", "Hi").output


def test_a_key_of_the_environment_that_wins_is_told(shell: Shell) -> None:
    other = next(case["key"] for case in vectors.read("encodings")["keys"] if case.get("livemode"))
    told = shell.run("login", "--key", other, answers=({"object": "credits", "balance": 5},))
    assert (told.exit_code, told.stderr) == (0, "MASSIVESMS_API_KEY is another key, and comes before this one.\n")


def test_an_error_is_json_where_json_is_asked_for(shell: Shell) -> None:
    error = {"type": "invalid_request_error", "code": "phone_number_invalid", "message": "No phone.", "param": "to"}
    told = shell.run("send", "+1", "Hi", "--json", answers=((400, {"error": error}),))
    assert (told.exit_code, told.stdout) == (1, "")
    shown = json.loads(told.stderr)["error"]
    assert error.items() <= shown.items()
    assert (shown["status"], len(shown["idempotency_key"])) == (400, 36)
    told = shell.run("send", "+1", "Hi", "--json", answers=(httpx.ConnectError("no"),) * 3)
    assert json.loads(told.stderr)["error"]["message"] == "No answer came: ConnectError."


def rows_of(folder: Path, text: str) -> str:
    (folder / "rows.csv").write_text(text, encoding="utf-8")
    return str(folder / "rows.csv")


def test_batch(shell: Shell, tmp_path: Path) -> None:
    file = rows_of(tmp_path, "to;body;firstName;seat\n+14155550123;Hi {firstName};Maria;12\n\n+1abc;;Ana;\n")
    refused = {"status": 400, "type": "invalid_request_error", "code": "phone_number_invalid", "message": "No phone."}
    answer = {"object": "batch", "data": [{"index": 0, "message": MESSAGE}, {"index": 1, "error": refused}]}
    told = shell.run("batch", file, "--body", "Doors open, {firstName}", "--from", "COHORT", answers=(answer,))
    lines = ["1 message accepted, 1 refused", "row 4: phone_number_invalid: No phone."]
    assert (told.exit_code, told.stdout.splitlines()) == (1, lines)
    first = {"to": "+14155550123", "body": "Hi {firstName}", "from": "COHORT"}
    second = {"to": "+1abc", "body": "Doors open, {firstName}", "from": "COHORT", "variables": {"firstName": "Ana"}}
    assert shell.sent() == {"messages": [first | {"variables": {"firstName": "Maria", "seat": "12"}}, second]}


def test_a_batch_that_stopped_goes_on_with_its_key(shell: Shell, tmp_path: Path) -> None:
    file = rows_of(tmp_path, "to,body\n" + "+14155550123,Hi\n" * 501)
    whole = {"object": "batch", "data": []}
    told = shell.run("batch", file, answers=(whole, (402, {"error": {"type": "payment_required_error"}})))
    assert told.exit_code == 1
    key = told.stderr.split("--idempotency-key ")[1].split()[0]
    assert [each.headers["Idempotency-Key"] for each in shell.wire.requests] == [f"{key}-0", f"{key}-500"]
    again = shell.run("batch", file, "--idempotency-key", key, "--json", answers=(whole, whole))
    assert json.loads(again.stdout) == {"accepted": 0, "refused": [], "idempotency_key": key}
    assert [each.headers["Idempotency-Key"] for each in shell.wire.requests] == [f"{key}-0", f"{key}-500"]


@pytest.mark.parametrize("text", ["body\nHi\n", "to,body\n", "to,body\n+1,\n", "to,body\n,Hi\n"])
def test_a_file_that_is_not_whole_sends_nothing(shell: Shell, tmp_path: Path, text: str) -> None:
    assert shell.run("batch", rows_of(tmp_path, text)).exit_code == 1
    assert shell.wire.requests == []


def test_a_live_batch_is_asked_about(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = next(case["key"] for case in vectors.read("encodings")["keys"] if case.get("livemode"))
    monkeypatch.setenv("MASSIVESMS_API_KEY", live)
    told = shell.run("batch", rows_of(tmp_path, "to,body\n+14155550123,Hi\n"), given="n\n")
    assert (told.exit_code, shell.wire.requests) == (1, [])


def test_a_wrong_key_is_not_kept(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("login", given="msvs_test_wrong\n").exit_code == 1
    assert not (tmp_path / "login.json").exists()


def page(*events: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "url": "/v1/events", "has_more": False, "data": list(events)}


def event(number: int) -> dict[str, Any]:
    return _samples.sample("test.ping") | {"id": f"evt_{number}"}


class Endpoint:
    """An endpoint that verifies what it is sent."""

    def __init__(self, secret: str) -> None:
        self.events: list[Any] = []
        self.secret = secret
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.events.append(webhooks.construct_event(body, self.headers["MSVS-Signature"], outer.secret))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Any:
    made = Endpoint("whsec_listen")
    yield made
    made.close()


def test_listen_forwards_each_event_once_and_signed(shell: Shell, endpoint: Endpoint) -> None:
    pages = (page(event(1)), page(event(2)), page(event(3), event(2)))
    arguments = ("listen", "--forward-to", endpoint.url, "--secret", "whsec_listen", "--max", "2")
    told = shell.run(*arguments, "--json", answers=pages)
    assert told.exit_code == 0, told.output
    assert [each.id for each in endpoint.events] == ["evt_2", "evt_3"]
    assert [json.loads(line)["status"] for line in told.stdout.splitlines()] == [204, 204]
    assert "the sandbox" in told.stderr
    assert "whsec_listen" in told.stderr


def test_listen_and_trigger_keep_one_secret(shell: Shell, endpoint: Endpoint, tmp_path: Path) -> None:
    """An endpoint is set up once, not at each start."""
    shell.run("trigger", "test.ping", "--forward-to", "http://127.0.0.1:9/")
    secret = json.loads((tmp_path / "secret.json").read_text())["secret"]
    assert (tmp_path / "secret.json").stat().st_mode & 0o777 == 0o600
    endpoint.secret = secret
    shell.run("trigger", "test.ping", "--forward-to", endpoint.url)
    pages = (page(event(1)), page(event(2)))
    told = shell.run("listen", "--forward-to", endpoint.url, "--max", "1", answers=pages)
    assert secret in told.stderr
    assert [each.id for each in endpoint.events][1:] == ["evt_2"]


def test_listen_replays_from_where_it_ended(shell: Shell, endpoint: Endpoint) -> None:
    arguments = ("listen", "--forward-to", endpoint.url, "--secret", "whsec_listen", "--max", "1")
    shell.run(*arguments, "--since", "evt_5", answers=(page(event(6)),))
    shell.run(*arguments, "--replay", answers=(page(event(7), event(6)),))
    asked = dict(shell.wire.requests[0].url.params)
    assert asked == {"ending_before": "evt_5", "limit": "100"}
    assert [each.id for each in endpoint.events] == ["evt_6", "evt_7"]
    # What the endpoint did not take is missed, too.
    gone = ("listen", "--forward-to", "http://127.0.0.1:9/", "--max", "1")
    shell.run(*gone, "--since", "evt_7", answers=(page(event(8)),))
    shell.run(*arguments, "--replay", answers=(page(event(8)),))
    assert [each.id for each in endpoint.events][2:] == ["evt_8"]


def test_trigger(shell: Shell, endpoint: Endpoint) -> None:
    for type_ in ("message.replied", "contact.opted_out"):
        told = shell.run("trigger", type_, "--forward-to", endpoint.url, "--secret", "whsec_listen")
        assert told.exit_code == 0, told.output
    assert [each.type for each in endpoint.events] == ["message.replied", "contact.opted_out"]
    assert shell.run("trigger", "moon.rose", "--forward-to", endpoint.url).exit_code == 2


def test_trigger_fails_without_a_listener(shell: Shell) -> None:
    told = shell.run("trigger", "test.ping", "--forward-to", "http://127.0.0.1:9/", "--json")
    assert told.exit_code == 1
    assert json.loads(told.output)["status"] == "ConnectError"


def test_events(shell: Shell) -> None:
    told = shell.run("events", "tail", "--count", "2", answers=(page(event(2), event(1)),))
    assert [line.split()[-1] for line in told.output.splitlines()] == ["evt_1", "evt_2"]
    pages = (page(event(2), event(1)), page(event(3)), page(event(4), event(3)))
    told = shell.run("events", "tail", "--follow", "--max", "2", answers=pages)
    assert [line.split()[-1] for line in told.output.splitlines()] == ["evt_1", "evt_2", "evt_3", "evt_4"]
    answers = ({"object": "redelivery", "id": "evt_1", "delivery_count": 2},)
    assert shell.run("events", "resend", "evt_1", answers=answers).output == "2 deliveries\n"
    assert shell.sent() == {}


def test_contacts_import(shell: Shell, tmp_path: Path) -> None:
    rows = "\n".join(f"+1212555{number:04d},Ana,vip" for number in range(501))
    file = tmp_path / "contacts.csv"
    file.write_text(f"\ufeffphone,first_name,tier\n{rows}\n", encoding="utf-8")
    wrong = {"index": 0, "code": "phone_number_invalid", "message": "No phone.", "param": "phone"}
    done = {"created": 250, "updated": 0, "invalid": [wrong]}
    told = shell.run("contacts", "import", str(file), "--source", "webinar", "--json", answers=(done, done))
    invalid = [{"row": row, "code": "phone_number_invalid", "message": "No phone."} for row in (2, 502)]
    assert json.loads(told.output) == {"created": 500, "updated": 0, "invalid": invalid}
    assert [len(shell.sent(number)["contacts"]) for number in range(2)] == [500, 1]
    first = shell.sent()["contacts"][0]
    assert first == {"phone": "+12125550000", "first_name": "Ana", "attributes": {"tier": "vip"}}
    assert shell.sent()["opt_in"] == {"source": "webinar"}


def test_a_file_without_phones_imports_nothing(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name\nAna\n")
    told = shell.run("contacts", "import", str(tmp_path / "a.csv"))
    assert (told.exit_code, shell.wire.requests) == (1, [])


def test_a_file_of_another_encoding_is_told(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("phone,first_name\n+14155550123,Zoë\n".encode("latin-1"))
    told = shell.run("contacts", "import", str(tmp_path / "a.csv"))
    assert (told.exit_code, told.output.split(":")[1].strip()) == (1, "The file is not CSV in UTF-8")


def campaign(status: str) -> dict[str, Any]:
    return {"id": "cmp_1", "name": "Close", "status": status, "stats": {"recipients": 2, "delivered": 1}}


def test_campaigns(shell: Shell) -> None:
    preview = {"recipient_count": 2, "credits": {"total": 1200, "minimum": 2, "maximum": 2}}
    arguments = ("campaigns", "create", "--name", "Close", "--body", "Hi", "--list", "lst_1")
    told = shell.run(*arguments, answers=(preview, campaign("sending")))
    assert told.output == "cmp_1 sending, 2 recipients, 1,200 credits\n", told.output
    assert shell.sent(1) == {"name": "Close", "body": "Hi", "audience": {"list_ids": ["lst_1"]}}
    steps = (campaign("sending"), campaign("completed"))
    watched = shell.run(
        "campaigns",
        "watch",
        "cmp_1",
        "--interval",
        "0.2",
        "--json",
        answers=steps,
    )
    assert [json.loads(line)["status"] for line in watched.output.splitlines()] == ["sending", "completed"]


def test_a_live_campaign_is_asked_about(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    live = next(case["key"] for case in vectors.read("encodings")["keys"] if case.get("livemode"))
    monkeypatch.setenv("MASSIVESMS_API_KEY", live)
    arguments = ("campaigns", "create", "--name", "Close", "--body", "Hi", "--list", "lst_1")
    told = shell.run(*arguments, answers=({"recipient_count": 2, "credits": {"total": 2}},), given="n\n")
    assert (told.exit_code, len(shell.wire.requests)) == (1, 1)


def test_webhooks_verify(shell: Shell, tmp_path: Path) -> None:
    body = json.dumps(event(1)).encode()
    (tmp_path / "body").write_bytes(body)
    header = webhooks.generate_test_header(body, "whsec_a")
    arguments = ("webhooks", "verify", str(tmp_path / "body"), "--header", header, "--secret")
    assert shell.run(*arguments, "whsec_a").output == "valid: test.ping evt_1\n"
    line = (*arguments[:4], f"msvs-signature: {header}", "--secret", "whsec_a")
    assert shell.run(*line).output == "valid: test.ping evt_1\n"
    assert shell.run(*arguments, "whsec_b").exit_code == 1


def test_logs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"id": "arq_1", "requestId": "req_1", "method": "GET", "path": "/v1/credits", "status": 404}
    node |= {"errorCode": "resource_missing", "elapsedMs": 3, "createdAt": "2026-05-01T20:00:00Z"}
    answers = iter([{"data": {"apiRequests": {"nodes": [node]}}}, {"errors": [{"message": "No scope."}]}])
    monkeypatch.setattr(commands.httpx, "post", lambda *_, **__: httpx.Response(200, json=next(answers)))
    assert "GET /v1/credits 404 resource_missing 3 ms req_1" in shell.run("logs", "tail").output
    told = shell.run("logs", "tail")
    assert (told.exit_code, told.output) == (1, "Error: No scope.\n")


def test_open_and_completion(shell: Shell) -> None:
    assert shell.run("open", "--print").output == "https://api.massivesms.com/dashboard\n"
    for name in ("bash", "zsh", "fish"):
        assert "_MASSIVESMS_COMPLETE" in shell.run("completion", name).output
