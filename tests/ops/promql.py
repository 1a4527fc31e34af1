"""As much of Prometheus' query language as alert rules and dashboards use, over scrapes of /metrics."""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
# Each scrape by its time in seconds: series, with its name as the label `__name__`, and value.
Scrapes = Mapping[float, Vector]

LINE = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$")
PAIR = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
TOKEN = re.compile(
    r'\s*(?:(?P<span>\d+[smh])|(?P<number>\d+(?:\.\d+)?)(?![a-z])|(?P<name>[a-z_]+)|(?P<text>"[^"]*")|(?P<op>>=|<=|==|=~|!=|[-<>/(){}\[\],=])'
    r")"
)
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_scrape(text: str) -> Vector:
    """The series of a scrape."""
    vector = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = LINE.match(line)
        assert found is not None, line
        labels = frozenset({("__name__", found[1]), *PAIR.findall(found[2] or "")})
        vector[labels] = float(found[3])
    return vector


def seconds(span: str) -> float:
    """The seconds of a duration such as 5m."""
    return int(span[:-1]) * SECONDS[span[-1]]


def evaluate(expression: str, scrapes: Scrapes, at: float) -> Vector:
    """The vector of an expression at a time."""
    query = _Query(expression, scrapes, at)
    found = query.both()
    assert query.peek is None, f"not understood: {query.peek}"
    assert isinstance(found, dict)
    return found


class _Query:
    """A parser that evaluates as it reads."""

    def __init__(self, text: str, scrapes: Scrapes, at: float) -> None:
        self.tokens = self._tokens(text)
        self.scrapes, self.at = scrapes, at
        self.peek: str | None = None
        self.take()

    @staticmethod
    def _tokens(text: str) -> Iterator[str]:
        position, text = 0, text.strip()
        while position < len(text):
            found = TOKEN.match(text, position)
            assert found is not None, text[position:]
            yield found[0].strip()
            position = found.end()

    def take(self, expected: str | None = None) -> str:
        taken = self.peek
        assert expected in (None, taken), (expected, taken)
        self.peek = next(self.tokens, None)
        return taken or ""

    def both(self) -> Any:
        left = self.compared()
        while self.peek == "and":
            self.take()
            right = self.compared()
            kept = {_without(labels, "__name__") for labels in right}
            left = {labels: value for labels, value in left.items() if _without(labels, "__name__") in kept}
        return left

    def compared(self) -> Any:
        left = self.divided()
        while self.peek in COMPARE:
            compare = COMPARE[self.take()]
            left = self._matched(left, lambda one, other, compare=compare: one if compare(one, other) else None)
        return left

    def divided(self) -> Any:
        left = self.atom()
        while self.peek == "/":
            self.take()
            left = self._matched(left, lambda one, other: one / other if other else None, self.atom)
        return left

    def _matched(self, left: Any, combine: Any, read: Callable[[], Any] | None = None) -> Vector:
        ignored = self._ignored()
        right = (read or self.divided)()
        found = {}
        for labels, value in left.items():
            if isinstance(right, float):
                other: float | None = right
            else:
                key = _without(labels, "__name__", *ignored)
                other = next(
                    (each for name, each in right.items() if _without(name, "__name__", *ignored) == key), None
                )
            combined = None if other is None else combine(value, other)
            if combined is not None:
                found[labels] = combined
        return found

    def _ignored(self) -> Sequence[str]:
        if self.peek != "ignoring":
            return ()
        self.take()
        self.take("(")
        label = self.take()
        self.take(")")
        return (label,)

    def atom(self) -> Any:
        token = self.take()
        if token[0].isdigit():
            return float(token)
        kept = self._labels() if token == "sum" and self.peek == "by" else []
        if self.peek != "(":
            return self._select(token, self.at)
        self.take("(")
        if token == "histogram_quantile":
            quantile = float(self.take())
            self.take(",")
            found = _quantile(quantile, self.both())
        else:
            found = _sum(self.both(), kept) if token == "sum" else self._over_time(token)
        self.take(")")
        return found

    def _labels(self) -> list[str]:
        self.take("by")
        self.take("(")
        labels = [self.take()]
        while self.peek == ",":
            self.take()
            labels.append(self.take())
        self.take(")")
        return labels

    def _over_time(self, function: str) -> Vector:
        select = self._selector(self.take())
        self.take("[")
        span = seconds(self.take())
        self.take("]")
        points: dict[Labels, list[float]] = defaultdict(list)
        for time in sorted(self.scrapes):
            if self.at - span <= time <= self.at:
                for labels, value in select(self.scrapes[time]).items():
                    points[labels].append(value)
        return {labels: _reduce(function, values, span) for labels, values in points.items() if len(values) > 1}

    def _select(self, name: str, at: float) -> Vector:
        return self._selector(name)(self.scrapes[at])

    def _selector(self, name: str) -> Callable[[Vector], Vector]:
        wanted = [("__name__", "=", name)]
        if self.peek == "{":
            self.take()
            while self.peek != "}":
                wanted.append((self.take(), self.take(), self.take().strip('"')))
                if self.peek == ",":
                    self.take()
            self.take("}")

        def matches(labels: Labels) -> bool:
            values = dict(labels)
            return all(
                re.fullmatch(text if how == "=~" else re.escape(text), values.get(label, ""))
                for label, how, text in wanted
            )

        return lambda vector: {labels: value for labels, value in vector.items() if matches(labels)}


def _without(labels: Labels, *names: str) -> Labels:
    return frozenset(pair for pair in labels if pair[0] not in names)


def _sum(vector: Vector, kept: Sequence[str]) -> Vector:
    sums: dict[Labels, float] = defaultdict(float)
    for labels, value in vector.items():
        sums[frozenset(pair for pair in labels if pair[0] in kept)] += value
    return dict(sums)


def _quantile(quantile: float, buckets: Vector) -> Vector:
    """The quantile of each histogram, by the bounds of its buckets; none of what has no buckets."""
    histograms: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        bound = dict(labels).get("le")
        if bound is not None:
            histograms[_without(labels, "le")].append((float(bound), count))
    found = {}
    for labels, counts in histograms.items():
        lower, before = 0.0, 0.0
        total = max(count for _, count in counts)
        for bound, count in sorted(counts):
            if count >= quantile * total:
                share = (quantile * total - before) / (count - before) if count > before else 0.0
                found[labels] = lower if bound == float("inf") else lower + (bound - lower) * share
                break
            lower, before = bound, count
    return found


def _reduce(function: str, values: Sequence[float], span: float) -> float:
    if function == "min_over_time":
        return min(values)
    if function == "delta":
        return values[-1] - values[0]
    assert function == "rate", function
    return sum(max(0.0, later - earlier) for earlier, later in pairwise(values)) / span
