"""Warnings about bodies: what each is about, and what gives none."""

from __future__ import annotations

import pytest

from msvs.api.text import body_warnings
from msvs.api.text.rendering import read_template
from msvs.api.text.templates import compile_template

FOOTER = " Reply STOP to opt out."


def codes(body: str, *, is_marketing: bool = False) -> list[str]:
    found = body_warnings.warn_of_template(body, compile_template(body), is_marketing=is_marketing)
    assert all(each.param == "body" for each in found)
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("Hi {{first_name}}", "{{first_name}} is sent as the text {first_name}. Write {first_name} for the value"),
        ("Hi {{ firstName }}", "{{firstName}} is sent as the text {firstName}."),
        ("Hi {{first_name|there}}", "{{first_name}} is sent"),
        ("Hi {{first name}}", "Write {first_name} for the value"),
        ("Olá {{nome}}", "{{nome}} is sent as the text {nome}."),
    ],
)
def test_double_braces(body: str, told: str) -> None:
    (found,) = body_warnings.warn_of_template(body, compile_template(body), is_marketing=False)
    assert found.code == "double_braces"
    assert told in found.message


@pytest.mark.parametrize(
    "body", ["Hi {first_name}", "{{5}} off", "{{{first_name}}}", "{{ }}", "a {{", "b }}", "{{a-b}}"]
)
def test_other_braces_give_no_warning(body: str) -> None:
    assert "double_braces" not in codes(body)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("*|FNAME|*", "first_name"),
        ("*|LNAME|*", "last_name"),
        ("*|MERGE5|*", "merge5"),
        ("%%FirstName%%", "first_name"),
        ("%%city%%", "city"),
        ("%FIRSTNAME%", "first_name"),
        ("[[first name]]", "first_name"),
        ("[first_name]", "first_name"),
        ("[Name]", "name"),
        ("<first_name>", "first_name"),
        ("<<City>>", "city"),
        ("#FIRST_NAME#", "first_name"),
        ("[first name]", "first_name"),
        ("[First Name]", "first_name"),
        ("<%= first_name %>", "first_name"),
        ("<% city %>", "city"),
        ("${first_name}", "first_name"),
        ("#{contact_email}", "email"),
    ],
)
def test_a_merge_tag_of_another_service(tag: str, name: str) -> None:
    """It would be sent as the text that it is, or with a sign too many."""
    body = f"Hi {tag}, doors open at 8"
    (found,) = body_warnings.warn_of_template(body, compile_template(body), is_marketing=False)
    assert (found.code, found.param) == ("foreign_merge_tag", "body")
    assert f"'{tag}'" in found.message
    assert f"{{{name}}}" in found.message
    literal = read_template(body, is_literal=True)
    assert body_warnings.warn_of_template(body, literal, is_marketing=False, is_literal=True) == []


@pytest.mark.parametrize(
    "body",
    [
        "[Sale] 50% off, 20% more",
        "Only ${price} left of order #{order_id}",
        "https://cohortlabs.co/?q=%C3%A9%20name%20x",
        "#cohort6 #name",
        "a < b > c, <3 you",
        "*bold* |x| [x] <x>",
        "Hi {first_name}, [1] and [2]",
        "[by the way] <see you> 5% more % off",
    ],
)
def test_plain_marks_are_no_merge_tags(body: str) -> None:
    assert codes(body) == []


def test_each_merge_tag_is_named_once() -> None:
    assert codes("*|FNAME|* *|FNAME|* %%city%%") == ["foreign_merge_tag"] * 2


@pytest.mark.parametrize(
    "link",
    [
        "bit.ly/3xAbC",
        "https://bit.ly/3xAbC",
        "HTTP://WWW.TinyURL.com/y7",
        "(https://t.co/abc)",
        "https://cutt.ly:443/x",
        "encurtador.com.br/abc",
        "see:rb.gy/x",
        "user@bit.ly/x",
        "https://user:secret@bit.ly/x",
        "https://cohortlabs.co@bit.ly/x",
        "bit.ly./x",
        "https://www.bit.ly.:443/x",
        "https://bit.ly//x",
        "bit.ly/-x",
        "https://bit.ly/{code|x}",
        "ｂｉｔ．ｌｙ/x",
        "bit。ly/x",
    ],
)
def test_a_link_of_a_public_shortener(link: str) -> None:
    assert codes(f"Doors are open {link} now") == ["link_shortener"]


