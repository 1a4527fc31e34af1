from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text.templates import (
    MAX_NAME_LENGTH,
    MissingVariable,
    TemplateError,
    canonical,
    compile_template,
    value_text,
)

VALUES = {"first_name": "Maria", "tier": "vip", "a": "V"}

# What the API takes for a body: strict JSON has no lone surrogates.
body_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
brace_text = st.text(st.sampled_from("{}|ab1 _é"), max_size=30)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("body", "rendered"),
    [
        ("", ""),
        ("Hey there", "Hey there"),
        ("{firstName}", "Maria"),
        ("{first_name}", "Maria"),
        ("{FirstName}{FIRST_NAME}", "MariaMaria"),
        ("Hey {firstName}, you are {tier}!", "Hey Maria, you are vip!"),
        ("{missing|there}", "there"),
        ("{missing|}", ""),
        ("{missing| my friend }", " my friend "),
        ("{missing|a|b}", "a|b"),
        ("{missing|line\nbreak}", "line\nbreak"),
        ("{firstName|there}", "Maria"),
        ("{{firstName}}", "{firstName}"),
        ("{{{firstName}}}", "{Maria}"),
        ("{a}}}", "V}"),
        ("{{{{", "{{"),
        ("}}}}", "}}"),
        ("{{}}", "{}"),
        ("a | b", "a | b"),
    ],
)
def test_render(body: str, rendered: str) -> None:
    assert compile_template(body).render(VALUES) == rendered


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "The brace '{' at character 1 is never closed; write '{{' for a literal brace."),
        ("Hey {firstName", "The brace '{' at character 5 is never closed; write '{{' for a literal brace."),
        ("Hey }", "The brace '}' at character 5 closes nothing; write '}}' for a literal brace."),
        ("{a}}", "The brace '}' at character 4 closes nothing; write '}}' for a literal brace."),
        ("{{a}", "The brace '}' at character 4 closes nothing; write '}}' for a literal brace."),
        ("{a|x}}", "The brace '}' at character 6 closes nothing; write '}}' for a literal brace."),
        ("{}", "The placeholder at character 1 has no name."),
        ("{|there}", "The placeholder at character 1 has no name."),
        ("{a{b}}", "The placeholder at character 1 holds another brace; write '{{' for a literal brace."),
        ("{a|{b}}", "The placeholder at character 1 holds another brace; write '{{' for a literal brace."),
        ("{a|{{}", "The placeholder at character 1 holds another brace; write '{{' for a literal brace."),
    ],
)
def test_a_malformed_template_says_what_is_wrong(body: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(body)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", [" a", "a ", "1a", "first-name", "first name", "a.b", "a\n", "½", "😀", "a!", " "])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(TemplateError, match=r"at character 4 is not a valid name"):
        compile_template(f"Hi {{{name}}}")
    with pytest.raises(TemplateError, match=r"at character 4 is not a valid name"):
        compile_template(f"Hi {{{name}|there}}")


def test_an_error_message_holds_no_control_characters() -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("{a\r\n\u202e}")
    assert str(caught.value).isprintable()


def test_a_name_is_at_most_64_characters() -> None:
    longest = "n" * MAX_NAME_LENGTH
    assert compile_template(f"{{{longest}}}").names == (longest,)
    with pytest.raises(TemplateError, match="longer than 64 characters"):
        compile_template(f"{{{longest}n}}")


@pytest.mark.parametrize("name", ["prénom", "имя", "नाम", "名前", "_x", "joinedAt2"])
def test_names_may_use_any_script(name: str) -> None:
    assert compile_template(f"{{{name}}}").render({canonical(name): "V"}) == "V"


def test_names_are_canonical_distinct_and_in_order() -> None:
    template = compile_template("{lastName} {firstName|x} {last_name} {tier}")
    assert template.names == ("last_name", "first_name", "tier")
    assert not template.is_literal


@pytest.mark.parametrize("body", ["", "Hey", "{{Hey}}"])
def test_a_body_without_placeholders_is_literal(body: str) -> None:
    template = compile_template(body)
    assert template.is_literal
    assert template.names == ()


BLANK = ["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff \u2060", "\u3164", "\x00", "\u00ad"]


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_value_counts_as_missing(blank: str) -> None:
    assert compile_template("Hi {firstName|there}").render({"first_name": blank}) == "Hi there"
    with pytest.raises(MissingVariable) as caught:
        compile_template("Hi {firstName}").render({"first_name": blank})
    assert (caught.value.name, caught.value.written) == ("first_name", "firstName")
    assert caught.value.is_blank
    assert str(caught.value) == "The variable 'firstName' is blank and has no fallback."


@pytest.mark.parametrize("value", [" Maria", "-", "😀", "{", "名", "0", "'"])
def test_a_visible_value_is_sent_as_it_is(value: str) -> None:
    assert compile_template("{a|x}").render({"a": value}) == value


def test_the_first_missing_variable_is_named() -> None:
    with pytest.raises(MissingVariable) as caught:
        compile_template("{a} {lastName} {other}").render({"a": "1"})
    assert (caught.value.name, caught.value.written) == ("last_name", "lastName")


def test_values_and_fallbacks_are_never_expanded_again() -> None:
    template = compile_template("{a} {b|%s $b}")
    assert template.render({"a": "{first_name}{{x}}"}) == "{first_name}{{x}} %s $b"


def test_compiling_is_cached() -> None:
    assert compile_template("Hey {cached}") is compile_template("Hey {cached}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("firstName", "first_name"),
        ("first_name", "first_name"),
        ("FirstName", "first_name"),
        ("FIRST_NAME", "first_name"),
        ("first_Name", "first_name"),
        ("HTMLTitle", "html_title"),
        ("userID", "user_id"),
        ("ABTest", "ab_test"),
        ("joinedAt2", "joined_at2"),
        ("joined_at_2", "joined_at_2"),
        ("address1Line", "address1_line"),
        ("_private", "_private"),
        ("_Private", "_private"),
        ("x", "x"),
        ("X", "x"),
        ("", ""),
        ("éCole", "é_cole"),
        ("e\u0301cole", "école"),
        ("имяКлиента", "имя_клиента"),
    ],
)
def test_canonical(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (7, "7"),
        (-7, "-7"),
        (2**53, "9007199254740992"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (19.9, "19.9"),
        (123456.789, "123456.789"),
        (1.5e-05, "0.000015"),
        (-2.5e-05, "-0.000025"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-07, "1e-07"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([], None),
        (["a"], None),
        ({"a": 1}, None),
        (float("nan"), None),
        (float("inf"), None),
        (b"bytes", None),
    ],
)
def test_value_text(value: object, expected: str | None) -> None:
    assert value_text(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300, deadline=None)
def test_a_number_keeps_its_value(value: float) -> None:
    text = value_text(value)
    assert text is not None
    assert float(text) == value


@given(body_text)
@settings(max_examples=300, deadline=None)
def test_doubled_braces_render_as_the_text(text: str) -> None:
    template = compile_template(text.replace("{", "{{").replace("}", "}}"))
    assert template.render({}) == text
    assert template.is_literal


@given(names, body_text, body_text.filter(lambda text: "{" not in text and "}" not in text))
@settings(max_examples=300, deadline=None)
def test_a_placeholder_renders_as_its_value(name: str, value: str, around: str) -> None:
    template = compile_template(f"{around}{{{name}|fallback}}{around}")
    assert template.render({canonical(name): f".{value}"}) == f"{around}.{value}{around}"
    assert template.render({}) == f"{around}fallback{around}"
    assert template.names == (canonical(name),)


@given(brace_text)
@settings(max_examples=300, deadline=None)
def test_agrees_with_a_reading_character_by_character(body: str) -> None:
    expected = _read(body)
    if expected is None:
        with pytest.raises(TemplateError):
            compile_template(body)
    else:
        template = compile_template(body)
        assert template.render(dict.fromkeys(template.names, "V")) == expected


def _read(body: str) -> str | None:
    """The body with V for every placeholder; None where it is malformed."""
    rendered, rest = "", body
    while rest:
        if rest[:2] in ("{{", "}}"):
            rendered, rest = rendered + rest[0], rest[2:]
        elif rest[0] == "{":
            inside, closed, rest = rest[1:].partition("}")
            if not closed or "{" in inside or not inside.partition("|")[0].isidentifier():
                return None
            rendered += "V"
        elif rest[0] == "}":
            return None
        else:
            rendered, rest = rendered + rest[0], rest[1:]
    return rendered


@given(st.text(st.characters(categories=["L", "Nd"], include_characters="_"), max_size=30))
@settings(max_examples=300, deadline=None)
def test_canonical_is_idempotent(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)
