"""What people write when they want out, measured over a corpus: recall, precision, and never a customer silenced."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.text import opt_out_phrases
from msvs.api.text.courtesies import bare_word
from msvs.api.text.opt_out_phrases import MAX_TEXT, Intent, Reading, classify, explain, wants_out
from msvs.api.text.quotes import own_words
from msvs.api.text.words import Keyword, classify_reply

CORPUS = Path(__file__).parents[2] / "data" / "opt_out_corpus.csv"
HALVES = ("development", "held_out")
LANGUAGES = ("en", "pt", "es", "fr")
LABELS = ("certain", "likely", "reply")
KINDS = ("withdrawal", "courtesy", "quote", "sounds_alike", "yes", "start", "help")
ALL_LANGUAGES = (*LANGUAGES, "de", "it", "nl", "tr")

# What was sent to the writers of the corpus: {b} is that of the row's language, {b:40} its beginning, {b:-40} its end;
# {u} was sent to somebody else.
SENT = {
    "en": "Hi Ana, Cohort 06 opens tonight at 8pm ET: https://cohort.example/06 To stop these texts, reply STOP",
    "pt": "Oi Ana, a turma 06 abre hoje às 20h. Para sair, responda SAIR",
    "es": "Hola Ana, el curso abre hoy a las 8. Responde BAJA para darte de baja",
    "fr": "Bonjour Ana, la session ouvre ce soir. Répondez STOP pour vous désabonner",
    "de": "Hallo Ana, der Kurs beginnt heute um 20 Uhr. Zum Abmelden STOPP senden",
    "it": "Ciao Ana, il corso inizia stasera alle 20. Per non ricevere altri SMS rispondi STOP",
    "nl": "Hallo Ana, de cursus begint vanavond. Stuur STOP om af te melden",
    "tr": "Merhaba Ana, kurs bu aksam basliyor. Listeden cikmak icin RET yazin",
}
ANOTHER = "Doors open Friday. Reply STOP to opt out"
UNKNOWN = "Sale ends today, 50% off everything! Reply STOP to opt out"
REPEAT = frozenset(("MAX_REPEAT", "MIN_REPEAT"))


def rows() -> list[dict[str, str]]:
    with CORPUS.open(newline="") as file:
        return list(csv.DictReader(file))


def text_of(row: dict[str, str]) -> str:
    bodies = {"b": SENT[row["language"]], "B": ANOTHER, "u": UNKNOWN}

    def cut(match: re.Match[str]) -> str:
        body = bodies[match[1]]
        end = int(match[2] or len(body))
        return body[:end] if end > 0 else body[end:]

    return re.sub(r"\{([bBu])(?::(-?\d+))?\}", cut, row["text"])


def label_of(text: str) -> str:
    """What the service does with a text: a keyword is as certain as a phrase, and what is unclear is a reply."""
    own = own_words(text, [*SENT.values(), ANOTHER])
    keyword = classify_reply(own)
    if keyword is Keyword.STOP:
        return "certain"
    intent = classify(own) if keyword is None else None
    if intent in (Intent.CERTAIN, Intent.LIKELY):
        return str(intent)
    found = bare_word(own) if keyword is None else None
    if found is not None and found.is_sure:
        keyword = found.keyword
    return {None: "reply", Keyword.CONFIRM: "yes"}.get(keyword) or str(keyword)


def measured() -> list[tuple[str, str, str, str, str]]:
    """Half, language, kind, label and what was found, of every row; among the sentences a plain YES is a reply."""
    read = []
    for row in rows():
        found = label_of(text_of(row))
        if row["kind"] == "phrase" and found not in LABELS:
            found = "reply"
        read.append((row["half"], row["language"], row["kind"], row["label"], found))
    return read


def recall_and_precision(pairs: Sequence[tuple[str, str]], labels: tuple[str, ...]) -> tuple[float, float]:
    """Of (label, found) pairs: the share of `labels` that was found, and the share of what was found that is one."""
    wanted = sum(label in labels for label, _ in pairs)
    found = sum(found in labels for _, found in pairs)
    right = sum(label in labels and found in labels for label, found in pairs)
    return right / wanted, right / found if found else 1.0


def test_the_corpus_is_large_balanced_and_its_halves_share_nothing() -> None:
    corpus = [row for row in rows() if row["kind"] == "phrase"]
    counts = Counter((row["half"], row["language"], row["label"]) for row in corpus)
    assert counts.keys() == {(half, language, label) for half in HALVES for language in LANGUAGES for label in LABELS}
    for language in LANGUAGES:
        each = Counter(row["label"] for row in corpus if row["language"] == language)
        assert each.total() >= 80
        assert each["reply"] * 2 >= each.total()
    assert len(corpus) >= 400
    corpus = rows()
    kinds = Counter((row["half"], row["kind"]) for row in corpus)
    assert kinds.keys() == {(half, kind) for half in HALVES for kind in (*KINDS, "phrase")}
    for half in HALVES:
        assert sum(kinds[half, kind] for kind in KINDS) >= 300
        assert {row["language"] for row in corpus if row["half"] == half} == set(ALL_LANGUAGES)
    texts = [{(row["language"], row["text"].casefold()) for row in corpus if row["half"] == half} for half in HALVES]
    assert not texts[0] & texts[1]
    assert sum(map(len, texts)) == len(corpus)


def test_recall_and_precision_over_the_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    """The rules were written against the development half; the other was fixed before they were tried on it.

    What it showed to be missing was mended as a kind, by further rows of the development half.
    """
    read = measured()
    lines = []
    for half in HALVES:
        for group in (*ALL_LANGUAGES, *KINDS[:4], "all"):
            pairs = [row[3:] for row in read if row[0] == half and group in (row[1], row[2], "all")]
            figures = [
                f"{name} {recall:.3f}/{precision:.3f}"
                for name, labels in (("out", ("certain", "likely")), *((label, (label,)) for label in LABELS))
                if any(row[0] in labels for row in pairs)
                for recall, precision in [recall_and_precision(pairs, labels)]
            ]
            lines.append(f"{half:<12}{group:<13}{len(pairs):>5}  recall/precision: {'  '.join(figures)}")
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    for half in HALVES:
        pairs = [row[3:] for row in read if row[0] == half]
        assert min(recall_and_precision(pairs, ("certain", "likely"))) >= 0.99, half
        assert min(recall_and_precision(pairs, ("certain",))) >= 0.99, half
        assert [label for label, found in pairs if found == "certain" and label not in ("certain", "likely")] == []


@pytest.mark.parametrize("kind", ["yes", "start", "help"])
def test_yes_start_and_help_are_told_from_other_answers(kind: str) -> None:
    assert [row for row in measured() if row[2] == kind and row[3] != row[4]] == []


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("please stop texting me", Reading(Intent.CERTAIN, "en.stop-texting")),
        ("me tira dessa lista", Reading(Intent.CERTAIN, "pt.off-the-list")),
        ("dejen de escribirme", Reading(Intent.CERTAIN, "es.stop-sending")),
        ("désabonnez-moi", Reading(Intent.CERTAIN, "fr.stop")),
        ("wrong number", Reading(Intent.LIKELY, "en.wrong-person")),
        ("cancel my membership", Reading(Intent.UNCLEAR, "en.end-something-else")),
        ("STOP John", Reading(Intent.CERTAIN, "words.bare")),
        ("STOP Ekaterina", Reading(Intent.LIKELY, "words.bare")),
        ("I withdraw my consent", Reading(Intent.CERTAIN, "en.withdraw-consent")),
        ("Ich widerrufe meine Einwilligung", Reading(Intent.CERTAIN, "de.withdraw-consent")),
        ("wrong #", Reading(Intent.LIKELY, "en.wrong-person")),
        ("Reply STOP to opt out", Reading(Intent.LIKELY, "en.footer")),
        ("please don't stop texting me", Reading(None, "en.stop-texting", "en.negated")),
        ("what happens if I stop receiving texts", Reading(None, "en.stop-messages", "en.asking")),
        ("When does the course end?", Reading(None)),
        ("", Reading(None)),
        ("👍", Reading(None)),
    ],
)
def test_a_reading_names_the_rule_that_held_and_what_kept_one_from_holding(text: str, reading: Reading) -> None:
    assert explain(text) == reading


@pytest.mark.parametrize(
    "text",
    [
        "STOP TEXTING ME",
        "stop   texting\nme",
        "Stop texting me!!! 😡",
        "stoooop texting me",
        "Stop, please, texting me",
        "ＳＴＯＰ texting me",
        "st\u00f3p texting me",
    ],
)
def test_writing_does_not_count(text: str) -> None:
    assert classify(text) is Intent.CERTAIN


@pytest.mark.parametrize(
    "text",
    ["STOP 2 END", "Stop2end", "stop to opt out", "S T O P", "ST0P", "un subscribe", "Reply STOP", "stop sending pls"],
)
def test_the_words_of_our_messages_can_be_quoted(text: str) -> None:
    assert classify(text) is Intent.CERTAIN


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("сто\u0070 please", Intent.CERTAIN),
        ("ѕтор рlеаѕе", Intent.CERTAIN),
        ("рlease stор texting me", Intent.CERTAIN),
        ("remоve me frоm yоur list", Intent.CERTAIN),
        ("oтпиcка, спасибо", Intent.CERTAIN),
        ("Я не могу найти кнопку стоp", None),
        ("Приду в стoл заказов", None),
        ("STOPSTOP", Intent.CERTAIN),
        ("stopstopstop please!", Intent.CERTAIN),
        ("<b>STOP</b>", Intent.CERTAIN),
        ('<div dir="ltr">Stop<br></div>', Intent.CERTAIN),
        ("aret svp", Intent.CERTAIN),
        ("couscous", None),
        ("nonstop", None),
        ("<3 your texts", None),
        ("is 5 < 6 and stop > go?", None),
    ],
)
def test_a_sentence_in_odd_letters_or_marks_is_read(text: str, intent: Intent | None) -> None:
    assert classify(text) is intent


@pytest.mark.parametrize(
    "text",
    [
        "stop to buy milk",
        "stop by to end it",
        "how about a stop 2 miles on",
        "one-stop shop",
        "Soy alto",
        "Hola, soy alto",
        "sou parar",
    ],
)
def test_a_text_that_resembles_a_keyword_is_a_reply(text: str) -> None:
    assert classify(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "parar de receber",
        "sair da lista",
        "dejar de recibir",
        "ne plus recevoir",
        "nicht mehr erhalten",
        "niet meer ontvangen",
        "smettere di ricevere",
        "stop receiving",
        "no longer receive messages",
        "Yes, stop sending",
        "ok stop sending me",
        "Oui, arrêtez d'envoyer",
        "Отпишите меня, пожалуйста",
        "Больше не пишите мне!",
        "Не присылайте рекламу",
        "хочу отписаться от рассылки",
        "отзываю своё согласие на обработку персональных данных",
    ],
)
def test_a_sentence_without_a_verb_of_ones_own_asks_out(text: str) -> None:
    assert explain(text).intent is Intent.CERTAIN


@pytest.mark.parametrize(
    "text",
    [
        "не пишите мне сегодня",
        "не пишите на доске",
        "не беспокойтесь",
        "Удалите меня из чата",
        "se eu sair da lista?",
        "Can I stop receiving mails?",
        "ne plus recevoir de colis",
    ],
)
def test_a_text_that_resembles_one_is_a_reply(text: str) -> None:
    assert explain(text).intent is None


def test_an_opt_out_is_found_at_the_end_of_a_long_message() -> None:
    rant = "i was at the store when my phone went off again and it was one more of yours " * 8
    assert classify(f"{rant} so stop texting me") is Intent.CERTAIN
    assert classify(f"{rant}. Stop texting me.") is Intent.CERTAIN
    assert classify(rant) is None


def test_what_is_cut_out_of_a_long_sentence_has_no_beginning_and_no_end() -> None:
    before = "word " * 16
    assert classify(f"{before} and i told my whole family that you should quit texting") is Intent.CERTAIN
    assert classify("word " * 38 + "quit texting while you drive because it is not safe at all for anybody") is None


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    assert classify(text) in (None, *Intent)


@given(
    st.sampled_from(sorted(row["text"] for row in rows() if row["label"] != "reply" and row["kind"] == "phrase")),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_case_does_not_count(text: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    mixed = "".join(c.upper() if up and len(c.upper()) == 1 else c for c, up in zip(text, upper, strict=True))
    assert label_of(mixed) == label_of(text)


# No message may hold a worker up: a part that repeats can be read in one way only, or time grows with every repetition.


def strings_of(node: Any) -> set[str] | None:
    """All strings that a parsed pattern matches, or None where they are too many to tell."""
    found = {""}
    for op, value in node:
        match str(op):
            case "LITERAL":
                tails: set[str] | None = {chr(value)}
            case "SUBPATTERN":
                tails = strings_of(value[-1])
            case "BRANCH":
                parts = [strings_of(part) for part in value[1]]
                tails = None if None in parts else set().union(*(part for part in parts if part is not None))
            case "IN" if all(str(kind) == "LITERAL" for kind, _ in value):
                tails = {chr(character) for _, character in value}
            case "MAX_REPEAT" if value[1] == 1:
                inner = strings_of(value[2])
                tails = None if inner is None else inner | ({""} if value[0] == 0 else set())
            case "ASSERT" | "ASSERT_NOT" | "AT":
                tails = {""}
            case _:
                tails = None
        if tails is None:
            return None
        found = {head + tail for head in found for tail in tails}
    return found


def repeats(node: Any) -> Iterator[Any]:
    """The bodies of all repetitions without a small bound in a parsed pattern."""
    for op, value in node:
        if str(op) in REPEAT and value[1] is re._parser.MAXREPEAT:  # type: ignore[attr-defined]
            yield value[2]
        for part in value if isinstance(value, tuple | list) else ():
            if isinstance(part, re._parser.SubPattern):  # type: ignore[attr-defined]
                yield from repeats(part)
            elif isinstance(part, list):
                for each in part:
                    if isinstance(each, re._parser.SubPattern):  # type: ignore[attr-defined]
                        yield from repeats(each)


def is_read_in_one_way(words: set[str]) -> bool:
    """Whether no text can be made of these words in two ways (Sardinas and Patterson)."""
    if "" in words:
        return False
    seen: set[str] = set()
    rest = {b[len(a) :] for a in words for b in words if a != b and b.startswith(a)}
    while rest - seen:
        if rest & words:
            return False
        seen |= rest
        rest = {w[len(r) :] for r in rest for w in words if w.startswith(r)} | {
            r[len(w) :] for r in rest for w in words if r.startswith(w)
        }
    return True


def test_repeated_patterns_match_in_one_way() -> None:
    patterns = [(rule.id, rule.found) for rule in opt_out_phrases._RULES] + [
        (each.id, each.found) for rule in opt_out_phrases._RULES for each in rule.exclusions
    ]
    ambiguous = set()
    for id, pattern in patterns:
        for body in repeats(re._parser.parse(pattern.pattern)):  # type: ignore[attr-defined]
            words = strings_of(body)
            if words is not None and not is_read_in_one_way(words):
                ambiguous.add((id, min(words - {""}, key=len, default="")))
    assert ambiguous == set()


def test_the_check_of_repetitions_finds_one() -> None:
    parsed = re._parser.parse("(?:(?:any|more|any more) )*")  # type: ignore[attr-defined]
    assert [is_read_in_one_way(strings_of(body) or set()) for body in repeats(parsed)] == [False]
    assert is_read_in_one_way({"any ", "more "})


def test_the_longest_messages_of_the_rules_own_words_are_read() -> None:
    words = [word for row in rows() for word in row["text"].split()]
    chosen = random.Random(5)
    for _ in range(50):
        some = chosen.sample(words, 6)
        assert classify(" ".join(chosen.choices(some, k=MAX_TEXT // 4))) in (None, *Intent)


@pytest.mark.parametrize(
    "text",
    [
        "Stop or I'll sue",
        "Stop, I will call the police",
        "STOP I will call the FCC",
        "stop or I will report you to the FTC",
        "STOP I'm going to file a complaint",
        "STOP I don't know you",
        "STOP DO NOT TEXT",
        "STOP I am not Maria",
        "STOP. This is not Maria",
        "SMS stop",
        "stop txt",
        "No more spam",
        "nomore",
        "get me off this",
    ],
)
def test_stop_with_a_threat_or_a_reason_after_it_asks_out(text: str) -> None:
    assert wants_out(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Get me off the waitlist and into the course!",
        "Stop by or I'll call the restaurant",
        "stop I am not ready yet 😂",
        "The bus will stop or I will call the police",
        "Should I stop or report the bug?",
        "No more spam in my inbox since I took your course!",
        "Stop, I know you!",
        "I was at the police stop, will report back",
    ],
)
def test_a_text_that_resembles_a_threat_is_a_reply(text: str) -> None:
    assert wants_out(text) is None


@pytest.mark.parametrize("text", ["RE: STOP", "Fwd: stop", "AW: Re: please stop texting me", "RES:PARAR"])
def test_what_mail_programs_put_before_an_answer_does_not_count(text: str) -> None:
    assert classify(text) is Intent.CERTAIN


@pytest.mark.parametrize("text", ["Re: your message", "re: the bus stop", "Ref: stop 5"])
def test_a_subject_alone_is_a_reply(text: str) -> None:
    assert classify(text) is None
