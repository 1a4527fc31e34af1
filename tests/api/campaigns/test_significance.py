"""Significance: known values, exactness, and what too few messages say."""

from __future__ import annotations

from fractions import Fraction
from math import isclose

import pytest

from msvs.api.campaigns.significance import Sample, best_of, compare, tail


def samples(*pairs: tuple[int, int]) -> list[Sample]:
    return [Sample(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("pairs", "statistic", "freedom", "p_value"),
    [
        # Pearson's test without a correction, from tables of the distribution.
        ([(30, 100), (50, 100)], Fraction(25, 3), 1, 0.003892417122778637),
        ([(10, 100), (10, 100)], Fraction(0), 1, 1.0),
        ([(10, 100), (20, 100), (30, 100)], Fraction(25, 2), 2, 0.0019304541362277093),
        ([(40, 100), (50, 100), (60, 100), (50, 100)], Fraction(8), 3, 0.046011705689231346),
    ],
)
def test_the_statistic_is_exact(
    pairs: list[tuple[int, int]], statistic: Fraction, freedom: int, p_value: float
) -> None:
    found = compare(samples(*pairs))
    assert (found.statistic, found.degrees_of_freedom) == (statistic, freedom)
    assert isclose(found.p_value, p_value, rel_tol=1e-9)
    assert found.is_enough


def test_of_two_variants_it_is_the_square_of_the_z_of_two_proportions() -> None:
    (a, b) = samples((87, 1240), (121, 1251))
    pooled = Fraction(a.successes + b.successes, a.messages + b.messages)
    variance = pooled * (1 - pooled) * (Fraction(1, a.messages) + Fraction(1, b.messages))
    assert compare([a, b]).statistic == (a.rate - b.rate) ** 2 / variance


@pytest.mark.parametrize(
    ("freedom", "critical"),
    [(1, 3.841458820694124), (2, 5.991464547107979), (3, 7.814727903251179), (4, 9.487729036781154)],
)
def test_the_tail_is_five_percent_at_the_critical_values(freedom: int, critical: float) -> None:
    assert isclose(tail(critical, freedom), 0.05, rel_tol=1e-9)


@pytest.mark.parametrize(
    "pairs", [[(0, 0), (0, 0)], [(3, 10), (0, 0)], [(0, 500), (0, 500)], [(9, 9), (8, 8)], [(1, 20), (3, 20)]]
)
def test_too_few_say_nothing(pairs: list[tuple[int, int]]) -> None:
    found = compare(samples(*pairs))
    assert not found.is_enough
    assert not found.is_significant


def test_the_best_is_the_highest_rate_and_of_equal_ones_the_first() -> None:
    assert best_of(samples((1, 3), (2, 6), (1, 4))) == 0
    assert best_of(samples((333_333_333, 10**9), (1, 3))) == 1
    assert best_of(samples((0, 0), (0, 0))) == 0
    assert best_of(samples((0, 0), (1, 1000))) == 1
