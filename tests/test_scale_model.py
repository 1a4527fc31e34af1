"""The simulation behind docs/scale.md, held to cases whose answer is known."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.model import Accepting, predict_accept, predict_campaign, predict_webhooks
from bench.queueing import Machine, Process
from bench.scale import Run


def finish(machine: Machine, number: int, begin: list[float], *, one_process: bool = False) -> float:
    """Run as many pieces of work at once; the seconds until all are done."""
    done: list[None] = []
    process = Process(machine)
    for seconds in begin:
        start = process.do if one_process else machine.compute
        start(seconds, lambda: done.append(None))
    return machine.run(lambda: len(done) == number)


@pytest.mark.parametrize(
    ("cores", "work", "one_process", "seconds"),
    [
        (2, [1.0], False, 1.0),
        (2, [1.0, 1.0], False, 1.0),
        (2, [1.0, 1.0, 1.0, 1.0], False, 2.0),
        (2, [1.0, 1.0, 4.0], False, 4.5),
        (0.5, [1.0], False, 2.0),
        (2, [1.0, 1.0, 1.0], True, 3.0),
    ],
)
def test_work_shares_the_processors(cores: float, work: list[float], one_process: bool, seconds: float) -> None:
    assert finish(Machine(cores), len(work), work, one_process=one_process) == pytest.approx(seconds)


def test_waiting_takes_no_processor() -> None:
    machine = Machine(1)
    done: list[None] = []
    for _ in range(5):
        machine.wait(3.0, lambda: done.append(None))
    machine.compute(1.0, lambda: done.append(None))
    assert machine.run(lambda: len(done) == 6) == 3.0
    with pytest.raises(RuntimeError):
        machine.run(lambda: False)


def costs(**changed: float) -> Accepting:
    usual = {"loader": 1e-5, "api": 4e-4, "api_batch": 0.0, "postgresql": 1e-4, "postgresql_batch": 0.0, "valkey": 0.0}
    return Accepting(**usual, commit=1e-3) if not changed else Accepting(**(usual | {"commit": 1e-3} | changed))


def test_one_process_is_the_limit_while_processors_are_free() -> None:
    for processes in (1, 3):
        rate = predict_accept(costs(postgresql=1e-6, commit=1e-5), processes, cores=8)
        assert rate == pytest.approx(processes / 400e-6, rel=0.05)


def test_then_the_processors_are() -> None:
    """Two of them, with 510 µs a request in all."""
    for processes in (4, 8):
        rate = predict_accept(costs(commit=0.0), processes, cores=2, connections=256)
        assert rate == pytest.approx(2 / 510e-6, rel=0.05)


def test_a_slow_disk_is_shared_by_the_batch() -> None:
    """A client waits for the commit that is on its way when it comes, and for its own: 100 ms."""
    slow = predict_accept(costs(commit=0.05), 1, cores=8)
    assert slow == pytest.approx(32 / 0.1, rel=0.1)


def run_of(what: str, **parts: float) -> Run:
    spent = {name: us * 10_000 / 1e6 for name, us in parts.items()}
    return Run(what, 1, 10_000, 1.0, spent | {"others": 0.0, "wall": 1.0}, 0, 0)


def test_workers_share_what_the_processors_have() -> None:
    """Of the 200 µs a message a worker has 80: more workers help until the processors are full."""
    one = run_of("campaign", postgresql=80.0, valkey=0.0, workers=80.0, expand_and_reports=40.0)
    rates = [predict_campaign(one, workers, cores=2) for workers in (1, 2, 4)]
    assert rates[0] < rates[1]
    assert rates[1] == pytest.approx(rates[2], rel=0.05)
    # The tick before, and the report after, are part of the time.
    assert rates[2] == pytest.approx(10_000 / (10_000 * 200e-6 / 2 + 1.25), rel=0.25)
    # One process expands, and it stays one.
    many = [predict_campaign(one, workers, cores=64) for workers in (16, 64)]
    assert many[0] == pytest.approx(many[1], rel=0.1)


def test_webhooks_wait_for_their_slowest_part() -> None:
    one = run_of("webhooks", postgresql=20.0, valkey=0.0, workers=100.0, receiver=30.0, cron=0.0)
    assert predict_webhooks(one, 1, cores=8) == pytest.approx(10_000 / (10_000 * 100e-6 + 0.25), rel=0.05)
    assert predict_webhooks(one, 8, cores=64) == pytest.approx(10_000 / (10_000 * 30e-6 + 0.25), rel=0.05)


PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of the page."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


INPUTS = {name.strip("`"): float(value) for name, value, *_ in rows_of("Inputs")}
DERIVED = rows_of("Arithmetic")


def compute(node: ast.expr) -> float:
    """Compute a formula of the page."""
    match node:
        case ast.BinOp(left=left, op=sign, right=right):
            return OPERATORS[type(sign)](compute(left), compute(right))
        case ast.Name(id=name):
            return INPUTS[name]
        case ast.Constant(value=int() | float() as value):
            return float(value)
    raise AssertionError(ast.unparse(node))


@pytest.mark.parametrize(("formula", "value"), [row[1:] for row in DERIVED], ids=[row[0] for row in DERIVED])
def test_the_figures_of_the_page_follow_from_its_inputs(formula: str, value: str) -> None:
    decimals = len(value.partition(".")[2])
    assert round(compute(ast.parse(formula.strip("`"), mode="eval").body), decimals) == float(value)


def test_every_input_of_the_page_is_used() -> None:
    used = " ".join(formula for _, formula, _ in DERIVED)
    assert {name for name in INPUTS if not re.search(rf"\b{name}\b", used)} == set()
