"""Public ids: a prefix and 26 Crockford characters of a UUIDv7, so ids sort by time and serve as cursors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs import present
from msvs.api.errors import ErrorCode, InvalidRequest, NotFound
from msvs.new_ids import new_id

__all__ = [
    "decode_id",
    "encode_id",
    "find_id",
    "floor_of_ids",
    "id_after",
    "id_at",
    "id_before",
    "id_from",
    "id_since",
    "id_time",
    "missing",
    "new_id",
    "read_id",
]

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 26
CLOCK_SKEW = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
# The last millisecond that an id can name.
LAST_MILLISECOND = (1 << 48) - 1
# Nothing that is looked for by the time of its id is older.
OLDEST = timedelta(days=400)

MESSAGE = "msg"
CAMPAIGN = "cmp"
PREFLIGHT = "pfl"
TEST_CLOCK = "clk"
SEQUENCE = "seq"
ENROLLMENT = "enr"
TEMPLATE = "tpl"
SNIPPET = "snp"
CONVERSION = "cnv"
ORDER_HOOK = "ohk"
CONTACT = "con"
CONTACT_LIST = "lst"
TAG = "tag"
BULK_ACTION = "blk"
SEGMENT = "seg"
EVENT = "evt"
REQUEST = "req"
WEBHOOK = "whk"
ATTEMPT = "att"
LEDGER_ENTRY = "led"
API_KEY = "key"
WORKSPACE = "wsp"
USER = "usr"
IMPORT = "imp"
EXPORT = "exp"
LIST_SYNC = "syn"
INBOUND = "inb"
KEYWORD = "kwd"
SENDER = "snd"
ROUTE = "rte"

_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_TRIPLES = [pair + c for pair in _PAIRS for c in ALPHABET]
# Crockford's characters as int() takes those of base 32; any other as one that it refuses.
_TO_INT = dict.fromkeys(range(128), "!") | dict(
    zip(map(ord, ALPHABET), "0123456789abcdefghijklmnopqrstuv", strict=True)
)


def encode_id(prefix: str, value: UUID) -> str:
    """`prefix` and the 26 Crockford characters of `value`, such as `msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP`."""
    return f"{prefix}_{encode_bare(value.int)}"


def encode_bare(n: int) -> str:
    """Encode the 26 Crockford characters of an id, given as the number it is, without a prefix."""
    # Written out, in numbers that are cheap to shift: every message, contact and event of a campaign passes here.
    t = _TRIPLES
    high, middle, low = n >> 75, n >> 30 & 0x1FFFFFFFFFFF, n & 0x3FFFFFFF
    return (
        f"{_PAIRS[high >> 45]}{t[high >> 30 & 32767]}{t[high >> 15 & 32767]}{t[high & 32767]}{t[middle >> 30]}"
        f"{t[middle >> 15 & 32767]}{t[middle & 32767]}{t[low >> 15]}{t[low & 32767]}"
    )


def decode_id(prefix: str, text: str) -> UUID | None:
    """Decode the UUID behind a public id, or None if `text` is not an id of this prefix."""
    head = f"{prefix}_"
    if not text.startswith(head):
        return None
    body = text[len(head) :]
    if len(body) != LENGTH or body[0] > "7":
        return None
    try:
        return UUID(int=int(body.translate(_TO_INT), 32)) if body.isascii() else None
    except ValueError:
        return None


def find_id(prefix: str, text: str, noun: str, *, param: str = "id") -> UUID:
    """Find the UUID of a resource named in a path, as `param`.

    Raises NotFound, as for an id that was never given out.
    """
    value = decode_id(prefix, text)
    if value is None:
        raise missing(noun, text, param=param)
    return value


def read_id(prefix: str, text: str, param: str) -> UUID:
    """Read the UUID of a resource named in a parameter. Raises InvalidRequest with `param`."""
    value = decode_id(prefix, text)
    if value is None:
        raise InvalidRequest(
            f"'{text[:80]}' is not an id of the form {prefix}_….", param=param, code=ErrorCode.ID_INVALID
        )
    return value


def read_optional_id(prefix: str, text: str | None, param: str) -> UUID | None:
    """Read the UUID of an optional parameter that names a resource. Raises InvalidRequest with `param`."""
    return None if text is None else read_id(prefix, text, param)


def missing(noun: str, text: str, *, param: str = "id") -> NotFound:
    """Return the error for a resource that is not there, or not the caller's."""
    return NotFound(f"No such {noun}: '{text[:80]}'.", param=param)


def id_after(time: datetime) -> UUID:
    """Return what lies above every UUIDv7 made by this time, with a minute for clocks that differ."""
    return id_at(time, after=CLOCK_SKEW)


def id_before(time: datetime) -> UUID:
    """Return what lies below every UUIDv7 made from this time on, with a minute for clocks that differ.

    Ids are made by the real time. In a sandbox with a clock, whose times run ahead of it, that is below all ids.
    """
    return id_from(time, before=CLOCK_SKEW)


def id_from(time: datetime, *, before: timedelta = timedelta(0)) -> UUID:
    """Return the lowest id that can be made from a while before this time on; in a sandbox with a clock, the lowest."""
    return UUID(int=0) if present.moment() is not None else id_at(time, after=-before)


class MadeRow(Protocol):
    """A row with the time at which it was made."""

    @property
    def id(self) -> UUID:
        """The id."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        ...


def id_since(time: datetime, row: MadeRow) -> UUID:
    """Return the lowest id that can be made from a time on, of what is made after a row.

    A time of a sandbox's clock tells nothing of ids, also when the clock is gone: what is made after the row lies above
    its own id.
    """
    made_at = id_time(row.id)
    is_ahead = row.created_at > made_at + CLOCK_SKEW or time > present.real()
    return id_at(made_at, after=-CLOCK_SKEW) if is_ahead or present.moment() is not None else id_at(time)


def floor_of_ids() -> datetime | None:
    """Return the latest time of which a statement may take the lowest id; None where any time will do.

    In a sandbox with a clock no id that is kept was made at it.
    """
    return None if present.moment() is None else present.real() - OLDEST


def id_at(time: datetime, *, after: timedelta = timedelta(0)) -> UUID:
    """Return the lowest id that can be made at a time, or so long after it: the real time, by which ids are made."""
    return UUID(int=min(max((time - EPOCH + after) // MILLISECOND, 0), LAST_MILLISECOND) << 80)


def id_time(value: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
