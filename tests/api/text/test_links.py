"""Links of a body: which are found, where they lead, and what is refused."""

from __future__ import annotations

import re

import pytest

from msvs.api.text.links import (
    ALPHABET,
    CODE_LENGTH,
    MAX_LINKS,
    LinkedTemplate,
    LinkRefused,
    Tag,
    is_code,
    link_template,
    new_codes,
)
from msvs.api.text.rendering import render, with_codes
from msvs.api.text.sms import measure
from msvs.api.text.templates import MissingVariable

BASE = "https://go.cohortlabs.co"


def linked(body: str, *tags: Tag) -> LinkedTemplate:
    return link_template(body, BASE, tags)


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ("Doors open", ()),
        ("Go to https://cohortlabs.co.", ("https://cohortlabs.co",)),
        ("(see http://cohortlabs.co/a?b=c#d)", ("http://cohortlabs.co/a?b=c#d",)),
        ("HTTPS://CohortLabs.co/A, https://cohortlabs.co/b!", ("HTTPS://CohortLabs.co/A", "https://cohortlabs.co/b")),
        ("https://cohortlabs.co/{{x}}", ("https://cohortlabs.co/",)),
        ("https://cohortlabs.co/a https://cohortlabs.co/a", ("https://cohortlabs.co/a",) * 2),
        ("https://münchen.example.de/a", ("https://xn--mnchen-3ya.example.de/a",)),
        ("https://münchen.example.de:8443/日?é#ü", ("https://xn--mnchen-3ya.example.de:8443/%E6%97%A5?%C3%A9#%C3%BC",)),
        ("https://cohortlabs.co/\x01\x7f", ("https://cohortlabs.co/%01%7F",)),
        ("https://cohortlabs.co/%C3%A9?a=1+2&b=~!$'", ("https://cohortlabs.co/%C3%A9?a=1+2&b=~!$",)),
        ("(https://cohortlabs.co/Cart_(June))", ("https://cohortlabs.co/Cart_(June)",)),
        ("[(https://cohortlabs.co/a[1]).]))", ("https://cohortlabs.co/a[1]",)),
        ("https://cohortlabs.co/((a))).,!]", ("https://cohortlabs.co/((a))",)),
        ("https://cohortlabs.co/a" + ".)" * 700, ("https://cohortlabs.co/a",)),
        (
            "https://cohortlabs.co/?family=A|B^2, https://cohortlabs.co/|",
            ("https://cohortlabs.co/?family=A%7CB%5E2", "https://cohortlabs.co/"),
        ),
        ("see https://cohortlabs.co/{a|é}", ("https://cohortlabs.co/%C3%A9",)),
        ("https://8.8.8.8:8443/x", ("https://8.8.8.8:8443/x",)),
        ("https://[2606:4700::1111]", ("https://[2606:4700::1111]",)),
        ("javascript:alert(1) data:text/html,x", ()),
        ("ftp://cohortlabs.co", ()),
        ("cohortlabs.co/cart", ()),
    ],
)
def test_links_are_found_and_lead_where_the_body_says(body: str, urls: tuple[str, ...]) -> None:
    template = linked(body)
    assert template.urls({}) == urls
    rendered = render(template, {})
    codes = new_codes(len(urls))
    assert len(template.marks) == len(urls)
    done = with_codes(template, rendered, codes)
    assert [code for code in codes if f"{BASE}/{code}" in done.body] == codes
    assert not any(mark in done.body for mark in template.marks)
    # The codes cost what the marks did.
    assert measure(done.body).segments == rendered.segments


def test_the_text_around_a_link_stays() -> None:
    template = linked("Hey {name}: https://cohortlabs.co/cart, closes at 8pm")
    (code,) = new_codes(1)
    done = with_codes(template, render(template, {"name": "Maria"}), [code])
    assert done.body == f"Hey Maria: {BASE}/{code}, closes at 8pm"


def test_a_variable_of_a_link_is_escaped_and_needed() -> None:
    template = linked("https://cohortlabs.co/?who={email}&n={n|1}#top")
    assert template.names == ("email", "n")
    assert template.urls({"email": "m+1@x.co/../?a=b#c"}) == (
        "https://cohortlabs.co/?who=m%2B1%40x.co%2F..%2F%3Fa%3Db%23c&n=1#top",
    )
    with pytest.raises(MissingVariable):
        template.render({})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/a",
        "http://127.0.0.1/a",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://10.0.0.1",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://intranet/a",
        "https://db.internal/",
        "https://router.local/",
        "https://cohortlabs.co@evil.example.com/",
        "https://a:b@cohortlabs.co/",
        "https://{host}/a",
        "https://cohortlabs.co{x}/a",
        "https://cohortlabs.co:{port}/",
        "https://cohortlabs.co:0/",
        "https://cohortlabs.co:99999/",
        "https://cohortlabs.co%2eevil.com/",
        "https://",
        "https://-/",
        "https://cohort\x01labs.co/",
        "https://cohortlabs.co;evil.example.com/",
        f"https://cohortlabs.co/{'a' * 2048}",
    ],
)
def test_a_link_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(LinkRefused):
        linked(f"See {url}")


def test_a_body_has_few_links() -> None:
    linked("https://cohortlabs.co " * MAX_LINKS)
    with pytest.raises(LinkRefused):
        linked("https://cohortlabs.co " * (MAX_LINKS + 1))


@pytest.mark.parametrize(
    ("url", "tagged"),
    [
        ("https://cohortlabs.co", "https://cohortlabs.co?utm_source=sms&utm_campaign=a%26b"),
        ("https://cohortlabs.co/?a=1#x", "https://cohortlabs.co/?a=1&utm_source=sms&utm_campaign=a%26b#x"),
        ("https://cohortlabs.co/?utm_source=mail", "https://cohortlabs.co/?utm_source=mail&utm_campaign=a%26b"),
    ],
)
def test_utm_parameters_are_added_where_they_are_missing(url: str, tagged: str) -> None:
    assert linked(url, Tag("utm_source", "sms"), Tag("utm_campaign", "a&b")).urls({}) == (tagged,)


def test_codes_are_short_and_never_the_same() -> None:
    codes = new_codes(20_000)
    assert len(set(codes)) == 20_000
    assert all(re.fullmatch(r"[0-9A-Za-z]{11}", code) and is_code(code) for code in codes)
    assert CODE_LENGTH <= 12
    assert len(ALPHABET) ** CODE_LENGTH > 2**64
    assert not any(map(is_code, ("", "a" * 10, "a" * 12, "aaaaaaaaaa/", "aaaaaaaaaaé", "openapi.yaml")))
