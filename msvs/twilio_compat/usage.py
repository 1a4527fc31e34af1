"""Balance and Usage: credits of a workspace, and messages over days, months and years."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from msvs.api.accounts import workspaces
from msvs.api.credits.credits import get_credits
from msvs.api.errors import InvalidRequest
from msvs.api.messages.statistics import MAX_BUCKETS, Traffic, UsagePoint, read_usage
from msvs.twilio_compat.call import API_VERSION, Call, Found
from msvs.twilio_compat.forms import MAX_PAGE, MAX_PAGE_SIZE, read_filters, read_whole

DEFAULT_PAGE_SIZE = 50
# ISO 4217's code of what is no currency: a credit is one segment.
CURRENCY = "XXX"
CATEGORIES: Mapping[str, str] = {
    "sms": "SMS",
    "sms-inbound": "Inbound SMS",
    "sms-outbound": "Outbound SMS",
    "totalprice": "Total",
}
FILTERS = ("Category", "StartDate", "EndDate", "IncludeSubaccounts")
_offset = re.compile(r"([+-]?[0-9]{1,4})days?").fullmatch
_dated = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T.*)?").fullmatch

# The first day of the period that holds a day, and of the one after it.
Step = tuple[Callable[[date], date], Callable[[date], date]]
DAYS: Step = (lambda day: day, lambda day: day + timedelta(days=1))
MONTHS: Step = (
    lambda day: day.replace(day=1),
    lambda day: (day.replace(day=1) + timedelta(days=32)).replace(day=1),
)
YEARS: Step = (lambda day: day.replace(month=1, day=1), lambda day: date(day.year + 1, 1, 1))
# What is listed by its parts, and what is one record; None is all of the time asked for.
PERIODS: Mapping[str, Step | None] = {
    "Daily": DAYS,
    "Monthly": MONTHS,
    "Yearly": YEARS,
    "AllTime": None,
    "Today": None,
    "Yesterday": None,
    "ThisMonth": None,
    "LastMonth": None,
}


async def balance(call: Call) -> Found:
    """Fetch the balance, in credits."""
    read_filters(call.query, ())
    found = await get_credits(call.ctx)
    return 200, {"account_sid": call.account_sid, "balance": str(found.balance), "currency": CURRENCY}


async def list_(call: Call, period: str | None = None) -> Found:
    """List what was sent and received, a record a category and period, the latest first; days are those of UTC."""
    query = read_filters(call.query, (*FILTERS, "PageSize", "Page", "PageToken"))
    size = read_whole(query, "PageSize", least=1, most=MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE
    number = read_whole(query, "Page", least=0, most=MAX_PAGE) or 0
    category = query.get("Category")
    if category is not None and category not in CATEGORIES:
        raise InvalidRequest(f"Category must be one of {', '.join(CATEGORIES)}.", param="Category")
    now = call.ctx.services.clock()
    days = await _days(call, query, period, now)
    edges = _edges(*days, PERIODS.get(period or ""))
    points = await read_usage(call.ctx, edges) if len(edges) > 1 else []
    spans = list(zip(edges, edges[1:], points, strict=False))[::-1]
    records = [
        _record(call, name, period, start, end, point, now)
        for start, end, point in spans
        for name in CATEGORIES
        if category in (None, name)
    ]
    return 200, _envelope(call, period, query, records, size, number)


async def _days(call: Call, query: Mapping[str, str], period: str | None, now: datetime) -> tuple[date, date]:
    """Return the first day and the day after the last."""
    today = now.astimezone(UTC).date()
    this_month, after = MONTHS[0](today), today + timedelta(days=1)
    fixed = {
        "Today": (today, after),
        "Yesterday": (today - timedelta(days=1), today),
        "ThisMonth": (this_month, after),
        "LastMonth": (MONTHS[0](this_month - timedelta(days=1)), this_month),
    }
    if period in fixed:
        return fixed[period]
    first = _day(query, "StartDate", today)
    last = _day(query, "EndDate", today)
    if first is None:
        first = (await workspaces.get_workspace(call.ctx)).created_at.astimezone(UTC).date()
        first = min(first, today if last is None else last)
    end = min(after, after if last is None else last + timedelta(days=1))
    if last is not None and last < first:
        raise InvalidRequest("EndDate must not lie before StartDate.", param="EndDate")
    return first, max(end, first)


def _day(query: Mapping[str, str], name: str, today: date) -> date | None:
    """Read a date, or one relative to today such as `-30days`, or None if it is not given."""
    text = query.get(name)
    if text is None:
        return None
    try:
        if (offset := _offset(text)) is not None:
            return today + timedelta(days=int(offset[1]))
        if (dated := _dated(text)) is not None:
            return date.fromisoformat(dated[1])
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(f"{name} must be a date such as 2026-05-01, or -30days.", param=name)


def _edges(first: date, end: date, step: Step | None) -> list[datetime]:
    """Return where each period begins, and where the last ends."""
    days = [first]
    while days[-1] < end:
        days.append(end if step is None else min(step[1](step[0](days[-1])), end))
        if len(days) > MAX_BUCKETS:
            raise InvalidRequest(f"At most {MAX_BUCKETS - 1} periods are listed at once.", param="StartDate")
    return [datetime.combine(day, time(), UTC) for day in days]


def _record(
    call: Call, category: str, period: str | None, start: datetime, end: datetime, point: UsagePoint, now: datetime
) -> dict[str, object]:
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Usage/Records"
    traffic = _traffic(category, point)
    is_total = category == "totalprice"
    return {
        "account_sid": call.account_sid,
        "api_version": API_VERSION,
        "as_of": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        "category": category,
        "count": None if is_total else str(traffic.count),
        "count_unit": "" if is_total else "messages",
        "description": CATEGORIES[category],
        "end_date": f"{end - timedelta(days=1):%Y-%m-%d}",
        "price": str(traffic.credits),
        "price_unit": CURRENCY,
        "start_date": f"{start:%Y-%m-%d}",
        "subresource_uris": {
            _snake(name): f"{path}/{name}.json?Category={category}" for name in PERIODS if name != period
        },
        "uri": f"{path}{'' if period is None else f'/{period}'}.json?Category={category}"
        f"&StartDate={start:%Y-%m-%d}&EndDate={end - timedelta(days=1):%Y-%m-%d}",
        "usage": str(traffic.credits if is_total else traffic.segments),
        "usage_unit": "" if is_total else "segments",
    }


def _traffic(category: str, point: UsagePoint) -> Traffic:
    if category == "sms-outbound":
        return point.outbound
    if category == "sms-inbound":
        return point.inbound
    both = (point.outbound, point.inbound)
    return Traffic(
        sum(each.count for each in both), sum(each.segments for each in both), sum(each.credits for each in both)
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _envelope(
    call: Call,
    period: str | None,
    query: Mapping[str, str],
    records: Sequence[dict[str, object]],
    size: int,
    number: int,
) -> dict[str, object]:
    path = f"/{API_VERSION}/Accounts/{call.account_sid}/Usage/Records{'' if period is None else f'/{period}'}.json"
    filters = [(name, query[name]) for name in FILTERS if name in query]

    def uri(page: int) -> str:
        token = [("PageToken", f"PA{page}")] if page else []
        return f"{path}?{urlencode([('PageSize', size), ('Page', page), *token, *filters])}"

    shown = records[number * size : (number + 1) * size]
    return {
        "usage_records": list(shown),
        "end": number * size + max(len(shown) - 1, 0),
        "first_page_uri": uri(0),
        "next_page_uri": uri(number + 1) if len(records) > (number + 1) * size else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1) if number else None,
        "start": number * size,
        "uri": uri(number),
    }
