"""Limits of documents, checked before validation, and their cost, checked before execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.messages.statistics import MAX_BUCKETS
from msvs.api.pages import DEFAULT_LIMIT, MAX_LIMIT
from msvs.graphql.scalars import read_time

MAX_TOKENS = 2000
MAX_DEPTH = 12
MAX_ALIASES = 50
MAX_DIRECTIVES = 50
MAX_FRAGMENTS = 30
MAX_OPERATIONS = 10
# Validation compares fields of one name pair by pair, across the fragments that meet in one place.
MAX_FIELDS = 400
MAX_SPREADS = 40
MAX_REPEATS = 4

MAX_COST = 10_000
COST_A_TOKEN = 100
# A mutation with a small answer costs what a REST call does: one token of the bucket.
MUTATION_COST = 90
# What each message of a batch costs beside its answer; 1,000 are about as much as a document may cost.
BATCH_MESSAGE_COST = 5
# Fields of the query that read or render many rows to answer with few.
HEAVY: Mapping[str, int] = {
    **dict.fromkeys(("campaignPreview", "campaignReconciliation", "contactExport"), 500),
    **dict.fromkeys(("activity", "audienceGrowth", "campaignActivity", "conversionActivity", "deliverability"), 300),
    "search": 200,
    **dict.fromkeys(("conversationOverview", "errorCatalogue", "regions", "segmentFields", "sequenceStats"), 100),
    "conversionTotals": 100,
}
# A list whose length no argument bounds.
PLAIN_LIST = 10
# Short lists of scalars, which add nothing to the cost of their parent.
SHORT_LISTS = frozenset(
    (
        *(("ActivityPoint", "messages"), ("AudiencePoint", "sources"), ("DeliverabilityGroup", "messages")),
        ("ConversionPoint", "currencies"),
        *(("Connector", "settings"), ("ConnectorSetting", "choices")),
        ("Region", "closedWeekdays"),
    )
)
# As long as the list of messages that was sent.
BATCH_ANSWER = ("MessageBatch", "data")
# What counting costs beside reading an item, by the type that the counted belong to: all rows of a workspace cost as
# much as a REST call, those of a contact are few.
COUNT_COSTS: Mapping[str, int] = {"Query": 100, "Credits": 100, "Contact": 10}
COUNT_COST = 50
COUNTS = frozenset(("totalCount", "contactCount", "segmentPreview"))
# Counted when a contact joins or leaves, not when they are read.
KEPT_COUNTS = frozenset((("ContactList", "contactCount"),))
# The points of a series by its interval.
SERIES = frozenset(("activity", "audienceGrowth", "campaignActivity", "conversionActivity"))
POINTS = {
    "MINUTE": timedelta(minutes=1),
    "HOUR": timedelta(hours=1),
    "DAY": timedelta(days=1),
    "WEEK": timedelta(weeks=1),
}
WRAPPERS = ("Edge", "Connection", "PageInfo")


class DocumentRefused(InvalidRequest):
    """400: the document is malformed, or larger in some way than any should be."""

    default_code = ErrorCode.DOCUMENT_INVALID


def check_structure(document: DocumentNode) -> bool:
    """Refuse a document that would be costly to validate. Return whether it introspects. Raises DocumentRefused."""
    return _Structure(document).check()


class _Structure:
    """One look at a document: linear in its size, no matter what its fragments refer to."""

    def __init__(self, document: DocumentNode) -> None:
        self.document = document
        self.fragments: dict[str, FragmentDefinitionNode] = {}
        self.depths: dict[str, int | None] = {}
        self.fields = 0
        self.aliases = 0
        self.directives = 0
        self.spreads = 0
        self.introspects = False

    def check(self) -> bool:
        operations = 0
        for definition in self.document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self.fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                operations += 1
            else:
                raise DocumentRefused("A document holds operations and fragments, nothing else.")
        _at_most(operations, MAX_OPERATIONS, "operations")
        _at_most(len(self.document.definitions) - operations, MAX_FRAGMENTS, "fragments")
        for definition in self.document.definitions:
            self.scan(definition)
        _at_most(self.fields, MAX_FIELDS, "fields")
        _at_most(self.aliases, MAX_ALIASES, "aliases")
        _at_most(self.directives, MAX_DIRECTIVES, "directives")
        _at_most(self.spreads, MAX_SPREADS, "fragment spreads")
        for name in self.fragments:
            self.fragment_depth(name)
        for definition in self.document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self.depth(definition.selection_set, 1)
        return self.introspects

    def scan(self, definition: Node) -> None:
        """Count what validation would compare."""
        waiting: list[Node] = [definition]
        while waiting:
            node = waiting.pop()
            if isinstance(node, FieldNode):
                self.fields += 1
                self.aliases += node.alias is not None
                self.introspects |= node.name.value in ("__schema", "__type")
            elif isinstance(node, FragmentSpreadNode | InlineFragmentNode):
                self.spreads += 1
            elif isinstance(node, SelectionSetNode):
                self.check_repeats(node)
            elif isinstance(node, StringValueNode):
                if "\0" in node.value:
                    raise DocumentRefused("A string holds a NUL character.")
                continue
            self.directives += len(getattr(node, "directives", None) or ())
            for key in node.keys:
                child = getattr(node, key, None)
                if isinstance(child, Node):
                    waiting.append(child)
                elif isinstance(child, list | tuple):
                    waiting += child

    def check_repeats(self, node: SelectionSetNode) -> None:
        if len(node.selections) <= MAX_REPEATS:
            return
        names = Counter(
            (each.alias or each.name).value if isinstance(each, FieldNode) else "..." for each in node.selections
        )
        del names["..."]
        for name, count in names.items():
            _at_most(count, MAX_REPEATS, f"times {name[:40]} in one selection")

    def depth(self, node: SelectionSetNode | None, level: int) -> int:
        """Return how many levels of fields there are below and with `node`."""
        if node is None:
            return 0
        deepest = 0
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                # What introspection nests has a rule of its own.
                inner = selection.selection_set if not selection.name.value.startswith("__") else None
                deepest = max(deepest, 1 + self.depth(inner, level + 1))
            elif isinstance(selection, InlineFragmentNode):
                deepest = max(deepest, self.depth(selection.selection_set, level))
            elif isinstance(selection, FragmentSpreadNode):
                deepest = max(deepest, self.fragment_depth(selection.name.value))
            if level + deepest - 1 > MAX_DEPTH:
                raise DocumentRefused(
                    f"The document is deeper than {MAX_DEPTH} levels.", code=ErrorCode.DOCUMENT_TOO_DEEP
                )
        return deepest

    def fragment_depth(self, name: str) -> int:
        if name not in self.depths:
            fragment = self.fragments.get(name)
            if fragment is None:
                return 0
            self.depths[name] = None
            introspects = fragment.type_condition.name.value.startswith("__")
            depth = self.depth(fragment.selection_set, -MAX_TOKENS if introspects else 1)
            self.depths[name] = 1 if introspects else depth
        found = self.depths[name]
        if found is None:
            raise DocumentRefused(f"The fragment {name[:40]} contains itself.", code=ErrorCode.FRAGMENT_CYCLE)
        return found


def _at_most(count: int, limit: int, noun: str) -> None:
    if count > limit:
        raise DocumentRefused(f"A document may have at most {limit} {noun}.", code=ErrorCode.DOCUMENT_TOO_LARGE)


def weigh(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, object],
) -> int:
    """Return how many nodes an operation may return, the counts it takes and its mutations included; at least 1."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    return max(1, _Scale(schema, operation, fragments, variables).weigh(root, operation.selection_set, 1))


