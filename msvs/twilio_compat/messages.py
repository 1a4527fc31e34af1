"""/Messages: the operations on messages in Twilio's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from msvs.api.errors import ErrorCode, InvalidRequest, NotFound
from msvs.api.messages import messages
from msvs.api.pages import MAX_LIMIT, Page, PageRequest
from msvs.api.privacy.redaction import delete_message, redact_message
from msvs.api.resources import MessageView
from msvs.api.scope import scoped
from msvs.api.webhooks.status_callbacks import read_callback_url, register
from msvs.models import Message, MessageStatus, TwilioMessage
from msvs.twilio_compat.call import API_VERSION, Call, Found
from msvs.twilio_compat.errors import Numbered
from msvs.twilio_compat.forms import (
    MAX_PAGE,
    MAX_PAGE_SIZE,
    check_names,
    read_day,
    read_filters,
    read_time,
    read_whole,
)
from msvs.twilio_compat.magic import check_magic_numbers
from msvs.twilio_compat.resources import message_resource
from msvs.twilio_compat.sids import MESSAGE, SERVICE, decode_sid, encode_sid, find_message_id

# Twilio's own limit, in seconds.
MAX_VALIDITY = 36_000
DEFAULT_PAGE_SIZE = 50
MAX_ID = 2**128 - 1
# What a page token begins with: the page after a message, or the page before it.
AFTER, BEFORE = "PA", "PB"

CREATE = (
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "StatusCallback",
    "ScheduleType",
    "SendAt",
    "ValidityPeriod",
)
# What is kept beside the message.
KEPT = ("MessagingServiceSid", "StatusCallback")
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
    "MaxPrice": "messages are paid in credits by the segment; leave it out",
    "MediaUrl": "messages are SMS alone; send Body",
    "PersistentAction": "messages are SMS alone; send Body",
    "TrafficType": "all traffic is the same; leave it out",
}


async def create(call: Call) -> Found:
    """Send a message, now or at a fixed time."""
    form = {name: text for name, text in call.form.items() if text}
    _check_supported(form)
    for name in ("To", "Body"):
        if name not in form:
            raise InvalidRequest(f"Missing required parameter: {name}.", code=ErrorCode.PARAMETER_MISSING, param=name)
    service_sid = _service_sid(form)
    callback = read_callback_url(call.ctx, form["StatusCallback"]) if "StatusCallback" in form else None
    if not call.ctx.livemode:
        check_magic_numbers(form)
    send_at = _send_at(form)
    validity = read_whole(form, "ValidityPeriod", least=1, most=MAX_VALIDITY)
    expires_at = None
    if validity is not None:
        now = call.ctx.services.clock()
        # A SendAt too far ahead is refused by the operation, regardless of the validity.
        expires_at = min(max(send_at or now, now), now + messages.MAX_AHEAD) + timedelta(seconds=validity)
    data = messages.SendLiteral(
        to=form["To"],
        body=form["Body"],
        from_=form.get("From"),
        scheduled_at=send_at,
        expires_at=expires_at,
    )
    message = await messages.send_message(call.ctx, data)
    if callback is not None or service_sid is not None:
        await register(call.ctx, message, call.account_sid, call.token, callback, service_sid)
    return 201, message_resource(message, call.account_sid, service_sid=service_sid)


async def fetch(call: Call) -> Found:
    """Fetch a message."""
    check_names(call.query, ())
    id = find_message_id(call.path["sid"])
    row = await messages.get_message(call.ctx, id)
    kept = await _kept(call, [id])
    return 200, _shown(call, row, kept)


async def update(call: Call) -> Found:
    """Cancel a message that has not left, or forget the text of one that has."""
    id = find_message_id(call.path["sid"])
    check_names(call.form, ("Status", "Body"))
    kept = await _kept(call, [id])
    if "Body" in call.form:
        if call.form["Body"]:
            raise InvalidRequest("The text of a message is not changed: Body may only be empty.", param="Body")
        if call.form.get("Status"):
            raise InvalidRequest("Give Status or Body, not both.", param="Status")
        return 200, _shown(call, await redact_message(call.ctx, id), kept)
    if "Status" not in call.form:
        raise InvalidRequest("Missing required parameter: Status.", code=ErrorCode.PARAMETER_MISSING, param="Status")
    if call.form["Status"] != "canceled":
        raise InvalidRequest("Status must be canceled.", param="Status")
    row = await messages.cancel_message(call.ctx, id)
    if row.status != MessageStatus.CANCELED:
        raise Numbered("This message cannot be canceled: a carrier may have it already.", 30409, param="Status")
    return 200, _shown(call, row, kept)


async def delete(call: Call) -> Found:
    """Delete a message: its text is forgotten, and it is shown here no more."""
    check_names(call.query, ())
    id = find_message_id(call.path["sid"])
    await _kept(call, [id])
    await delete_message(call.ctx, id)
    return 204, None


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
    kept = await _kept(call, [row.id for row in page.items], deleted=True)
    return 200, _envelope(call, page, request, kept, number=number)


async def list_media(call: Call) -> Found:
    """List the media of a message: an SMS has none."""
    read_filters(call.query, ("PageSize", "Page"))
    id = (await messages.get_message(call.ctx, find_message_id(call.path["sid"]))).id
    await _kept(call, [id])
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


async def _kept(call: Call, ids: Sequence[UUID], *, deleted: bool = False) -> dict[UUID, TwilioMessage]:
    """Find what is kept beside messages, by their ids. Raises NotFound for a deleted one, unless they are wanted."""
    rows = await scoped(call.ctx, TwilioMessage).filter(message_id__in=list(ids))
    if not deleted and any(row.deleted_at is not None for row in rows):
        raise NotFound("This message was deleted.", param="Sid")
    return {row.message_id: row for row in rows}


def _shown(call: Call, row: MessageView, kept: Mapping[UUID, TwilioMessage]) -> dict[str, object]:
    service_sid = kept[row.id].service_sid if row.id in kept else None
    return message_resource(row, call.account_sid, service_sid=service_sid)


def _service_sid(form: Mapping[str, str]) -> str | None:
    """Return the messaging service that a form names: each stands for the workspace's senders."""
    text = form.get("MessagingServiceSid")
    if text is not None and decode_sid(SERVICE, text) is None:
        raise InvalidRequest(
            "No such messaging service: its Sid is MG and 32 hexadecimal digits.",
            param="MessagingServiceSid",
            code=ErrorCode.ID_INVALID,
        )
    return text


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
        raise InvalidRequest("PageToken is not valid.", param="PageToken", code=ErrorCode.CURSOR_INVALID)
    return (id, None) if kind == AFTER else (None, id)


def _envelope(
    call: Call, page: Page[Message], request: PageRequest, kept: Mapping[UUID, TwilioMessage], *, number: int
) -> dict[str, object]:
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Messages.json"
    filters = [(name, call.query[name]) for name in FILTERS if call.query.get(name)]
    size, token = request.limit, call.query.get("PageToken")

    def uri(page_number: int, token: str | None) -> str:
        place = [("PageSize", str(size)), ("Page", str(page_number))]
        return f"{path}?{urlencode([*filters, *place, *([('PageToken', token)] if token else [])])}"

    rows = [row for row in page.items if row.id not in kept or kept[row.id].deleted_at is None]
    before, after = _neighbors(page, request)
    return {
        "messages": [_shown(call, row, kept) for row in rows],
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
    """Return what the page before begins below, and what the page after begins behind, or None if there is none.

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
