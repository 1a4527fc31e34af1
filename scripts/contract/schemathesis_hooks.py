"""What schemathesis needs to know of this API to reach behind its 404s, and the checks of our own.

Loaded into schemathesis' own environment by SCHEMATHESIS_HOOKS; nothing of msvs can be imported here.
"""

from __future__ import annotations

import json
import re
import unicodedata
import uuid
import zlib
from collections import deque
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response

ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
AN_ID = re.compile(f"(?:msg|cmp|con|lst|seg|evt|whk|att|inb|led)_{ULID}").fullmatch
IDS = re.compile(f"(?:msg|cmp|con|lst|seg|evt|whk|att|inb|led)_{ULID}").findall
POOL = 30
MAX_INTEGER = 2**53
PHONES = [f"+1212{number}" for number in range(2_000_000, 2_000_040)]

# Refusals of a request's form: what the document allows is never answered so.
FORM = frozenset(
    (
        "http_invalid",
        "json_invalid",
        "parameter_missing",
        "parameter_unknown",
        "parameter_invalid",
        "parameter_out_of_range",
        "id_invalid",
        "cursor_invalid",
        "events_empty",
        "event_unknown",
        "idempotency_key_invalid",
    )
)
# Rules that the document states in words and its schemas do not: bounds that move with the time of the request, at
# least one part of an audience, evidence for an opt-in, what a filter's field may be compared with, the codes of
# regions and the names of time zones, and that a contact is merged with another one.
UNSAID = re.compile(
    r"since|scheduled_at|expires_at|timezone|audience|(?:(?:contacts\[\d+\]\.)?opt_in|evidence)\.(?:source|at)|mapping\.?.*"
    r"|(?:steps\[\d+\]\.only_if\.)?filter\.?.*|goal\.?.*"
    r"|(?:blocked|enabled)_regions\[\d+\]|default_region|word|contact_id"
).fullmatch
# A body has its text or its template.
_BODY_OR_TEMPLATE = (
    r"(?:[\w.]+\[\d+\]\.)?(?:body: Missing required parameter: |template_id: Give (?:[\w.]+\[\d+\]\.)?body or )"
)
# The same of one route, where the refusal says that it is for what goes with which action, kind or connector: its
# parameter, and words of its message. No other refusal of that parameter is left unsaid.
UNSAID_OF = {
    **dict.fromkeys(("/v1/messages", "/v1/messages/preview"), re.compile(_BODY_OR_TEMPLATE).match),
    "/v1/bulk_actions": re.compile(
        r"(?:tags|target_list_id): (?:Missing required parameter|.* does not apply to )"
        r"|contact_ids: Give contact_ids, or conditions, or every"
    ).match,
    "/v1/exports": re.compile(
        r"\w+: (?:.* does not apply to exports of |Missing required parameter: campaign_id)"
    ).match,
    "/v1/lists": re.compile(r"source\.settings(?:\..*)?: |source\.mapping: Only one field can be ", re.DOTALL).match,
    "/v1/lists/{id}/source": re.compile(r"settings(?:\..*)?: |mapping: Only one field can be ", re.DOTALL).match,
    # A number is one of a webhook, whose events are read forward and are of all types.
    "/v1/events": re.compile(r"webhook_id: Name the webhook that |type: Events of a webhook ").match,
    # The evidence itself.
    "/v1/suppressions/{id}/lift": re.compile(r"source: |at: ").match,
    **dict.fromkeys(
        ("/v1/campaigns", "/v1/campaigns/{id}", "/v1/campaigns/preflight", "/v1/campaigns/preview"),
        re.compile(
            rf"{_BODY_OR_TEMPLATE}"
            r"|preflight: max_drift needs a preflight|exclude\.campaign_ids: A campaign cannot exclude "
            r"|ab_test\.variants(?:\[\d+\])?: (?:Give a share for each |The shares of the |Variants \w and )"
        ).match,
    ),
    "/v1/campaigns/{id}/launch": re.compile("preflight: max_drift needs a preflight").match,
    "/v1/campaigns/{id}/test": re.compile(r"variant: (?:The campaign has no variants|variant must be one of )").match,
    **dict.fromkeys(
        ("/v1/sequences", "/v1/sequences/{id}", "/v1/sequences/{id}/publish"),
        re.compile(
            rf"{_BODY_OR_TEMPLATE}"
            r"|steps\[\d+\]\.key: There are two steps |steps\[\d+\]\.anchor_minutes: Give wait_minutes or "
            r"|steps\[\d+\]\.only_if\.\w+: No earlier step |steps: A sequence needs a step|anchor_at: Steps count from "
        ).match,
    ),
    # One way to name the contact, and a code that the standard has; a span of time.
    "/v1/conversions": re.compile(
        r"\w+: Name the contact in one way: |currency: '[A-Za-z]{3}' is not a currency code "
    ).match,
    "/v1/conversions/totals": re.compile(r"occurred_from: occurred_from must lie at most ").match,
    "/v1/test/clock": re.compile(r"now: now (?:must lie at least an hour after|leads more than) ").match,
    "/v1/test/clock/advance": re.compile(
        r"(?:to|by_seconds): Give either to or by_seconds|to: to (?:must be later than|lies more than) "
        r"|\w+: \w+ leads more than "
    ).match,
    "/v1/sequences/{id}/enrollments": re.compile(r"anchor_at: The sequence counts from ").match,
}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