class _Scale:
    """One weighing of a valid document; each fragment is weighed once a page size."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, object],
    ) -> None:
        self.schema = schema
        self.mutation = schema.mutation_type if operation.operation is OperationType.MUTATION else None
        self.fragments = fragments
        self.defaults = {each.variable.name.value: each.default_value for each in operation.variable_definitions or ()}
        self.variables = variables
        self.weighed: dict[tuple[str, int, str], int] = {}
        # The type that the connection being weighed belongs to.
        self.owner = ""
        # How many messages the mutation being weighed sends.
        self.batch = 0

    def weigh(self, parent: GraphQLCompositeType, node: SelectionSetNode | None, size: int) -> int:
        """Return the cost of one object of `parent`; `size` is the page's where that object is a page."""
        if node is None:
            return 0
        total = 0
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                total += self.field(parent, selection, size)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = parent if condition is None else self.schema.get_type(condition.name.value)
                if is_composite_type(inner):
                    total += self.weigh(inner, selection.selection_set, size)
            elif isinstance(selection, FragmentSpreadNode):
                total += self.fragment(selection.name.value, size)
        return total

    def fragment(self, name: str, size: int) -> int:
        key = (name, size, self.owner)
        if key not in self.weighed:
            fragment = self.fragments[name]
            inner = self.schema.get_type(fragment.type_condition.name.value)
            self.weighed[key] = self.weigh(inner, fragment.selection_set, size) if is_composite_type(inner) else 0
        return self.weighed[key]

    def field(self, parent: GraphQLCompositeType, node: FieldNode, size: int) -> int:
        name = node.name.value
        if name.startswith("__"):
            return 1 if name in ("__schema", "__type") else 0
        definition = getattr(parent, "fields", {})[name]
        kind = get_named_type(definition.type)
        own = MUTATION_COST if parent is self.mutation else 0
        if parent is self.mutation:
            self.batch = self.messages(node)
            own += self.batch * BATCH_MESSAGE_COST
        if parent is self.schema.query_type:
            own = HEAVY.get(name, 0)
        if not is_composite_type(kind):
            if name not in COUNTS or (parent.name, name) in KEPT_COUNTS:
                return own
            return own + COUNT_COSTS.get(self.owner if name == "totalCount" else parent.name, COUNT_COST)
        page = self.page_size(node) if "first" in definition.args else 1
        owner, self.owner = self.owner, parent.name
        each = (0 if kind.name.endswith(WRAPPERS) else 1) + self.weigh(kind, node.selection_set, page)
        self.owner = owner
        if not is_list_type(get_nullable_type(definition.type)):
            return own + each
        if parent.name.endswith("Connection"):
            return own + size * each
        if (parent.name, name) == BATCH_ANSWER:
            return own + self.batch * each
        return own + (1 if (parent.name, name) in SHORT_LISTS else self.list_size(node)) * each

    def messages(self, node: FieldNode) -> int:
        """Return how many messages a mutation's input lists."""
        if node.name.value != "sendMessages":
            return 0
        (argument,) = [each for each in node.arguments or () if each.name.value == "input"]
        listed: object = argument.value
        if isinstance(listed, ObjectValueNode):
            listed = next((self.value(each.value) for each in listed.fields if each.name.value == "messages"), None)
        else:
            given = self.value(listed)
            listed = given.get("messages") if isinstance(given, Mapping) else None
        # One that is no list stands for a list of it.
        return len(listed) if isinstance(listed, list) else 1

    def page_size(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                number = self.value(argument.value)
                # A variable of 100.0 is an Int of 100 to the executor.
                if isinstance(number, int | float):
                    return min(max(int(number), 1), MAX_LIMIT)
        return DEFAULT_LIMIT

    def list_size(self, node: FieldNode) -> int:
        if node.name.value in SERIES:
            return self.points(node)
        for argument in node.arguments or ():
            if argument.name.value == "ids":
                value = self.value(argument.value)
                return len(value) if isinstance(value, list) else 1
        return PLAIN_LIST

    def points(self, node: FieldNode) -> int:
        """Return how many points are asked for; as many as there may be where that cannot be told."""
        given = {argument.name.value: self.value(argument.value) for argument in node.arguments or ()}
        try:
            span = read_time(given.get("until")) - read_time(given.get("since"))
        except ValueError:
            return MAX_BUCKETS
        # The first and the last may be there in part.
        return min(max(span // POINTS.get(str(given.get("interval")), POINTS["MINUTE"]), 0) + 2, MAX_BUCKETS)

    def value(self, node: object) -> object:
        """Return a number, a text, the name of an enum's value, or something as long as the list that stands there."""
        if isinstance(node, VariableNode):
            name = node.name.value
            return self.variables[name] if name in self.variables else self.value(self.defaults.get(name))
        if isinstance(node, IntValueNode):
            # Longer ones are out of every range.
            return int(node.value[:12])
        if isinstance(node, StringValueNode | EnumValueNode):
            return node.value
        return list(node.values) if isinstance(node, ListValueNode) else None


def tokens_for(cost: int) -> int:
    """Return the tokens of the rate bucket that a cost takes."""
    return -(-cost // COST_A_TOKEN)
