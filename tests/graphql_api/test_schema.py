"""The schema is the committed contract, and says what everything in it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    is_specified_scalar_type,
)
from strawberry.utils.str_converters import to_camel_case

from msvs.api.accounts.workspaces import UpdateWorkspace
from msvs.api.campaigns.campaigns import CreateCampaign, UpdateCampaign
from msvs.api.campaigns.sequence_requests import CreateSequence, EnrollContact, SequenceStep, UpdateSequence
from msvs.api.contacts.contacts import CreateContact, UpdateContact
from msvs.api.inbound.inbox import AnswerThread
from msvs.api.inbound.keywords import CreateKeyword, UpdateKeyword
from msvs.api.messages.conversion_shapes import CreateConversion, RefundConversion
from msvs.api.messages.messages import SendMessage
from msvs.api.messages.order_hooks import CreateOrderHook, UpdateOrderHook
from msvs.api.webhooks.endpoints import CreateWebhook, UpdateWebhook
from msvs.graphql.schema import schema, sdl

SCHEMA = Path(__file__).parents[2] / "schema.graphql"
# What clients were told they may rely on. Additions join it at a release; nothing leaves it without a new version.
PUBLISHED = Path(__file__).parent / "published.graphql"
TYPES = [
    each
    for name, each in sorted(schema._schema.type_map.items())
    if not name.startswith("__") and not (isinstance(each, GraphQLScalarType) and is_specified_scalar_type(each))
]


def test_the_committed_schema_is_the_schema() -> None:
    assert SCHEMA.read_text() == sdl(), "run `msvs schema > schema.graphql`"


def test_nothing_published_is_broken() -> None:
    published = build_schema(PUBLISHED.read_text())
    changes = find_breaking_changes(published, build_schema(sdl()))
    assert [change.description for change in changes] == []


def undescribed(each: Any) -> list[str]:
    """What of a type has no description."""
    found = [] if each.description else [each.name]
    if isinstance(each, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in each.fields.items():
            found += [] if field.description else [f"{each.name}.{name}"]
            found += [f"{each.name}.{name}({key})" for key, value in field.args.items() if not value.description]
    if isinstance(each, GraphQLInputObjectType):
        found += [f"{each.name}.{name}" for name, field in each.fields.items() if not field.description]
    if isinstance(each, GraphQLEnumType):
        found += [f"{each.name}.{name}" for name, value in each.values.items() if not value.description]
    return found


def test_everything_is_described() -> None:
    assert [name for each in TYPES for name in undescribed(each)] == []


def test_a_mutation_answers_a_union_whose_errors_share_an_interface() -> None:
    mutation, error = schema._schema.mutation_type, schema._schema.type_map["Error"]
    assert mutation is not None
    for name, field in mutation.fields.items():
        assert isinstance(field.type, GraphQLNonNull), name
        result = field.type.of_type
        assert isinstance(result, GraphQLUnionType), name
        # Logging in has two good answers.
        done, *errors = [each for each in result.types if each.name != "SecondFactorNeeded"]
        assert error not in done.interfaces, name
        assert errors, name
        assert all(error in each.interfaces for each in errors), name
        assert "PermissionError" in {each.name for each in errors}, name


def test_pages_take_the_four_arguments() -> None:
    for each in TYPES:
        for name, field in getattr(each, "fields", {}).items():
            kind = getattr(getattr(field, "type", None), "of_type", None)
            if getattr(kind, "name", "").endswith("Connection"):
                assert {"first", "after", "last", "before"} <= field.args.keys(), f"{each.name}.{name}"


# What an input takes has other names here, or is not for this front.
DIFFERENT = {
    "CreateCampaign": {"list_ids": "audience", "segment_id": "audience", "contact_ids": "audience"},
    "UpdateCampaign": {"list_ids": "audience", "segment_id": "audience", "contact_ids": "audience"},
}


@pytest.mark.parametrize(
    ("operation", "input_type"),
    [
        (SendMessage, "SendMessageInput"),
        (CreateCampaign, "CreateCampaignInput"),
        (UpdateCampaign, "UpdateCampaignInput"),
        (CreateConversion, "CreateConversionInput"),
        (CreateOrderHook, "CreateOrderHookInput"),
        (UpdateOrderHook, "UpdateOrderHookInput"),
        (RefundConversion, "RefundConversionInput"),
        (CreateSequence, "CreateSequenceInput"),
        (UpdateSequence, "UpdateSequenceInput"),
        (SequenceStep, "SequenceStepInput"),
        (EnrollContact, "EnrollContactInput"),
        (AnswerThread, "AnswerThreadInput"),
        (CreateContact, "CreateContactInput"),
        (UpdateContact, "UpdateContactInput"),
        (CreateKeyword, "CreateJoinKeywordInput"),
        (UpdateKeyword, "UpdateJoinKeywordInput"),
        (CreateWebhook, "CreateWebhookInput"),
        (UpdateWebhook, "UpdateWebhookInput"),
        (UpdateWorkspace, "UpdateWorkspaceInput"),
    ],
)
def test_inputs_take_what_operations_take(operation: type[Any], input_type: str) -> None:
    names = msgspec.structs.fields(operation) if issubclass(operation, msgspec.Struct) else None
    fields = [field.name for field in names] if names is not None else list(operation.__dataclass_fields__)
    different = DIFFERENT.get(operation.__name__, {})
    wanted = {to_camel_case(different.get(name, name.rstrip("_"))) for name in fields}
    given = schema._schema.type_map[input_type]
    assert isinstance(given, GraphQLInputObjectType)
    assert wanted <= given.fields.keys()
