"""Every operation of docs/graphql runs, answers what it should, and takes a fixed number of SQL statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from msvs.api import auth
from msvs.api.context import Context
from tests import factories
from tests.graphql_api.conftest import Callers
from tests.graphql_api.operations import OPERATIONS, Operation
from tests.graphql_api.studio import make_studio

DOCUMENTS = Path(__file__).parents[2] / "docs" / "graphql"


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements run meanwhile, those that find out who is asking left out."""
    run: list[str] = []
    execute = asyncpg.Connection._execute

    async def note(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if query not in (auth.FIND, auth.TOUCH):
            run.append(query)
        return await execute(self, query, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", note)
        yield run


def at(data: Any, path: str) -> Any:
    """What stands at a dotted path."""
    for part in path.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def test_every_document_is_run() -> None:
    assert sorted(path.stem for path in DOCUMENTS.glob("*.graphql")) == sorted(each.name for each in OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_operation(operation: Operation, callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    # A workspace of its own, in place of empty tables, which take longer.
    workspace = await factories.make_workspace()
    ctx = Context(workspace.id, livemode=False, actor="test")
    studio = await make_studio(ctx, workspace)
    document = (DOCUMENTS / f"{operation.name}.graphql").read_text()
    variables = operation.variables(studio)
    caller = await callers(ctx)
    with statements(monkeypatch) as run:
        data = await caller.run(document, variables)
    assert {path: at(data, path) for path in operation.answers(studio)} == operation.answers(studio)
    assert len(run) == operation.statements, "\n".join(run)
