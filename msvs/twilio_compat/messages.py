"""/Messages: the operations on messages in Twilio's terms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.messages import messages
from msvs.api.pages import MAX_LIMIT, Page, PageRequest
from msvs.models import Message, MessageStatus
from msvs.twilio_compat.call import API_VERSION, Call, Found
from msvs.twilio_compat.errors import NotCancelable
from msvs.twilio_compat.forms import (
    MAX_PAGE,
    MAX_PAGE_SIZE,
    check_names,
    read_day,
    read_filters,
    read_time,
    read_whole,
)
from msvs.twilio_compat.resources import message_resource
from msvs.twilio_compat.sids import MESSAGE, decode_sid, encode_sid, find_message_id

# Twilio's own limit, in seconds.
MAX_VALIDITY = 36_000
DEFAULT_PAGE_SIZE = 50
MAX_ID = 2**128 - 1
# What a page token begins with: the page after a message, or the page before it.
AFTER, BEFORE = "PA", "PB"

CREATE = ("To", "From", "Body", "ScheduleType", "SendAt", "ValidityPeriod")
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")

# Parameters that change nothing while they ask for what is done anyway: any value, or one of these.
IMPLIED: Mapping[str, tuple[str, ...] | None] = {
    "AddressRetention": ("retain",),
    "Attempt": None,
    "ContentRetention": ("retain",),
    "MessageIntent": None,
    "ProvideFeedback": ("false",),
    "RiskCheck": ("enable", "disable"),
    "SendAsMms": ("false",),
    "ShortenUrls": ("false",),
    "SmartEncoded": ("false",),
}
# What Twilio does and we do not → what to do instead.
REFUSED: Mapping[str, str] = {
    "ApplicationSid": "there are no applications; register a webhook with POST /v1/webhooks",
    "ContentSid": "there are no content templates; send Body",
    "ContentVariables": "there are no content templates; send Body",
    "FallbackFrom": "there is one sender a message; send From",
    "ForceDelivery": "every message is delivered as any other; leave it out",
    "MaxPrice": "messages are paid in credits, one a segment; leave it out",
    "MediaUrl": "messages are SMS alone; send Body",
    "MessagingServiceSid": "there are no messaging services; send From, or leave it out for the workspace's sender",
    "PersistentAction": "messages are SMS alone; send Body",
    "StatusCallback": (
        "a callback would have to be signed with your auth token, which is kept only as a hash; register a webhook"
        " with POST /v1/webhooks instead, which is told of every message's status"
    ),
    "TrafficType": "all traffic is the same; leave it out",
}


async def create(call: Call) -> Found:
    """Send a message, now or at a fixed time."""
    form = {name: text for name, text in call.form.items() if text}
    _check_supported(form)
    for name in ("To", "Body"):
        if name not in form:
            raise InvalidRequest(f"Missing required parameter: {name}.", code=ErrorCode.PARAMETER_MISSING, param=name)
    send_at = _send_at(form)
    validity = read_whole(form, "ValidityPeriod", least=1, most=MAX_VALIDITY)
    expires_at = None
    if validity is not None:
        now = datetime.now(UTC)
        # A SendAt too far ahead is refused by the operation, regardless of the validity.
        expires_at = min(max(send_at or now, now), now + messages.MAX_AHEAD) + timedelta(seconds=validity)
    data = messages.SendLiteral(
        to=form["To"],
        body=form["Body"],
        from_=form.get("From"),
        scheduled_at=send_at,
        expires_at=expires_at,
    )
    return 201, message_resource(await messages.send_message(call.ctx, data), call.account_sid)


async def fetch(call: Call) -> Found:
    """Fetch a message."""
    check_names(call.query, ())
    row = await messages.get_message(call.ctx, find_message_id(call.path["sid"]))
    return 200, message_resource(row, call.account_sid)


async def update(call: Call) -> Found:
    """Cancel a message that has not left."""
    id = find_message_id(call.path["sid"])
    check_names(call.form, ("Status", "Body"))
    if "Body" in call.form:
        raise InvalidRequest(
            "The text of a message is part of the record of what was sent: it is neither changed nor redacted.",
            param="Body",
        )
    if "Status" not in call.form:
        raise InvalidRequest("Missing required parameter: Status.", code=ErrorCode.PARAMETER_MISSING, param="Status")
    if call.form["Status"] != "canceled":
        raise InvalidRequest("Status must be canceled.", param="Status")
    row = await messages.cancel_message(call.ctx, id)
    if row.status != MessageStatus.CANCELED:
        raise NotCancelable("This message cannot be canceled: a carrier may have it already.", param="Status")
    return 200, message_resource(row, call.account_sid)


async def list_(call: Call) -> Found:
    """List messages, newest first, in pages of at most 100."""
    query = read_filters(call.query, (*FILTERS, "PageSize", "Page", "PageToken"))
    size = min(read_whole(query, "PageSize", least=1, most=MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE, MAX_LIMIT)
    number = read_whole(query, "Page", least=0, most=MAX_PAGE) or 0
    after, before = _read_token(query.get("PageToken"))
    until, since = read_day(query, "DateSent<"), read_day(query, "DateSent>")
    on = read_day(query, "DateSent", is_whole=True)
    request = PageRequest(size, after, before)
    page = await messages.list_messages(
        call.ctx,
        request,
        to=query.get("To"),
        sender=query.get("From"),
        sent_from=max((span[0] for span in (on, since) if span is not None), default=None),
        sent_before=min((span[1] for span in (on, until) if span is not None), default=None),
    )
    return 200, _envelope(call, page, request, number=number)


async def list_media(call: Call) -> Found:
    """List the media of a message: an SMS has none."""
    read_filters(call.query, ("PageSize", "Page"))
    id = (await messages.get_message(call.ctx, find_message_id(call.path["sid"]))).id
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Messages/{encode_sid(MESSAGE, id)}/Media.json"
    return 200, {
        "media_list": [],
        "end": 0,
        "first_page_uri": path,
        "next_page_uri": None,
        "page": 0,
        "page_size": DEFAULT_PAGE_SIZE,
        "previous_page_uri": None,
        "start": 0,
        "uri": path,
    }


def _check_supported(form: Mapping[str, str]) -> None:
    for name, text in form.items():
        if name in REFUSED:
            raise InvalidRequest(
                f"{name} is not supported: {REFUSED[name]}.", code=ErrorCode.PARAMETER_UNKNOWN, param=name
            )
        if name in IMPLIED:
            allowed = IMPLIED[name]
            if allowed is not None and text not in allowed:
                raise InvalidRequest(f"{name} is not supported but as {' or '.join(allowed)}.", param=name)
    check_names(form, (*CREATE, *IMPLIED))


def _send_at(form: Mapping[str, str]) -> datetime | None:
    """Return when to send. Sending at once what was meant for later is the one mistake that cannot be taken back."""
    kind = form.get("ScheduleType")
    if kind is None and "SendAt" not in form:
        return None
    if kind != "fixed":
        raise InvalidRequest("ScheduleType must be fixed, and SendAt the time.", param="ScheduleType")
    send_at = read_time(form, "SendAt")
    if send_at is None:
        raise InvalidRequest("Missing required parameter: SendAt.", code=ErrorCode.PARAMETER_MISSING, param="SendAt")
    return send_at


def _read_token(token: str | None) -> tuple[UUID | None, UUID | None]:
    """Read the message after which a page begins, or that before which it ends."""
    if token is None:
        return None, None
    kind, id = token[:2], decode_sid(MESSAGE, token[2:])
    if id is None or kind not in (AFTER, BEFORE):
        raise InvalidRequest("PageToken is not one that a page gave.", param="PageToken", code=ErrorCode.CURSOR_INVALID)
    return (id, None) if kind == AFTER else (None, id)


def _envelope(call: Call, page: Page[Message], request: PageRequest, *, number: int) -> dict[str, object]:
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Messages.json"
    filters = [(name, call.query[name]) for name in FILTERS if call.query.get(name)]
    size, token = request.limit, call.query.get("PageToken")

    def uri(page_number: int, token: str | None) -> str:
        place = [("PageSize", str(size)), ("Page", str(page_number))]
        return f"{path}?{urlencode([*filters, *place, *([('PageToken', token)] if token else [])])}"

    rows = page.items
    before, after = _neighbors(page, request)
    return {
        "messages": [message_resource(row, call.account_sid) for row in rows],
        "end": number * size + max(len(rows) - 1, 0),
        "first_page_uri": uri(0, None),
        "next_page_uri": None if after is None else uri(number + 1, f"{AFTER}{encode_sid(MESSAGE, after)}"),
        "page": number,
        "page_size": size,
        "previous_page_uri": (
            None if before is None else uri(max(number - 1, 0), f"{BEFORE}{encode_sid(MESSAGE, before)}")
        ),
        "start": number * size,
        "uri": uri(number, token),
    }


def _neighbors(page: Page[Message], request: PageRequest) -> tuple[UUID | None, UUID | None]:
    """Return what the page before begins below, and what the page after begins behind, or None where there is none.

    A page that was not looked for to its end may be without rows, and has its neighbors all the same.
    """
    ids = [row.id for row in page.items]
    if request.ending_before is not None:
        # That message itself is on the page after.
        after = ids[-1] if ids else UUID(int=min(request.ending_before.int + 1, MAX_ID))
        before = (page.reached or ids[0]) if page.has_more else None
        return before, after
    following = (page.reached or ids[-1]) if page.has_more else None
    if request.starting_after is None:
        return None, following
    return ids[0] if ids else UUID(int=max(request.starting_after.int - 1, 0)), following
