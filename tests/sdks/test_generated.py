"""Generated SDKs: in step with openapi.yaml, complete, and without loss of any public name."""

from __future__ import annotations

import copy
import re

import pytest

from sdks.generator import __main__ as command
from sdks.generator import frozen, model, names, readmes, render, samples, vectors

API = model.load()

# How a language writes the beginning of a method of a resource.
METHODS = {
    "python": lambda name: rf"def {name}\(",
    "node": lambda name: rf"^  {names.camel(name)}\(",
    "ruby": lambda name: rf"def {name}\b",
    "php": lambda name: rf"function {names.camel(name)}\(",
    "go": lambda name: rf"^func \(\w+ \*?\w+\) {names.pascal(name)}\(",
}


@pytest.mark.parametrize("language", render.languages())
def test_the_files_are_what_the_generator_writes(language: str) -> None:
    assert render.drift(API, language) == [], "run make sdks"


@pytest.mark.parametrize("language", render.languages())
def test_the_readme_shows_the_examples_that_are_run(language: str) -> None:
    text = (render.SDKS / language / "README.md").read_text()
    assert re.findall(r"<!-- example: (\w+) -->", text) == list(readmes.EXAMPLES)
    assert readmes.drift(language) == [], "run make sdks"


def test_the_documentation_shows_the_examples_that_are_run() -> None:
    shown = {name for path in samples.pages() for name in re.findall(r"<!-- samples: (\w+) -->", path.read_text())}
    assert shown == set(readmes.EXAMPLES)
    assert samples.drift() == [], "run make sdks"


def test_the_vectors_are_what_the_generator_writes() -> None:
    assert command.vector_drift(API) == [], "run make sdks"


@pytest.mark.parametrize("language", render.languages())
def test_every_operation_has_its_method(language: str) -> None:
    files = render.render(API, language)
    for resource, method in API.methods:
        begins = re.compile(METHODS[language](method.name), re.MULTILINE)
        own = [text for text in files.values() if begins.search(text) and _path_in(text, method.path)]
        assert own, f"{language}: {resource.name}.{method.name} ({method.operation_id})"


def _path_in(text: str, path: str) -> bool:
    """Whether a text has a path, with anything in the place of its ids."""
    pieces = [re.escape(piece) for piece in re.split(r"\{\w+\}", path)]
    return re.search(r".{1,60}?".join(pieces), text) is not None


def test_every_operation_is_in_the_model() -> None:
    operations = {operation["operationId"] for item in API.document["paths"].values() for operation in item.values()}
    assert {method.operation_id for _, method in API.methods} == operations


def test_no_public_name_is_lost_and_each_is_written_down() -> None:
    assert frozen.lost(API, frozen.read()) == []
    assert set(frozen.read()) == set(frozen.public_names(API)), "run make sdks"


def changed(path: tuple[str, ...], change: object) -> list[str]:
    """What is lost where a part of the document is changed."""
    document = copy.deepcopy(API.document)
    part = document
    for step in path[:-1]:
        part = part[step]
    if change is None:
        del part[path[-1]]
    else:
        part[path[-1]] = change
    overrides = model.yaml.safe_load(model.OVERRIDES.read_text())
    return frozen.lost(model.Reader(document, overrides).read(), frozen.read())


@pytest.mark.parametrize(
    ("path", "change", "name"),
    [
        (("paths", "/v1/messages/{id}/cancel"), None, "messages.cancel()"),
        (("paths", "/v1/messages", "post", "operationId"), "sendMessage", "messages.create()"),
        (("components", "schemas", "Message", "properties", "segments"), None, "Message.segments"),
        (("components", "schemas", "MessageCreate", "properties", "metadata"), None, "messages.create(metadata)"),
        (("components", "schemas", "MessageCreate", "required"), ["to", "body", "from"], "messages.create(from)!"),
        (("webhooks", "message.sent"), None, "event message.sent -> Message"),
    ],
)
def test_a_loss_is_found(path: tuple[str, ...], change: object, name: str) -> None:
    assert name in changed(path, change)


def test_a_field_that_becomes_optional_is_not_lost() -> None:
    assert changed(("components", "schemas", "MessageCreate", "required"), ["to"]) == []


def test_names_are_unique_in_a_resource() -> None:
    overrides = model.yaml.safe_load(model.OVERRIDES.read_text())
    overrides["methods"]["cancelMessage"] = "create"
    with pytest.raises(ValueError, match="two methods have one name"):
        model.Reader(API.document, overrides).read()


def test_a_schema_of_no_known_kind_is_reported() -> None:
    document = copy.deepcopy(API.document)
    document["components"]["schemas"]["Message"]["properties"]["to"] = {"type": "tuple"}
    with pytest.raises(ValueError, match=r"Message\.to"):
        model.Reader(document, model.yaml.safe_load(model.OVERRIDES.read_text())).read()


def test_a_file_that_is_no_longer_rendered_is_found() -> None:
    rendered = render.render(API, "python")
    assert render.stale("python", rendered) == []
    rest = {path: text for path, text in rendered.items() if not path.endswith("/lists.py")}
    assert render.stale("python", rest) == ["src/massivesms/resources/lists.py"]


def test_the_signatures_of_the_vectors_are_the_servers() -> None:
    import base64

    from msvs.api.webhooks import signatures

    told = vectors.signatures()
    for case in told["cases"]:
        if case.get("reason") in ("header_missing", "secret_missing"):
            continue
        payload = base64.b64decode(case["payload_base64"])
        tolerance = case.get("tolerance", 300)
        found = signatures.verify(case["header"], payload, case["secret"], now=case["now"], tolerance_seconds=tolerance)
        assert found is case["valid"], case["name"]
    for case in told["signing"]:
        payload = base64.b64decode(case["payload_base64"])
        assert signatures.signature_header([case["secret"]], case["timestamp"], payload) == case["header"]


def test_the_keys_of_the_vectors_are_the_servers() -> None:
    from msvs.api.accounts.keys import parse_key

    for case in vectors.encodings()["keys"]:
        assert parse_key(case["key"]) is case.get("livemode"), case["key"]


def test_pages_and_events_are_known() -> None:
    lists = [method for _, method in API.methods if method.is_page]
    assert len(lists) == sum(1 for _, method in API.methods if method.result.endswith("Page"))
    assert {event.type for event in API.events} == set(API.enum_by_name["EventType"].values)
