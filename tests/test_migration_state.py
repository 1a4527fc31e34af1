"""The state that migrations are run with: what Tortoise's says, for a tenth of the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from tortoise.migrations import operations as ops
from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.graph import MigrationKey
from tortoise.migrations.schema_generator.state import State
from tortoise.migrations.schema_generator.state_apps import StateApps

from msvs import database as db
from msvs.migration_state import Executor

# Tortoise's own executor takes a second for so many, and a minute for all.
FEW = 12


def keys(executor: MigrationExecutor, number: int | None = None) -> set[MigrationKey]:
    """The first migrations, in their order."""
    return set(executor._full_plan()[:number])


async def project(kind: type[MigrationExecutor], number: int | None = None) -> State:
    """The state after the first migrations."""
    executor = kind(db.client(), cast(Any, db.tortoise_config("postgresql://")["apps"]))
    await executor.loader.build_graph()
    return await executor._project_state(keys(executor, number))


def tables(state: State) -> Iterator[tuple[object, ...]]:
    """What the schema editor reads of the models."""
    for models in state.apps.apps.values():
        for name, model in sorted(models.items()):
            meta = model._meta
            fields = {key: (type(field), field.null, field.source_field) for key, field in meta.fields_map.items()}
            indexes = [str(index) for index in meta.indexes]
            yield name, meta.db_table, meta.db_pk_column, fields, meta.fields_db_projection, indexes, meta.constraints


@pytest.mark.usefixtures("database")
async def test_it_says_what_the_state_of_tortoise_says() -> None:
    ours, theirs = await project(Executor, FEW), await project(MigrationExecutor, FEW)
    assert len(list(tables(ours))) > 10
    assert [row[:-1] for row in tables(ours)] == [row[:-1] for row in tables(theirs)]


@pytest.mark.usefixtures("database")
async def test_no_queries_are_built_for_it() -> None:
    state = await project(Executor)
    assert [model for models in state.apps.apps.values() for model in models.values() if model._meta.filters] == []


@pytest.mark.usefixtures("database")
async def test_the_models_before_an_operation_are_built_only_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    state = await project(Executor, FEW)
    built = []
    clone = StateApps.clone
    monkeypatch.setattr(StateApps, "clone", lambda self, **more: built.append(self) or clone(self, **more))
    before = state.clone()
    ops.RemoveField("Contact", "first_name").state_forward("msvs", state)
    assert built == []
    assert "first_name" in before.apps.get_model("msvs.Contact")._meta.fields_map
    assert "first_name" not in state.apps.get_model("msvs.Contact")._meta.fields_map
    assert len(built) == 1
