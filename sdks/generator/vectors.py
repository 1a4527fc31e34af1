"""Writes the cases that the suites of all SDKs read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from typing import Any

Json = dict[str, Any]
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET = "whsec_vector_secret_0001"  # noqa: S105
OTHER = "whsec_vector_secret_0002"
NOW = 1777665614
ULID = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"
REQUEST_ID = f"req_{ULID}"
SEND = {"to": "+14155550123", "body": "Doors open"}
TYPES = {
    "api_error": "ServerError",
    "authentication_error": "AuthenticationError",
    "compliance_error": "ComplianceError",
    "conflict_error": "ConflictError",
    "idempotency_error": "IdempotencyError",
    "invalid_request_error": "InvalidRequestError",
    "payment_required_error": "PaymentRequiredError",
    "permission_error": "PermissionDeniedError",
    "rate_limit_error": "RateLimitError",
}
STATUSES = {
    400: "InvalidRequestError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "PermissionDeniedError",
    404: "InvalidRequestError",
    409: "ConflictError",
    422: "ComplianceError",
    429: "RateLimitError",
}


def files(document: Json) -> dict[str, str]:
    """Return the text of each file by its name."""
    parts = {
        "signatures": signatures(),
        "retries": retries(),
        "paging": paging(),
        "errors": errors(),
        "events": events(document),
        "encodings": encodings(),
    }
    return {f"{name}.json": json.dumps(part, indent=1, ensure_ascii=False) + "\n" for name, part in parts.items()}


def sample_key(livemode: bool = False, letter: str = "0") -> str:
    """Return a key with a right checksum that opens nothing."""
    body = letter * 30
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(6):
        number, rest = divmod(number, 62)
        characters.append(BASE62[rest])
    return f"msvs_{'live' if livemode else 'test'}_{body}{''.join(reversed(characters))}"


def digest(payload: bytes, secret: str = SECRET, timestamp: int = NOW) -> str:
    """Return the hex HMAC-SHA256 of `{timestamp}.{payload}`."""
    return hmac.new(secret.encode(), b"%d." % timestamp + payload, hashlib.sha256).hexdigest()


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def signatures() -> Json:
    """Return the cases of verification and signing."""
    payload = b'{"id":"evt_01HYZ8K5VQAE2N0PWQ6DC9V8MP","object":"event","type":"test.ping","data":{}}'
    good, other = digest(payload), digest(payload, OTHER)
    cases: list[Json] = []

    def add(name: str, header: str | None, reason: str | None = None, **more: Any) -> None:
        case = {"name": name, "payload_base64": _base64(payload), "header": header, "secret": SECRET, "now": NOW}
        case |= {"valid": reason is None} | ({} if reason is None else {"reason": reason}) | more
        cases.append(case)

    def signed(name: str, bytes_: bytes, reason: str | None = None, **more: Any) -> None:
        header = f"t={NOW},v1={digest(bytes_)}"
        add(name, header, reason, payload_base64=_base64(bytes_), **more)

    add("a valid signature", f"t={NOW},v1={good}")
    add("two v1, the old secret's first", f"t={NOW},v1={other},v1={good}")
    add("two v1, the new secret's first", f"t={NOW},v1={good},v1={other}")
    add("an unknown scheme beside it", f"t={NOW},v0=abc,v1={good},v2=zzz")
    add("spaces after commas", f"t={NOW}, v1={good}")
    add("the signature before the time", f"v1={good},t={NOW}")
    add("299 seconds old", f"t={NOW},v1={good}", now=NOW + 299)
    add("300 seconds old", f"t={NOW},v1={good}", now=NOW + 300)
    add("301 seconds old", f"t={NOW},v1={good}", "timestamp_outside_tolerance", now=NOW + 301)
    add("300 seconds ahead", f"t={NOW},v1={good}", now=NOW - 300)
    add("301 seconds ahead", f"t={NOW},v1={good}", "timestamp_outside_tolerance", now=NOW - 301)
    add("old, and a tolerance that admits it", f"t={NOW},v1={good}", now=NOW + 900, tolerance=1000)
    add(
        "young, and a tolerance that does not admit it",
        f"t={NOW},v1={good}",
        "timestamp_outside_tolerance",
        now=NOW + 11,
        tolerance=10,
    )
    add("another secret", f"t={NOW},v1={other}", "no_match")
    add("another time than was signed", f"t={NOW + 1},v1={good}", "no_match")
    add("an altered body", f"t={NOW},v1={good}", "no_match", payload_base64=_base64(payload.replace(b"ping", b"pong")))
    add("a body with a line end added", f"t={NOW},v1={good}", "no_match", payload_base64=_base64(payload + b"\n"))
    add(
        "a body serialized again with spaces",
        f"t={NOW},v1={good}",
        "no_match",
        payload_base64=_base64(payload.replace(b":", b": ")),
    )
    add("a signature cut short", f"t={NOW},v1={good[:63]}", "no_match")
    add("a signature with a letter added", f"t={NOW},v1={good}0", "no_match")
    add("a signature in capitals", f"t={NOW},v1={good.upper()}", "no_match")
    add("a signature that is not ASCII", f"t={NOW},v1=é{good[1:]}", "no_match")
    add("only another scheme", f"t={NOW},v0={good}", "header_malformed")
    add("no header", None, "header_missing")
    add("an empty header", "", "header_missing")
    add("no time", f"v1={good}", "header_malformed")
    add("two times", f"t={NOW},t={NOW},v1={good}", "header_malformed")
    add("a time that is no number", f"t=soon,v1={good}", "header_malformed")
    add("a time with a sign", f"t=+{NOW},v1={good}", "header_malformed")
    add("a time with an underscore", f"t=1777_665614,v1={good}", "header_malformed")
    add("a time of other digits", f"t=١٧٧٧٦٦٥٦١٤,v1={good}", "header_malformed")
    add("a time far beyond any", f"t={'9' * 400},v1={good}", "header_malformed")
    add("no text of the format", "abc", "header_malformed")
    add("an empty secret", f"t={NOW},v1={digest(payload, '')}", "secret_missing", secret="")
    signed("text that is not ASCII", '{"body":"Olá, você 👋 – “ok”"}'.encode())
    signed("escapes of JSON left as they are", rb'{"body":"Ol\u00e1 \/ \ud83d\udc4b"}')
    signed("bytes that are not UTF-8", b'{"body":"\xff\xfe"}')
    signed("an empty body", b"")
    signed("a body with a zero byte", b'{"a":"\x00"}')
    signing = [
        {"name": name, "payload_base64": _base64(each), "secret": secret, "timestamp": NOW}
        | {"header": f"t={NOW},v1={digest(each, secret)}"}
        for name, each, secret in (
            ("a ping", payload, SECRET),
            ("text that is not ASCII", '{"body":"Olá 👋"}'.encode(), SECRET),
            ("a secret that is not ASCII", b"{}", "ségrêt-12345"),
        )
    ]
    no_events = [
        {"name": name, "payload_base64": _base64(each)}
        for name, each in (
            ("no JSON", b"no"),
            ("half of JSON", b'{"type": "test.ping"'),
            ("nothing", b""),
            ("a list", b"[]"),
            ("null", b"null"),
            ("a text", b'"test.ping"'),
            ("an object without a type", b'{"id": 1}'),
            ("a type that is no text", b'{"type": 1}'),
            ("bytes that are not UTF-8", b'{"type": "\xff\xfe"}'),
        )
    ]
    told = "MSVS-Signature and Standard Webhooks: verification and signing."
    return {
        "description": told, "cases": cases, "standard": standard_signatures(), "signing": signing,
        "no_events": no_events,
    }  # fmt: skip


def standard_signatures() -> list[Json]:
    """Return the cases of verification by the headers of Standard Webhooks."""
    payload = b'{"id":"evt_01HYZ8K5VQAE2N0PWQ6DC9V8MP","object":"event","type":"test.ping","data":{}}'
    id = f"evt_{ULID}"
    secret, other = ("whsec_" + _base64(bytes([letter]) * 24) for letter in (1, 2))
    cases: list[Json] = []

    def mark(key: str = secret, *, body: bytes = payload, of: str = id, at: int = NOW) -> str:
        raw = base64.b64decode(key.removeprefix("whsec_"))
        return "v1," + _base64(hmac.digest(raw, f"{of}.{at}.".encode() + body, hashlib.sha256))

    def add(name: str, signature: str | None = None, reason: str | None = None, **more: Any) -> None:
        headers = {"webhook-id": id, "webhook-timestamp": str(NOW), "webhook-signature": signature or mark()}
        headers |= more.pop("headers", {})
        case = {
            "name": name,
            "payload_base64": _base64(payload),
            "headers": {name: value for name, value in headers.items() if value is not None},
            "secret": secret,
            "now": NOW,
            "valid": reason is None,
        }
        cases.append(case | ({} if reason is None else {"reason": reason}) | more)

    add("a valid signature")
    add("two signatures, the old secret's first", f"{mark(other)} {mark()}")
    add("two signatures, the new secret's first", f"{mark()} {mark(other)}")
    add("another version beside it", f"v1a,AAAA {mark()}")
    add("a secret without its prefix", secret=secret.removeprefix("whsec_"))
    add("300 seconds old", now=NOW + 300)
    add("301 seconds old", None, "timestamp_outside_tolerance", now=NOW + 301)
    add("301 seconds ahead", None, "timestamp_outside_tolerance", now=NOW - 301)
    add("old, and a tolerance that admits it", now=NOW + 900, tolerance=1000)
    add("another secret", mark(other), "no_match")
    add("another id than was signed", None, "no_match", headers={"webhook-id": "evt_2"})
    add("another time than was signed", None, "no_match", headers={"webhook-timestamp": str(NOW + 1)})
    add("an altered body", None, "no_match", payload_base64=_base64(payload + b"\n"))
    add("a signature cut short", mark()[:-2], "no_match")
    add("a signature that is not ASCII", "v1,é", "no_match")
    add("a secret that is no base64", None, "no_match", secret="whsec_not-base64!")  # noqa: S106
    add("no id", None, "header_missing", headers={"webhook-id": None})
    add("no time", None, "header_missing", headers={"webhook-timestamp": None})
    add("no signature", None, "header_missing", headers={"webhook-signature": None})
    add("an empty signature", None, "header_missing", headers={"webhook-signature": ""})
    add("a time that is no number", None, "header_malformed", headers={"webhook-timestamp": "soon"})
    add("a time with a sign", None, "header_malformed", headers={"webhook-timestamp": f"+{NOW}"})
    add("only another version", "v1a,AAAA", "header_malformed")
    add("an empty secret", None, "secret_missing", secret="")
    return cases


def envelope(type: str, code: str, **more: Any) -> Json:
    """Return the documented body of an error."""
    doc_url = f"https://api.massivesms.com/docs/errors#{code}"
    error = {"type": type, "code": code, "message": f"What {code} says.", "doc_url": doc_url, "request_id": REQUEST_ID}
    return {"error": error | more}


def _answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Json:
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"
    return {
        "status": status,
        "headers": {"Content-Type": kind, "X-Request-Id": REQUEST_ID} | (headers or {}),
        "body": text,
    }


def _range(number: int) -> list[float]:
    base = min(0.5 * 2 ** (number - 1), 8.0)
    return [base / 2, base]


def retries() -> Json:
    """Return the cases of retries."""
    message = _answer(201, {"id": f"msg_{ULID}", "object": "message", "status": "queued"})
    page = _answer(200, {"object": "list", "url": "/v1/messages", "has_more": False, "data": []})
    deleted = _answer(200, {"id": f"lst_{ULID}", "object": "list", "deleted": True})
    down = _answer(503, envelope("api_error", "service_unavailable"))
    limited = envelope("rate_limit_error", "rate_limit_exceeded")
    in_use = envelope("idempotency_error", "idempotency_key_in_use")
    cut, slow = {"fault": "connection"}, {"fault": "timeout"}
    cases: list[Json] = []

    def add(name: str, answers: list[Json], waits: list[list[float]], error: str | None = None, **more: Any) -> None:
        call = {"operation_id": "createMessage", "args": SEND}
        outcome: Json = {"result": "ok"} if error is None else {"error": error}
        case = {"name": name} | call | {"answers": answers, "tries": len(answers), "waits": waits} | outcome
        cases.append(case | {"same_key": True} | more)

    read: Json = {"operation_id": "listMessages", "args": {}, "same_key": False}
    remove: Json = {"operation_id": "deleteList", "args": {"id": f"lst_{ULID}"}}
    add("no fault", [message], [])
    for status in (500, 501, 502, 503, 504):
        add(f"{status}, then well", [_answer(status, envelope("api_error", "internal_error")), message], [_range(1)])
    add("408, then well", [_answer(408, envelope("invalid_request_error", "request_timeout")), message], [_range(1)])
    add("a gateway's page, then well", [_answer(502, "<html>Bad gateway</html>"), message], [_range(1)])
    add("a cut connection, then well", [cut, message], [_range(1)])
    add("a time-out, then well", [slow, message], [_range(1)])
    add("two faults, then well", [cut, down, message], [_range(1), _range(2)])
    add("a read: two faults, then well", [down, cut, page], [_range(1), _range(2)], **read)
    add("a deletion: a fault, then well", [down, deleted], [_range(1)], **remove)
    add("garbage with 200, then well", [_answer(200, "<html>"), message], [_range(1)])
    add("half of a body with 200, then well", [_answer(200, '{"id": "msg_'), message], [_range(1)])
    for text in ("[]", "null", "7", '"queued"'):
        add(f"{text} with 201, then well", [_answer(201, text), message], [_range(1)])
    add("garbage to the end", [_answer(201, "<html>")] * 3, [_range(1), _range(2)], "InvalidResponseError")
    add("503 to the end", [down] * 3, [_range(1), _range(2)], "ServerError", code="service_unavailable")
    add("cut to the end", [cut] * 3, [_range(1), _range(2)], "APIConnectionError")
    add("timed out to the end", [slow] * 3, [_range(1), _range(2)], "APITimeoutError")
    add("no retries", [down], [], "ServerError", code="service_unavailable", max_retries=0)
    add("six retries", [down] * 6 + [message], [_range(number) for number in range(1, 7)], max_retries=6)
    add("the caller's own key", [down, message], [_range(1)], key="order-1234")
    for seconds in (0, 1, 12, 60):
        header = {"Retry-After": str(seconds)}
        add(f"429 with Retry-After {seconds}", [_answer(429, limited, header), message], [[seconds, seconds + 0.5]])
    add("503 with Retry-After 2", [down | {"headers": down["headers"] | {"Retry-After": "2"}}, message], [[2, 2.5]])
    add("429 without Retry-After", [_answer(429, limited), message], [_range(1)])
    for text in ("soon", "-1", "1.5", "", "Wed, 21 Oct 2026 07:28:00 GMT"):
        add(f"429 with Retry-After {text!r}", [_answer(429, limited, {"Retry-After": text}), message], [_range(1)])
    for seconds in (61, 3600):
        answer = _answer(429, limited, {"Retry-After": str(seconds)})
        add(f"429 with Retry-After {seconds}", [answer], [], "RateLimitError", code="rate_limit_exceeded")
    add("the key is in use, then well", [_answer(409, in_use, {"Retry-After": "1"}), message], [[1, 1.5]])
    for status, type_, code in (
        (400, "invalid_request_error", "phone_number_invalid"),
        (401, "authentication_error", "api_key_invalid"),
        (402, "payment_required_error", "insufficient_credits"),
        (403, "permission_error", "scope_missing"),
        (404, "invalid_request_error", "resource_missing"),
        (409, "conflict_error", "contact_exists"),
        (409, "conflict_error", "campaign_terminal"),
        (409, "idempotency_error", "idempotency_key_reused"),
        (422, "compliance_error", "region_blocked"),
    ):
        answer = _answer(status, envelope(type_, code), {"Retry-After": "1"})
        add(f"{status} {code} is a fact", [answer], [], TYPES[type_], code=code)
    add("409 with a page in place of an error", [_answer(409, "<html>")], [], "ConflictError")
    add("505 is a fact", [_answer(505, "<html>")], [], "ServerError")
    add("a redirect is a fact", [_answer(302, "", {"Location": "https://example.com/"})], [], "APIStatusError")
    late: Json = {"deadline": 10}
    add(
        "the wait would pass the deadline",
        [_answer(429, limited, {"Retry-After": "30"})],
        [],
        "RateLimitError",
        code="rate_limit_exceeded",
        **late,
    )
    add("the wait ends before the deadline", [_answer(429, limited, {"Retry-After": "5"}), message], [[5, 5.5]], **late)
    twice = [_answer(429, limited, {"Retry-After": "6"})] * 2
    add(
        "the second wait would pass the deadline",
        twice,
        [[6, 6.5]],
        "RateLimitError",
        code="rate_limit_exceeded",
        **late,
    )
    return {"description": "Retries: what is tried again, when, and with which key.", "cases": cases}


def paging() -> Json:
    """Return the cases of iteration over pages."""
    items = [f"msg_01HYZ8K5VQAE2N0PWQ6DC9V8{number:02d}" for number in range(99, 89, -1)]

    def page(ids: list[str], has_more: bool, **query: str) -> Json:
        data = [{"id": each, "object": "message"} for each in ids]
        return {"query": query, "answer": {"object": "list", "url": "/v1/messages", "has_more": has_more, "data": data}}

    def case(name: str, args: Json, pages: list[Json], ids: list[str], **more: Any) -> Json:
        return {"name": name, "operation_id": "listMessages", "args": args, "pages": pages, "ids": ids} | more

    first, second, third = items[:3], items[3:6], items[6:7]
    three = [
        page(first, True, limit="3", status="failed"),
        page(second, True, limit="3", status="failed", starting_after=first[-1]),
        page(third, False, limit="3", status="failed", starting_after=second[-1]),
    ]
    cases = [
        case("nothing", {}, [page([], False)], []),
        case("one page", {}, [page(first, False)], first),
        case("three pages, filters kept", {"limit": 3, "status": "failed"}, three, items[:7]),
        case(
            "the limit is a page's, not the whole's",
            {"limit": 1},
            [page(first[:1], True, limit="1"), page(first[1:2], False, limit="1", starting_after=first[0])],
            first[:2],
        ),
        case("from a cursor", {"starting_after": items[2]}, [page(second, False, starting_after=items[2])], second),
        case("a page that is empty and says there is more", {}, [page([], True)], []),
        case("only what is taken is fetched", {"limit": 3}, [page(first, True, limit="3")], first[:2], take=2),
        case("exactly one page is taken", {"limit": 3}, [page(first, True, limit="3")], first, take=3),
        case(
            "to newer items",
            {"ending_before": items[6], "limit": 3},
            [
                page(items[3:6], True, ending_before=items[6], limit="3"),
                page(items[0:3], False, ending_before=items[3], limit="3"),
            ],
            [*reversed(items[3:6]), *reversed(items[0:3])],
        ),
    ]
    return {"description": "Iteration over pages.", "cases": cases}


def errors() -> Json:
    """Return the cases of errors."""
    empty = dict.fromkeys(("type", "code", "param", "required", "available", "resets_at", "existing_id", "retry_after"))
    cases: list[Json] = []

    def add(name: str, kind: str, answer: Json, **error: Any) -> None:
        expected = {"name": kind, "status": answer["status"], "request_id": REQUEST_ID} | empty | error
        call = {"operation_id": "createMessage", "args": SEND}
        cases.append({"name": name} | call | answer | {"error": expected, "never_in_text": sample_key()})

    for status, type_, code, more in (
        (400, "invalid_request_error", "phone_number_invalid", {"param": "to"}),
        (401, "authentication_error", "api_key_revoked", {}),
        (402, "payment_required_error", "insufficient_credits", {"required": 3, "available": 1}),
        (403, "permission_error", "scope_missing", {"scope": "messages:send"}),
        (404, "invalid_request_error", "resource_missing", {}),
        (409, "conflict_error", "contact_exists", {"existing_id": f"con_{ULID}", "param": "phone"}),
        (409, "idempotency_error", "idempotency_key_reused", {}),
        (422, "compliance_error", "region_blocked", {"param": "to"}),
        (
            429,
            "rate_limit_error",
            "daily_cap_reached",
            {"resets_at": "2026-05-02T00:00:00Z", "required": 1, "available": 0},
        ),
        (500, "api_error", "internal_error", {}),
        (503, "api_error", "service_unavailable", {}),
    ):
        answer = _answer(status, envelope(type_, code, **more))
        shown = {key: value for key, value in more.items() if key in empty}
        add(f"{status} {code}", TYPES[type_], answer, type=type_, code=code, message=f"What {code} says.", **shown)
    body = envelope("rate_limit_error", "rate_limit_exceeded")
    seen = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "What rate_limit_exceeded says."}
    add("Retry-After is shown", "RateLimitError", _answer(429, body, {"Retry-After": "61"}), **seen, retry_after=61)
    body = envelope("compliance_error", "moon_phase_wrong", param="to", moon="full")
    seen = {
        "type": "compliance_error",
        "code": "moon_phase_wrong",
        "param": "to",
        "message": "What moon_phase_wrong says.",
    }
    add("an unknown code", "ComplianceError", _answer(422, body), **seen)
    body = envelope("astral_error", "moon_phase_wrong")
    seen = {"type": "astral_error", "code": "moon_phase_wrong", "message": "What moon_phase_wrong says."}
    add("an unknown type", "APIStatusError", _answer(418, body), **seen)
    body = envelope("authentication_error", "api_key_invalid", message=f"There is no key {sample_key()}.")
    seen = {"type": "authentication_error", "code": "api_key_invalid", "message": "There is no key [API key]."}
    add("the service repeats the key", "AuthenticationError", _answer(401, body), **seen)
    for status in (*STATUSES, 418, 502, 505):
        kind = STATUSES.get(status, "ServerError" if status >= 500 else "APIStatusError")
        add(f"{status} with a page", kind, _answer(status, "<html>no</html>"), message=f"The server answered {status}.")
    for name, text in (
        ("JSON that is no object", "[1]"),
        ("JSON without an error", '{"detail": "no"}'),
        ("an error that is a text", '{"error": "no"}'),
        ("an error of other types", '{"error": {"type": 1, "code": [], "message": {}}}'),
        ("cut JSON", '{"error": {"type": "api_er'),
        ("nothing", ""),
    ):
        add(f"500 with {name}", "ServerError", _answer(500, text), message="The server answered 500.")
    no_id = _answer(500, "")
    del no_id["headers"]["X-Request-Id"]
    add("500 without a request id", "ServerError", no_id, message="The server answered 500.", request_id=None)
    by_status = {str(status): kind for status, kind in STATUSES.items()}
    return {"description": "Errors.", "cases": cases, "kinds": TYPES, "by_status": by_status}


def events(document: Json) -> Json:
    """Return an event of each type, and of types and fields that are not known."""
    cases: list[Json] = []

    def add(name: str, event: Json, known: bool) -> None:
        simple = {key: value for key, value in event["data"].items() if isinstance(value, str | bool | int | None)}
        case = {
            "name": name,
            "payload": json.dumps(event, ensure_ascii=False),
            "type": event["type"],
            "id": event["id"],
        }
        cases.append(case | {"known": known, "data_fields": simple})

    for type_, item in document["webhooks"].items():
        add(type_, item["post"]["requestBody"]["content"]["application/json"]["example"], known=True)
    ping = json.loads(cases[-1]["payload"])
    add(
        "a type that is not known",
        ping | {"type": "moon.rose", "data": {"id": "moo_1", "object": "moon", "phase": "full"}},
        False,
    )
    add("a field that is not known", ping | {"mood": "good", "data": ping["data"] | {"mood": "good"}}, True)
    add("a value that is not known", ping | {"data": ping["data"] | {"status": "resting"}}, True)
    return {"description": "Events.", "cases": cases}


def encodings() -> Json:
    """Return how calls are written to the wire, and which settings a client takes."""
    message, contact = f"msg_{ULID}", f"con_{ULID}"
    cases: list[Json] = []

    def add(name: str, operation_id: str, args: Json, method: str, target: str, body: Any = None) -> None:
        case = {"name": name, "operation_id": operation_id, "args": args, "method": method, "target": target}
        cases.append(case | {"body": body})

    def refuse(name: str, operation_id: str, args: Json) -> None:
        cases.append({"name": name, "operation_id": operation_id, "args": args, "error": "ConfigurationError"})

    add("only what is set is sent", "createMessage", SEND, "POST", "/v1/messages", SEND)
    full = SEND | {
        "from": "COHORTLABS",
        "variables": {"firstName": "María"},
        "metadata": {"n": 1, "ok": True, "x": None},
    }
    add("nested values and `from`", "createMessage", full, "POST", "/v1/messages", full)
    text = SEND | {"body": "Olá 👋 “ok” \\ / \n\t </script> \u2028"}
    add("text of all kinds", "createMessage", text, "POST", "/v1/messages", text)
    null = {"first_name": None, "attributes": {"tier": None}}
    add("null is not unset", "updateContact", {"id": contact} | null, "POST", f"/v1/contacts/{contact}", null)
    add("nothing set", "updateContact", {"id": contact}, "POST", f"/v1/contacts/{contact}", {})
    add(
        "false and zero are set",
        "updateWorkspace",
        {"quiet_hours": False, "low_balance_threshold": 0},
        "POST",
        "/v1/workspace",
        {"quiet_hours": False, "low_balance_threshold": 0},
    )
    add(
        "an empty list is set",
        "updateWorkspace",
        {"blocked_regions": []},
        "POST",
        "/v1/workspace",
        {"blocked_regions": []},
    )
    add("no body", "cancelMessage", {"id": message}, "POST", f"/v1/messages/{message}/cancel")
    add(
        "a boolean in the query",
        "createContact",
        {"upsert": True, "phone": "+14155550123"},
        "POST",
        "/v1/contacts?upsert=true",
        {"phone": "+14155550123"},
    )
    add(
        "a false in the query",
        "createContact",
        {"upsert": False, "phone": "+14155550123"},
        "POST",
        "/v1/contacts?upsert=false",
        {"phone": "+14155550123"},
    )
    add(
        "numbers and phones in the query",
        "listContacts",
        {"limit": 5, "phone": "+14155550123"},
        "GET",
        "/v1/contacts?limit=5&phone=%2B14155550123",
    )
    add(
        "signs in the query", "listContacts", {"q": "a&b=c d/é?#"}, "GET", "/v1/contacts?q=a%26b%3Dc%20d%2F%C3%A9%3F%23"
    )
    add(
        "an id with signs",
        "retrieveMessage",
        {"id": "msg/../x?y#z é"},
        "GET",
        "/v1/messages/msg%2F..%2Fx%3Fy%23z%20%C3%A9",
    )
    two = {"id": f"lst_{ULID}", "contact_id": contact}
    add("two ids", "removeListContact", two, "DELETE", f"/v1/lists/lst_{ULID}/contacts/{contact}")
    for name, value in (("an empty id", ""), ("an id of a dot", "."), ("an id of two dots", "..")):
        refuse(name, "retrieveMessage", {"id": value})
    times = [
        {"wire": "2026-05-01T20:00:00-04:00", "epoch": 1777680000, "offset_minutes": -240},
        {"wire": "2026-05-02T00:00:00Z", "epoch": 1777680000, "offset_minutes": 0},
        {"wire": "2026-05-02T05:30:00+05:30", "epoch": 1777680000, "offset_minutes": 330},
    ]
    good = sample_key()
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    keys: list[Json] = [
        {"key": good, "valid": True, "livemode": False},
        {"key": sample_key(True), "valid": True, "livemode": True},
        {"key": wrong, "valid": False},
        {"key": good[:-1], "valid": False},
        {"key": f" {good}", "valid": False},
        {"key": f"{good}\n", "valid": False},
        {"key": good.replace("test", "prod"), "valid": False},
        {"key": "sk_test_abc", "valid": False},
        {"key": "", "valid": False},
    ]
    base_urls = [
        {"base_url": given, "url": url}
        for given, url in (
            ("https://api.massivesms.com", "https://api.massivesms.com"),
            ("https://api.massivesms.com/", "https://api.massivesms.com"),
            ("https://sms.cohortlabs.co/edge//", "https://sms.cohortlabs.co/edge"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://localhost:8000/", "http://localhost:8000"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("http://api.massivesms.com", None),
            ("http://127.0.0.1.example.com", None),
            ("http://localhost@example.com", None),
            ("ftp://api.massivesms.com", None),
            ("api.massivesms.com", None),
            ("https://user:pass@api.massivesms.com", None),
            ("https://api.massivesms.com/?a=b", None),
            ("https://api.massivesms.com/#a", None),
        )
    ]
    headers = {
        "Authorization": "^Bearer msvs_test_[0-9A-Za-z]{36}$",
        "Accept": "^application/json$",
        "User-Agent": "^massivesms-{language}/[0-9]+\\.[0-9]+\\.[0-9]+ \\([^()]+\\)",
    }
    return {
        "description": "What calls write to the wire, and which settings a client takes.",
        "cases": cases,
        "times": times,
        "keys": keys,
        "base_urls": base_urls,
        "headers": headers,
        "key": good,
    }