@pytest.mark.parametrize(
    "link",
    [
        "https://cohortlabs.co/bit.ly",
        "https://cohortlabs.co/x?u=bit.ly",
        "mybit.ly/x",
        "links.bit.ly.cohortlabs.co/x",
        "ada@bit.ly",
        "ada@bit.ly/",
        "user@mybit.ly/x",
        "bit.ly@cohortlabs.co/x",
        "bit.ly../x",
        "We love bit.ly.",
        "it.com/x",
    ],
)
def test_other_links_give_no_warning(link: str) -> None:
    assert codes(f"Doors are open {link} now") == []


def test_each_shortener_is_named_once() -> None:
    assert codes("bit.ly/a bit.ly/b t.ly/c") == ["link_shortener", "link_shortener"]


@pytest.mark.parametrize(
    "body",
    [
        "Sale today. Reply STOP to opt out.",
        "Sale today. reply stop to end",
        "Sale. Txt STOP 2 quit",
        "Sale. STOP=end",
        "Sale. Unsubscribe: cohortlabs.co/u",
        "Sale. Opt-out: cohortlabs.co/u",
        "Promo. Envie SAIR para parar.",
        "Promo. Responda sair",
        "Oferta. Envía BAJA",
        "Promo. Répondez ARRÊT",
        "Promo. STOP au 36111",
        "Angebot. Abmelden: cohortlabs.co/u",
        "Sale. Text STOP ALL",
        "Распродажа. Отправьте стоп",
        "Распродажа. Отписаться: cohortlabs.co/u",
        "İndirim. RET yazıp gönderin",
        "Akce. Odhlášení: cohortlabs.co/u",
        "Wyprzedaż. Wyślij STOP",
        "מבצע. להסרה השיבו הסר",
        "تخفيضات. أرسل توقف",
        "大促销，回复T退订",
        "本日開店 配信停止はcohortlabs.co/u",
        "(광고) 할인 무료수신거부 0801234567",
        "ลดราคา พิมพ์ ยกเลิก",
    ],
)
def test_a_body_that_says_how_to_opt_out(body: str) -> None:
    assert codes(body, is_marketing=True) == []


@pytest.mark.parametrize(
    "body",
    [
        "Sale today.",
        "Stop by our office, the sale will end tonight.",
        "Cancel anytime. Remove all doubt.",
        "No stopping us!",
        "Sale. Stop2end",
        "Распродажа. Не пропустите",
        "מבצע היום",
        "今日大促销",
        "本日開店",
    ],
)
def test_marketing_without_words_to_opt_out(body: str) -> None:
    assert codes(body, is_marketing=True) == ["opt_out_words_missing"]
    assert codes(body) == []


@pytest.mark.parametrize(
    ("body", "warns"),
    [
        ("{first_name}, doors open", True),
        ("  {firstName} hi", True),
        ("{first_name|You}, doors open", False),
        ("Hi {first_name}", False),
        ("{{first_name}} hi", False),
        ("Doors open", False),
    ],
)
def test_a_body_that_begins_with_a_variable(body: str, warns: bool) -> None:
    assert ("leading_variable_without_fallback" in codes(body)) == warns


@pytest.mark.parametrize(("segments", "warns"), [(1, False), (3, False), (4, True), (11, True)])
def test_long_messages(segments: int, warns: bool) -> None:
    assert [each.code for each in body_warnings.warn_of_segments(segments)] == ["many_segments"] * warns


@pytest.mark.parametrize(
    ("body", "encoding", "warns"),
    [("It’s on", "ucs2", True), ("It’s “on”", "ucs2", False), ("It's on", "gsm7", False), ("’ ’", "ucs2", True)],
)
def test_a_single_character_that_forces_ucs2(body: str, encoding: str, warns: bool) -> None:
    found = body_warnings.warn_of_encoding(body, encoding)
    assert [each.code for each in found] == ["ucs2_single_character"] * warns
    assert all("’" in each.message for each in found)


def test_all_at_once_in_the_order_of_the_checks() -> None:
    body = "{name} {{x}} bit.ly/1"
    assert codes(body, is_marketing=True) == [
        "double_braces",
        "link_shortener",
        "opt_out_words_missing",
        "leading_variable_without_fallback",
    ]
    assert codes("Hi {name}" + FOOTER, is_marketing=True) == []
