"""Find the operation that a request asks for, in its document or among stored ones, and compute its cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, OperationDefinitionNode, OperationType
from graphql.language import SelectionSetNode

from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.permissions import Permission, require_scope
from msvs.graphql.body import Request
from msvs.graphql.documents import Document, Documents
from msvs.graphql.limits import MAX_COST, DocumentRefused, weigh
from msvs.graphql.rows import read_rows
from msvs.graphql.schema import schema
from msvs.graphql.scopes import permissions_of
from msvs.settings import Settings, SettingsError


class CostTooHigh(DocumentRefused):
    """400: the operation may return more than one request should."""

    default_code = ErrorCode.COST_TOO_HIGH


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, ready to be run."""

    text: str
    document: Document
    node: OperationDefinitionNode
    variables: dict[str, object]
    # The rows of a bulk mutation that cannot be read, by the phone of the row in their place.
    refused_rows: Mapping[str, InvalidRequest] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """Its name, where it has one."""
        return None if self.node.name is None else self.node.name.value

    @property
    def is_subscription(self) -> bool:
        """Whether it answers as things happen, rather than once."""
        return self.node.operation is OperationType.SUBSCRIPTION

    @property
    def is_mutation(self) -> bool:
        """Whether it changes something."""
        return self.node.operation is OperationType.MUTATION

    def weigh(self, limit: int = MAX_COST) -> int:
        """Its cost in nodes. Raises CostTooHigh."""
        cost = weigh(schema._schema, self.node, self.document.fragments, self.variables)
        if cost > limit:
            raise CostTooHigh(
                f"The operation may return {cost} nodes; at most {limit} are allowed.", cost=cost, limit=limit
            )
        return cost

    def check_scopes(self, ctx: Context | None) -> None:
        """Refuse a key that lacks a scope for what is read. Raises PermissionDenied code `scope_missing`."""
        if ctx is None or ctx.scopes is None:
            return
        for permission in sorted(self.permissions()):
            require_scope(ctx, permission)

    def permissions(self) -> frozenset[Permission]:
        """Return what it asks of a key beside its mutations."""
        return permissions_of(schema._schema, self.node, self.document.fragments)

    def root_fields(self) -> list[FieldNode]:
        """Return its fields, those of fragments among them."""
        found: list[FieldNode] = []
        waiting: list[SelectionSetNode] = [self.node.selection_set]
        seen: set[str] = set()
        while waiting:
            for each in waiting.pop().selections:
                if isinstance(each, FieldNode):
                    found.append(each)
                elif isinstance(each, InlineFragmentNode):
                    waiting.append(each.selection_set)
                elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                    seen.add(each.name.value)
                    waiting.append(self.document.fragments[each.name.value].selection_set)
        return found


class Operations:
    """Finds operations by the rules of one installation."""

    def __init__(self, settings: Settings, own: Mapping[str, str] | None = None) -> None:
        """`own` are the documents of the service's own pages by their ids, which are run even where no others are."""
        self._documents = Documents(schema._schema, introspection=not settings.is_production)
        self._kept: Mapping[str, str] = {}
        if settings.persisted_operations is not None:
            self._kept = self._read_kept(settings.persisted_operations)
        self._kept = {**self._kept, **(own or {})}
        self._only_kept = settings.is_production and settings.persisted_operations is not None

    def find(self, request: Request) -> Operation:
        """Find the operation that a request asks for. Raises the flaw of its variables, or DocumentRefused."""
        if request.flaw is None:
            return self._find(request)
        try:
            operation = self._find(request)
        except DocumentRefused:
            raise request.flaw from None
        variables, refused = read_rows(operation.root_fields(), request.variables, request.flaw)
        return replace(operation, variables=variables, refused_rows=refused)

    def _find(self, request: Request) -> Operation:
        text = request.query
        if text is None and request.is_hashed:
            # The message that clients know; they send the document then.
            raise DocumentRefused("PersistedQueryNotSupported", code=ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED)
        if request.id is not None:
            text = self._kept.get(request.id)
            if text is None:
                raise DocumentRefused(
                    f"There is no operation kept under the id {request.id[:80]}.",
                    param="id",
                    code=ErrorCode.OPERATION_UNKNOWN,
                )
        elif self._only_kept:
            raise DocumentRefused(
                "Only operations kept on the server are run here: send the id of one.",
                code=ErrorCode.OPERATION_NOT_KEPT,
            )
        assert text is not None
        document = self._documents.read(text)
        return Operation(text, document, document.operation(request.operation_name), request.variables)

    def _read_kept(self, path: Path) -> Mapping[str, str]:
        """Read the documents of a JSON file by their ids. Raises SettingsError."""
        name = "MSVS_PERSISTED_OPERATIONS"
        try:
            kept = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{name}: {path} cannot be read as JSON: {error}") from None
        if not isinstance(kept, dict) or not all(isinstance(text, str) for text in kept.values()):
            raise SettingsError(f"{name}: {path} must hold an object of ids and documents")
        for id, text in kept.items():
            try:
                self._documents.read(text)
            except DocumentRefused as error:
                raise SettingsError(f"{name}: {id} is not a document of this schema: {error.message}") from None
        return kept
