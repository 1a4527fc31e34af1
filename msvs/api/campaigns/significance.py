"""Significance: whether variants differ by more than chance would have them, by Pearson's chi-square test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import erfc, exp, pi, sqrt

# With less than this expected in a cell, the test says nothing.
LEAST_EXPECTED = 5
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of a variant: in how many of its messages, out of all that count."""

    successes: int
    messages: int

    @property
    def rate(self) -> Fraction:
        """The part of the messages that succeeded; 0 of none."""
        return Fraction(self.successes, self.messages) if self.messages else Fraction(0)


@dataclass(frozen=True, slots=True)
class Significance:
    """The outcome of the test. All is exact but for `p_value`, in which a float takes the place of a real number."""

    statistic: Fraction
    degrees_of_freedom: int
    p_value: float
    is_enough: bool

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would make such a difference in less than one test of twenty."""
        return self.is_enough and self.p_value < SIGNIFICANT


def compare(samples: Sequence[Sample]) -> Significance:
    """Compare the rates of two to five variants, with the arithmetic of fractions.

    Of two, the statistic is the square of the z of a test of two proportions. Those without a message do not count.
    """
    counted = [sample for sample in samples if sample.messages]
    freedom = len(counted) - 1
    successes = sum(sample.successes for sample in counted)
    messages = sum(sample.messages for sample in counted)
    if freedom < 1 or successes in (0, messages):
        return Significance(Fraction(0), max(freedom, 1), 1.0, is_enough=False)
    rate = Fraction(successes, messages)
    squares = [(each.successes - each.messages * rate) ** 2 / each.messages for each in counted]
    statistic = sum(squares, Fraction(0)) / (rate * (1 - rate))
    smallest = min(sample.messages for sample in counted) * min(rate, 1 - rate)
    return Significance(statistic, freedom, tail(float(statistic), freedom), smallest >= LEAST_EXPECTED)


def tail(statistic: float, freedom: int) -> float:
    """Return how likely so great a statistic is by chance: the tail of the chi-square distribution, in closed form."""
    half = statistic / 2
    if freedom == 1:
        return erfc(sqrt(half))
    if freedom == 2:
        return exp(-half)
    if freedom == 3:
        return erfc(sqrt(half)) + 2 * sqrt(half / pi) * exp(-half)
    return exp(-half) * (1 + half)


def best_of(samples: Sequence[Sample]) -> int:
    """Return the place of the sample with the highest rate: of equal ones, the first."""
    return max(range(len(samples)), key=lambda place: (samples[place].rate, -place))