made: dict[str, deque[str]] = {}
known: set[str] = set()


def _choose(text: str, choices: Any) -> Any:
    return choices[zlib.crc32(text.encode()) % len(choices)]


def _prints(character: str) -> bool:
    """Whether a character is one of a name that is no blank."""
    blank = "\u034f\u115f\u1160\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
    return character not in blank and unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")


def _existing(value: Any) -> Any:
    """`value` with ids in it exchanged for ones that exist, three times out of four, and no control characters.

    Ids that this run has seen stay. Names are no blanks and hold no control characters, and integers are within 2^53,
    as the document says in words.
    """
    if isinstance(value, dict):
        return {CONTROL.sub("x", name): _existing(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_existing(each) for each in value]
    if isinstance(value, str) and AN_ID(value) and value not in known and zlib.crc32(value.encode()) % 4:
        pool = made.get(value[:3])
        return _choose(value, pool) if pool else value
    if isinstance(value, str) and value:
        text = CONTROL.sub(" ", value)
        return text if any(map(_prints, text)) else "x" * len(text)
    if (isinstance(value, int) or (isinstance(value, float) and value.is_integer())) and abs(value) > MAX_INTEGER:
        return MAX_INTEGER
    return value


@schemathesis.hook
def filter_case(context: HookContext, case: Case) -> bool:
    """Whether a case is tried: null and an empty list stand for no body, as clients of some languages send them."""
    return not (case.body is None or case.body == [])


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Name resources and numbers that exist, and never use an idempotency key twice."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    # A link that schemathesis found may put a list of ids where the document has one.
    parameters = {
        name: _choose(str(each), [one for one in each if AN_ID(str(one))] or ["none"])
        if isinstance(each, list)
        else each
        for name, each in (case.path_parameters or {}).items()
    }
    case.path_parameters = _existing(parameters)
    query = {name: _existing(each) for name, each in (case.query or {}).items() if not isinstance(each, list)}
    if {"starting_after", "ending_before"} <= query.keys():
        # Each may be given, both may not: the form of one parameter cannot say so.
        del query["ending_before"]
    case.query = query
    if isinstance(case.body, dict):
        body = _existing(case.body)
        for name in ("to", "phone", "from"):
            if isinstance(body.get(name), str) and re.fullmatch(r"\+[1-9][0-9]{6,14}", body[name]):
                body[name] = _choose(body[name], PHONES)
        case.body = body
    for name in case.headers or {}:
        if name.lower() == "idempotency-key" and case.headers[name]:
            case.headers[name] = uuid.uuid4().hex


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Remember what exists."""
    if response.status_code in (200, 201):
        for found in IDS(response.text):
            if found not in known:
                known.add(found)
                made.setdefault(found[:3], deque(maxlen=POOL)).append(found)


def _error(response: Response) -> dict[str, Any] | None:
    try:
        error = json.loads(response.content)["error"]
    except (ValueError, KeyError, TypeError):
        return None
    return error if isinstance(error, dict) else None


def _header(response: Response, name: str) -> str | None:
    values = response.headers.get(name)
    return values[0] if values else None


@schemathesis.check
def error_envelope(ctx: CheckContext, response: Response, case: Case) -> None:
    """Every failure has the one shape, with the request id of its header."""
    request_id = _header(response, "x-request-id")
    assert request_id is not None, "no X-Request-Id"
    assert re.fullmatch(f"req_{ULID}", request_id), f"X-Request-Id is {request_id!r}"
    if response.status_code >= 400 and case.operation.method != "head":
        error = _error(response)
        assert error is not None, "not the error envelope"
        assert error.get("request_id") == request_id, "another request_id in the body"
        assert {"type", "code", "message", "doc_url"} <= error.keys(), f"only {sorted(error)} in the error"


@schemathesis.check
def form_is_accepted(ctx: CheckContext, response: Response, case: Case) -> None:
    """What the document allows is not refused for its form; it may be for its meaning."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if response.status_code in (400, 413, 415):
        error = _error(response) or {}
        param = str(error.get("param", ""))
        unsaid, told = UNSAID_OF.get(case.operation.path), f"{param}: {error.get('message')}"
        assert error.get("code") not in FORM or UNSAID(param) or (unsaid is not None and unsaid(told)), (
            f"valid by the document, refused as {error.get('code')}: {error.get('message')}"
        )


@schemathesis.check
def rate_headers(ctx: CheckContext, response: Response, case: Case) -> None:
    """The three X-RateLimit headers stand on every answer to a known caller."""
    known_caller = response.status_code not in (401, 405, 408, 431) and response.status_code < 500
    error = _error(response) or {}
    if not known_caller or error.get("code") in ("route_unknown", "http_invalid"):
        return
    missing = [
        name
        for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
        if not re.fullmatch("[0-9]+", _header(response, name.lower()) or "")
    ]
    assert not missing, f"no {', '.join(missing)}"
