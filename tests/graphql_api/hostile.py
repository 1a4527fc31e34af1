"""Requests that mean harm, as data: what is sent, and the status and code it is refused with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

JSON_TYPE = {"content-type": "application/json"}


@dataclass(frozen=True)
class Hostile:
    """A request that must be refused; `headers` and `method` where they are not those of an operation."""

    name: str
    body: bytes
    status: int
    code: str
    method: str = "POST"
    path: str = "/graphql"
    headers: dict[str, str] = field(default_factory=lambda: JSON_TYPE)


def of(query: str, **more: object) -> bytes:
    """The body of an operation."""
    return json.dumps({"query": query, **more}).encode()


def six_levels() -> str:
    """Six lists in each other, ten items each: 1,111,110 nodes."""
    text = "id"
    for name in ("members", "lists") * 2 + ("members",):
        text = f"{name}(first: 10) {{ nodes {{ {text} }} }}"
    return f"{{ contactLists(first: 10) {{ nodes {{ {text} }} }} }}"


CHAIN = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(18))
WIDE = " ".join(f"f{n}" for n in range(350))
FOURS = "contacts(first: 100) { nodes { messages(first: 100) { nodes { id } } lists(first: 100) { nodes { id } } } }"

HOSTILE = (
    Hostile(
        "deep",
        of("{ contacts " + "{ nodes { messages " * 8 + "{ totalCount " + "} } " * 8 + "} }"),
        400,
        "document_too_deep",
    ),
    Hostile("deeper than the stack", of("{ a" * 900 + " }" * 900), 400, "document_invalid"),
    Hostile("nested values", of("{ segmentPreview(filter: " + "[" * 900 + "]" * 900 + ") }"), 400, "document_invalid"),
    Hostile("wide: one field", of("{ " + "viewer { livemode } " * 400 + "}"), 400, "document_too_large"),
    Hostile("wide: unknown fields", of("{ " + WIDE + " }"), 400, "document_invalid"),
    Hostile(
        "aliases",
        of("{ " + " ".join(f"a{n}: viewer {{ livemode }}" for n in range(300)) + " }"),
        400,
        "document_too_large",
    ),
    Hostile(
        "one response name, many fields", of("{ " + "x: viewer { livemode } " * 45 + "}"), 400, "document_too_large"
    ),
    Hostile("directives", of("{ viewer " + "@include(if: true) " * 100 + "{ livemode } }"), 400, "document_too_large"),
    Hostile("unknown directives", of("{ viewer " + "@a " * 900 + "{ livemode } }"), 400, "document_too_large"),
    Hostile(
        "circular fragments",
        of("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"),
        400,
        "fragment_cycle",
    ),
    Hostile("fragment of itself", of("{ ...A } fragment A on Query { viewer { ...A } }"), 400, "fragment_cycle"),
    Hostile(
        "fragments that double",
        of("{ ...F0 } " + CHAIN + " fragment F18 on Query { " + FOURS + " }"),
        400,
        "cost_too_high",
    ),
    Hostile(
        "many fragments",
        of("{ viewer { livemode } } " + "".join(f"fragment F{n} on Viewer {{ livemode }} " for n in range(200))),
        400,
        "document_too_large",
    ),
    Hostile(
        "many spreads",
        of("{ viewer { " + "...F " * 600 + "} } fragment F on Viewer { livemode }"),
        400,
        "document_too_large",
    ),
    Hostile(
        "many operations",
        of("".join(f"query Q{n} {{ viewer {{ livemode }} }} " for n in range(200))),
        400,
        "document_too_large",
    ),
    Hostile("six levels", of(six_levels()), 400, "document_too_deep"),
    Hostile(
        "three levels of 100",
        of(
            "{ contactLists(first: 100) { nodes { members(first: 100) {"
            " nodes { lists(first: 100) { nodes { id } } } } } } }"
        ),
        400,
        "cost_too_high",
    ),
    Hostile(
        "pages sized by variables",
        of(
            "query ($n: Int) { contactLists(first: $n) { nodes { members(first: $n) { nodes { id } } } } }",
            variables={"n": 100},
        ),
        400,
        "cost_too_high",
    ),
    Hostile(
        "pages sized by defaults",
        of("query ($n: Int = 100) { contactLists(first: $n) { nodes { members(first: $n) { nodes { id } } } } }"),
        400,
        "cost_too_high",
    ),
    Hostile(
        "pages sized by whole floats",
        of(
            "query ($n: Int) { contactLists(first: $n) { nodes { members(first: $n) { nodes {"
            " lists(first: $n) { nodes { id } } } } } } }",
            variables={"n": 100.0},
        ),
        400,
        "cost_too_high",
    ),
    Hostile(
        "a year of hours, many times over",
        of(
            "query ($t: DateTime!) { "
            + " ".join(
                f'a{n}: activity(interval: HOUR, since: "2026-01-01T00:00:00Z", until: $t) {{ credits }}'
                for n in range(12)
            )
            + " }",
            variables={"t": "2027-01-01T00:00:00Z"},
        ),
        400,
        "cost_too_high",
    ),
    Hostile(
        "counts in lists",
        of(
            "{ contacts(first: 100) { nodes { messages(first: 1) { totalCount } lists(first: 1) { totalCount } } }"
            " segments(first: 100) { nodes { contactCount } }"
            " a: contacts(first: 100) { nodes { messages(first: 100) { totalCount nodes { id } } } } }"
        ),
        400,
        "cost_too_high",
    ),
    Hostile("100,000 tokens", of("{ " + "a " * 30_000 + "}"), 400, "document_invalid"),
    Hostile("a document of 100 KB", of("{ " + "a " * 50_000 + "}"), 413, "document_too_large"),
    Hostile(
        "a body of 1 MB", of("{ viewer { livemode } }", variables={"x": "x" * 1_000_000}), 413, "request_too_large"
    ),
    Hostile(
        "introspection nested",
        of("{ __schema { types { " + "fields { type { " * 20 + "name " + "} } " * 20 + "} } }"),
        400,
        "document_invalid",
    ),
    Hostile("a batch", b"[" + of("{ viewer { livemode } }") + b"]", 400, "batch_refused"),
    Hostile("an empty batch", b"[]", 400, "batch_refused"),
    Hostile("no body", b"", 400, "json_invalid"),
    Hostile("a string", b'"{ viewer { livemode } }"', 400, "json_invalid"),
    Hostile("null", b"null", 400, "json_invalid"),
    Hostile("half an object", b'{"query": "{ viewer', 400, "json_invalid"),
    Hostile("bad UTF-8", b'{"query": "\xff\xfe"}', 400, "json_invalid"),
    Hostile("an overlong NUL", b'{"query": "\xc0\x80"}', 400, "json_invalid"),
    Hostile("UTF-16", '{"query": "{ viewer { livemode } }"}'.encode("utf-16"), 400, "json_invalid"),
    Hostile("a byte order mark", b"\xef\xbb\xbf" + of("{ viewer { livemode } }"), 400, "json_invalid"),
    Hostile("half a surrogate pair", b'{"query": "\\ud800"}', 400, "json_invalid"),
    Hostile("NUL in JSON", b'{"query": "{ a }\\u0000"}', 400, "json_invalid"),
    Hostile("NUL in a literal", of('{ contacts(filter: {q: "\\u0000"}) { nodes { id } } }'), 400, "document_invalid"),
    Hostile(
        "half a pair in a literal", of('{ contacts(filter: {q: "\\ud800"}) { nodes { id } } }'), 400, "document_invalid"
    ),
    Hostile("duplicate keys", b'{"query": "{ viewer { livemode } }", "query": "{ a }"}', 400, "json_invalid"),
    Hostile("NaN", b'{"query": "{ viewer { livemode } }", "variables": {"x": NaN}}', 400, "json_invalid"),
    Hostile("a huge number", b'{"query": "{ viewer { livemode } }", "variables": {"x": 1e999}}', 400, "json_invalid"),
    Hostile("a huge integer", b'{"query": "{ a }", "variables": {"x": ' + b"9" * 5000 + b"}}", 400, "json_invalid"),
    Hostile(
        "deep JSON",
        b'{"query": "{ a }", "variables": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        400,
        "json_invalid",
    ),
    Hostile("deep arrays", b"[" * 50_000, 400, "json_invalid"),
    Hostile("no query", b"{}", 400, "parameter_missing"),
    Hostile("query of null", b'{"query": null}', 400, "parameter_missing"),
    Hostile("query of a number", b'{"query": 1}', 400, "parameter_invalid"),
    Hostile("an empty query", of(""), 400, "document_invalid"),
    Hostile("a comment alone", of("# nothing"), 400, "document_invalid"),
    Hostile("a fragment alone", of("fragment F on Viewer { livemode }"), 400, "document_invalid"),
    Hostile("a type definition", of("type Query { a: Int }"), 400, "document_invalid"),
    Hostile("a subscription", of("subscription { a }"), 400, "document_invalid"),
    Hostile("variables of an array", of("{ viewer { livemode } }", variables=[1]), 400, "parameter_invalid"),
    Hostile("variables of a string", of("{ viewer { livemode } }", variables="{}"), 400, "parameter_invalid"),
    Hostile("a name of a number", of("{ viewer { livemode } }", operationName=1), 400, "parameter_invalid"),
    Hostile("an unknown name", of("query A { viewer { livemode } }", operationName="B"), 400, "document_invalid"),
    Hostile(
        "no name for two",
        of("query A { viewer { livemode } } query B { viewer { livemode } }"),
        400,
        "document_invalid",
    ),
    Hostile("an unknown parameter", of("{ viewer { livemode } }", documentId="x"), 400, "parameter_unknown"),
    Hostile("a variable missing", of("query ($id: ID!) { node(id: $id) { id } }"), 400, "variables_invalid"),
    Hostile(
        "a variable of another type",
        of("query ($id: ID!) { node(id: $id) { id } }", variables={"id": {"a": 1}}),
        400,
        "variables_invalid",
    ),
    Hostile(
        "a naive time",
        of(
            'mutation ($t: DateTime!) { recoverWebhook(id: "whk_1", since: $t) { __typename } }',
            variables={"t": "2026-05-01T20:00:00"},
        ),
        400,
        "variables_invalid",
    ),
    Hostile(
        "a form",
        b"query=%7B%20viewer%20%7D",
        415,
        "content_type_unsupported",
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    Hostile(
        "plain text",
        of("{ viewer { livemode } }"),
        415,
        "content_type_unsupported",
        headers={"content-type": "text/plain"},
    ),
    Hostile("no content type", of("{ viewer { livemode } }"), 415, "content_type_unsupported", headers={}),
    Hostile(
        "multipart",
        b"--x--",
        415,
        "content_type_unsupported",
        headers={"content-type": "multipart/form-data; boundary=x"},
    ),
    Hostile(
        "a zip bomb", b"\x1f\x8b", 415, "content_type_unsupported", headers={**JSON_TYPE, "content-encoding": "gzip"}
    ),
    Hostile(
        "another charset",
        of("{ a }"),
        415,
        "content_type_unsupported",
        headers={"content-type": "application/json; charset=latin-1"},
    ),
    Hostile(
        "GET twice a query",
        b"",
        400,
        "parameter_invalid",
        method="GET",
        path="/graphql?query=%7Bviewer%7Blivemode%7D%7D&query=%7Bviewer%7Blivemode%7D%7D",
        headers={},
    ),
    Hostile(
        "GET of an unknown parameter", b"", 400, "parameter_unknown", method="GET", path="/graphql?q=1", headers={}
    ),
    Hostile(
        "GET with variables that are no JSON",
        b"",
        400,
        "json_invalid",
        method="GET",
        path="/graphql?query=%7Bviewer%7Blivemode%7D%7D&variables=%7B",
        headers={},
    ),
    Hostile(
        "GET of a mutation",
        b"",
        405,
        "method_not_allowed",
        method="GET",
        path="/graphql?query=mutation%7BlogOut%7B__typename%7D%7D",
        headers={},
    ),
    Hostile("PUT", of("{ viewer { livemode } }"), 405, "method_not_allowed", method="PUT"),
    Hostile("OPTIONS", b"", 405, "method_not_allowed", method="OPTIONS", headers={}),
)
