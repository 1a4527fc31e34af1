"""Documents: parse and validate each once, and cache it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    parse,
    validate,
)

from msvs.api.errors import ErrorCode
from msvs.graphql.limits import MAX_TOKENS, DocumentRefused, check_structure

MAX_KEPT = 500
# A longer document than this is not worth its memory.
MAX_KEPT_LENGTH = 16 * 1024
MAX_ERRORS = 5
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document, ready to be run."""

    node: DocumentNode
    operations: Mapping[str, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation named, or the only one. Raises DocumentRefused."""
        if name is not None:
            found = self.operations.get(name)
            if found is None:
                raise DocumentRefused(f"There is no operation named {name[:80]}.", param="operationName")
            return found
        if len(self.operations) != 1:
            raise DocumentRefused("Name the operation to run: the document has several.", param="operationName")
        return next(iter(self.operations.values()))


class DocumentInvalid(DocumentRefused):
    """400: the document breaks rules of the schema; `entries` says which and where."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message[:MAX_MESSAGE])
        self.errors = errors


class Documents:
    """Parses and validates against one schema, remembering the documents used last."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        self._schema = schema
        self._introspection = introspection
        self._kept: OrderedDict[bytes, Document] = OrderedDict()

    def read(self, text: str) -> Document:
        """Read the document in `text`. Raises DocumentRefused."""
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        document = self._prepare(text)
        if len(text) <= MAX_KEPT_LENGTH:
            self._kept[key] = document
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return document

    def _prepare(self, text: str) -> Document:
        try:
            node = parse(text, max_tokens=MAX_TOKENS)
            introspects = check_structure(node)
            if introspects and not self._introspection:
                raise DocumentRefused(
                    "Introspection is off here; the schema is published.", code=ErrorCode.INTROSPECTION_OFF
                )
            errors = validate(self._schema, node, max_errors=MAX_ERRORS)
        except GraphQLSyntaxError as error:
            raise DocumentInvalid([error]) from None
        except RecursionError:
            raise DocumentRefused("The document is nested too deeply.", code=ErrorCode.DOCUMENT_TOO_DEEP) from None
        if errors:
            raise DocumentInvalid(errors)
        operations = {}
        fragments = {}
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                operations["" if definition.name is None else definition.name.value] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                fragments[definition.name.value] = definition
        if not operations:
            raise DocumentRefused("The document holds no operation.")
        return Document(node, operations, fragments)
