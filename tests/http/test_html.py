"""Pages: their Content-Security-Policy, and the headers that all of them carry."""

from __future__ import annotations

from msvs.http.html import CLOSED, NOT_STORED, PAGE_HEADERS, card_response, content_security_policy


def test_a_policy_forbids_what_its_rules_do_not_name() -> None:
    assert content_security_policy() == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert content_security_policy("img-src data:", "form-action 'self'") == (
        "default-src 'none'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def test_every_card_lets_in_its_own_style_alone() -> None:
    for package in ("msvs.billing", "msvs.dashboard", "msvs.mailbox", "msvs.ops"):
        page = card_response(package, title="<b>", body="<p>Hi</p>", status=404)
        assert page.status_code == 404
        shown = {name: page.headers[name] for name in (*PAGE_HEADERS, *NOT_STORED)}
        assert shown == {**PAGE_HEADERS, **NOT_STORED}
        rules = dict(rule.partition(" ")[::2] for rule in page.headers["Content-Security-Policy"].split("; "))
        assert rules.keys() == {"default-src", "style-src", "img-src", *CLOSED}
        text = bytes(page.body).decode()
        nonce = rules["style-src"].removeprefix("'nonce-").removesuffix("'")
        assert f'<style nonce="{nonce}">' in text
        assert text.count("<style") == 1
        assert "<title>&lt;b&gt;</title>" in text
        assert "<p>Hi</p>" in text


def test_no_two_pages_have_one_nonce() -> None:
    first, second = (card_response("msvs.ops", title="", body="") for _ in range(2))
    assert first.headers["Content-Security-Policy"] != second.headers["Content-Security-Policy"]
