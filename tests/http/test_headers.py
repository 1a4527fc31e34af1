"""Which type an answer has, by the Accept header."""

from __future__ import annotations

import pytest

from msvs.http.headers import negotiate, split_unquoted

JSON, GRAPHQL = b"application/json", b"application/graphql-response+json"
LATIN = b"application/json; charset=iso-8859-1"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, GRAPHQL),
        (b"", GRAPHQL),
        (b" , ,", GRAPHQL),
        (b"*/*", GRAPHQL),
        (b"*; q=.2", GRAPHQL),
        (b"text/html, image/gif, *; q=.2, */*; q=.2", GRAPHQL),
        (b"application/*", GRAPHQL),
        (b"application/json", JSON),
        (b'APPLICATION/JSON ; Charset="UTF-8"', JSON),
        (b"application/json;charset=utf8;q=0.1", JSON),
        (b"application/json\t;\tq = 0.5,application/graphql-response+json;q=0.4", JSON),
        (b"application/graphql-response+json;q=0, application/json", JSON),
        (b"application/graphql-response+json;q=0, */*", JSON),
        (b"application/graphql-response+json; q=0.000, application/*;q=0.1", JSON),
        (b"application/json;q=0", None),
        (b"*/*;q=0", None),
        (b"application/json;q=0, application/*;q=0", None),
        (b"text/html", None),
        (b"text/*", None),
        (LATIN, None),
        (LATIN + b", application/json;q=0.3", JSON),
        (b'text/plain;x="a, application/json", image/png', None),
        (b'text/plain;x="\\", application/json', None),
        (b'text/plain;x="a;q=0", application/json', JSON),
        (b"multipart/mixed;deferSpec=20220824, application/json", JSON),
        (b"application/json;q=2", GRAPHQL),
        (b"application/json;q=nan, application/graphql-response+json;q=-1", GRAPHQL),
        (b"application/json;q=1.5", JSON),
        (b"json, /, application/", GRAPHQL),
    ],
)
def test_accept_is_negotiated(accept: bytes | None, chosen: bytes | None) -> None:
    assert negotiate(accept, (GRAPHQL, JSON)) == chosen


def test_quoted_separators_do_not_split() -> None:
    assert split_unquoted('a;b="c,\\",d",e', ",") == ['a;b="c,\\",d"', "e"]
