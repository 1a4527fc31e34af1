"""GraphQL inputs are made of the requests that operations take, and requests of inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import pytest
import strawberry
from msgspec import UNSET, UnsetType
from strawberry.schema.config import StrawberryConfig

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.fields import REQUIRED, AwareTime, Ref, Request, about
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.scalars import SCALARS
from msvs.json_types import JSONObject
from tests import factories
from tests.graphql_api.conftest import Caller


class _Entry(Request, frozen=True):
    """An entry."""

    source: Annotated[str, REQUIRED, about("Where.")] | None = None


class _LooseEntry(_Entry, frozen=True):
    """An entry of many."""


class _Make(Request, frozen=True):
    """A thing to make."""

    name: Annotated[str, about("Its name.", maxLength=5)]
    list_id: Annotated[str, Ref("lst"), about("Its list.")] | None = None
    entries: Annotated[list[_LooseEntry], about("Its entries.")] | None = None
    is_new: Annotated[bool, about("Whether it is new.")] = False


class _Change(Request, frozen=True):
    """What to change."""

    name: Annotated[str, about("Its name.")] | UnsetType = UNSET
    at: Annotated[AwareTime, about("When.")] | UnsetType | None = UNSET
    entry: Annotated[_Entry, about("Its entry.")] | UnsetType = UNSET
    values: Annotated[JSONObject, about("Its values.")] | UnsetType = UNSET


@request_input(_Entry)
class EntryInput:
    pass


@request_input(_Make, entries=EntryInput)
class MakeInput:
    pass


@request_input(_Change, entry=EntryInput)
class ChangeInput:
    pass


@strawberry.type
class _Query:
    @strawberry.field
    def told(self, make: MakeInput | None = None, change: ChangeInput | None = None) -> str:
        return repr(read_input(_Make, make) if make else read_input(_Change, change))


SCHEMA = strawberry.Schema(_Query, config=StrawberryConfig(scalar_map=dict(SCALARS)))

PRINTED = (
    '"""An entry."""\ninput EntryInput {\n  """Where."""\n  source: String!\n}',
    '"""A thing to make."""\ninput MakeInput {\n  """Its name."""\n  name: String!\n\n  """Its list."""\n'
    '  listId: ID = null\n\n  """Its entries."""\n  entries: [EntryInput!] = null\n\n'
    '  """Whether it is new."""\n  isNew: Boolean! = false\n}',
    '"""What to change."""\ninput ChangeInput {\n  """Its name. Cannot be null."""\n  name: String\n\n  """When."""\n'
    '  at: DateTime\n\n  """Its entry. Cannot be null."""\n  entry: EntryInput\n\n'
    '  """Its values. Cannot be null."""\n  values: JSONObject\n}',
)


@pytest.mark.parametrize("printed", PRINTED)
def test_an_input_has_the_fields_of_its_request(printed: str) -> None:
    assert printed in SCHEMA.as_str()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('make: {name: "a"}', _Make("a")),
        (
            'make: {name: "a", listId: "lst_1", entries: [{source: "web"}], isNew: true}',
            _Make("a", "lst_1", [_LooseEntry("web")], True),
        ),
        ("change: {}", _Change()),
        (
            'change: {name: "b", at: null, entry: {source: "web"}, values: {tier: null}}',
            _Change("b", None, _Entry("web"), {"tier": None}),
        ),
        ('change: {at: "2026-05-01T20:00:00Z"}', _Change(at=datetime(2026, 5, 1, 20, tzinfo=UTC))),
    ],
)
def test_a_request_is_made_of_what_was_given(given: str, expected: Request) -> None:
    done = SCHEMA.execute_sync(f"{{ told({given}) }}")
    assert (done.errors, done.data) == (None, {"told": repr(expected)})


@pytest.mark.parametrize("name", ["name", "entry", "values"])
def test_what_cannot_be_cleared_is_refused(name: str) -> None:
    done = SCHEMA.execute_sync(f"{{ told(change: {{{name}: null}}) }}")
    assert done.errors is not None
    error = done.errors[0].original_error
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.param) == (f"{name} cannot be null; leave it out to keep it.", name)


async def test_the_metadata_of_a_preview_is_ignored(caller: Caller, ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    asked = "query ($input: PreviewCampaignInput!) { campaignPreview(input: $input) { recipientCount } }"
    told = {"body": "Doors open.", "audience": {"contactIds": [ids.encode_id(ids.CONTACT, contact.id)]}}
    for metadata in ({"": "x"}, {"a": {"b": [1]}}, {f"k{at}": at for at in range(21)}, None):
        answer = await caller.run(asked, {"input": {**told, "metadata": metadata}})
        assert answer == {"campaignPreview": {"recipientCount": 1}}
