"""The conformance run: that it calls every operation, and the samples that it runs."""

from __future__ import annotations

from sdks.conformance import samples
from sdks.conformance.plan import steps
from sdks.conformance.run import REFUSED
from sdks.generator import model
from sdks.generator import samples as guides

OPERATIONS = {
    operation["operationId"] for item in model.load().document["paths"].values() for operation in item.values()
}


def test_every_operation_is_called() -> None:
    """What the sandbox refuses is called once, to be refused; the run itself counts what it has called."""
    assert {step.operation_id for step in steps(1)} | REFUSED == OPERATIONS
    assert not {step.operation_id for step in steps(1)} & REFUSED


def test_a_sample_of_every_operation_is_run() -> None:
    assert {call.method.operation_id for call in samples.shown()} == OPERATIONS
    assert len(guides.called()) > 20


def test_a_sample_that_is_not_sent_is_found() -> None:
    expected = guides.called()
    service = samples.Service(expected)
    assert samples.wrong(service, expected) == [f"{expected[0].method.operation_id} (0): not sent"]
    first = expected[0]
    service.sent.append(samples.Sent(first.method.operation_id, {"moon": "full"}, {}))
    assert samples.wrong(service, expected[:1]) == [f"{first.method.operation_id}: sent {{'moon': 'full'}} {{}}"]
