"""What schemathesis needs to know of the GraphQL API to reach behind its nulls, and the check of what it answers.

Loaded into schemathesis' own environment by SCHEMATHESIS_HOOKS; nothing of msvs can be imported here.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import graphql
import schemathesis
from graphql import NameNode, ObjectFieldNode, ObjectValueNode, StringValueNode, TypeInfo, TypeInfoVisitor, Visitor
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.graphql import nodes, scalar

SCHEMA = graphql.build_schema((Path(__file__).resolve().parents[2] / "schema.graphql").read_text())
ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
IDS = re.compile(f"[a-z]{{3}}_{ULID}").findall
POOL = 30
MAX_INTEGER = 2**53
PHONES = [f"+1212{number}" for number in range(2_000_000, 2_000_040)]
PHONE_NAMES = frozenset(("to", "from", "phone"))
# What a field or argument names → the prefix of the ids that mean something there.
NOUNS = {
    "keyword": "kwd",
    "apikey": "key",
    "contact": "con",
    "list": "lst",
    "segment": "seg",
    "campaign": "cmp",
    "webhook": "whk",
    "event": "evt",
    "inbound": "inb",
    "until": "inb",
    "message": "msg",
    "suppression": "sup",
    "invitation": "inv",
    "member": "usr",
    "audit": "aud",
}
# What a valid document may be refused with: it is larger or dearer than any should be.
TOO_MUCH = frozenset(("document_too_large", "document_too_deep", "cost_too_high"))
# Faults of the service.
OURS = frozenset(("internal_error", "service_unavailable"))

made: dict[str, deque[str]] = {}
known: set[str] = set()


def _remember(text: str) -> None:
    for found in IDS(text):
        if found not in known:
            known.add(found)
            made.setdefault(found[:3], deque(maxlen=POOL)).append(found)


# What was made before the run.
_remember(os.environ.get("MSVS_CONTRACT_IDS", ""))


def _object(fields: dict[str, Any]) -> ObjectValueNode:
    return ObjectValueNode(
        fields=tuple(ObjectFieldNode(name=NameNode(value=name), value=value) for name, value in fields.items())
    )


NAMES = st.sampled_from(("field", "op", "value", "all", "any", "not", "list", "tier", "city", "first_name"))
LEAVES = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20).map(nodes.String)
    | st.sampled_from(("attributes.tier", "email", "phone", "eq", "gt", "in", "exists", "vip")).map(nodes.String)
    | st.integers(-MAX_INTEGER, MAX_INTEGER).map(nodes.Int)
    | st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float)
    | st.booleans().map(nodes.Boolean)
)
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3).map(_object), max_leaves=6)
scalar("BigInt", st.integers(-MAX_INTEGER, MAX_INTEGER).map(nodes.Int))
scalar("DateTime", st.datetimes().map(lambda at: nodes.String(f"{at.isoformat(timespec='seconds')}Z")))
scalar("JSONObject", st.dictionaries(NAMES, VALUES, max_size=4).map(_object))


class _Exchange(Visitor):
    """Puts ids that exist, three times out of four, and valid phones where such belong."""

    def __init__(self, types: TypeInfo, document: str) -> None:
        super().__init__()
        self.types = types
        self.document = document
        self.names: list[str] = [""]

    def turn(self, *texts: str) -> int:
        """A number for a place in this document: the same whenever it is sent."""
        return zlib.crc32("\n".join((self.document, *self.names, *texts)).encode("utf-8", "replace")) >> 3

    def enter_field(self, node: Any, *_: Any) -> Any:
        """Note which field it is; three times out of four it asks for a page that there can be."""
        self.names.append(node.name.value)
        given = {argument.name.value: argument for argument in node.arguments or ()}
        if given.keys() & {"first", "last"} and self.turn() % 4:
            for name in ("last", "before") if "first" in given else ("after",):
                given.pop(name, None)
            return replace(node, arguments=tuple(given.values()))
        return None

    def enter_argument(self, node: Any, *_: Any) -> None:
        """Note which argument it is."""
        self.names.append(node.name.value)

    def leave_field(self, *_: Any) -> None:
        """Forget it."""
        self.names.pop()

    enter_object_field = enter_argument
    leave_argument = leave_object_field = leave_field

    def enter_string_value(self, node: Any, *_: Any) -> Any:
        """Exchange a text, a cursor or an id."""
        return self._exchanged(node.value)

    def enter_int_value(self, node: Any, *_: Any) -> Any:
        """Exchange the size of a page, or an id that is written as a number."""
        turn = self.turn(node.value)
        if self.names[-1] in ("first", "last") and turn % 4:
            return graphql.IntValueNode(value=str(1 + turn % 100))
        return self._exchanged(node.value)

    def _exchanged(self, text: str) -> StringValueNode | None:
        kind = graphql.get_named_type(self.types.get_input_type())
        name, turn = self.names[-1], self.turn(text)
        if kind is graphql.GraphQLString and name in PHONE_NAMES and turn % 4:
            return StringValueNode(value=PHONES[turn % len(PHONES)])
        if not turn % 4 or not (kind is graphql.GraphQLID or name in ("after", "before")):
            return None
        about = " ".join(self.names).lower()
        prefix = next((each for noun, each in NOUNS.items() if noun in about), None)
        pool = sorted(known) if prefix is None else list(made.get(prefix, ()))
        return StringValueNode(value=pool[turn % len(pool)]) if pool else None


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Name resources and numbers that exist."""
    if isinstance(case.body, str):
        types = TypeInfo(SCHEMA)
        exchange = TypeInfoVisitor(types, _Exchange(types, case.body))
        case.body = graphql.print_ast(graphql.visit(graphql.parse(case.body), exchange))


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Remember what exists."""
    _remember(response.text)


@schemathesis.check
def graphql_answer(ctx: CheckContext, response: Response, case: Case) -> None:
    """Data or errors of the one shape; no fault of ours; and no refusal of a document that the schema allows."""
    assert response.status_code in (200, 400), f"status {response.status_code}"
    answer = json.loads(response.content)
    (request_id,) = response.headers["x-request-id"]
    errors = answer.get("errors", [])
    assert errors or answer["data"] is not None, "neither data nor errors"
    for error in errors:
        told = error["extensions"]
        assert {"code", "type", "requestId"} <= told.keys(), f"only {sorted(told)} in extensions"
        assert told["requestId"] == request_id, "another requestId"
        assert told["code"] not in OURS, told["code"]
    valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if valid and response.status_code == 400:
        codes = {error["extensions"]["code"] for error in errors}
        assert codes <= TOO_MUCH, f"valid by the schema, refused as {sorted(codes)}: {errors[0]['message']}"
