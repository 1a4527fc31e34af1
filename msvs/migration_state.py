"""Runs migrations without building queries for each state of the models, or copies that no operation reads."""

from __future__ import annotations

from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.graph import MigrationKey
from tortoise.migrations.schema_generator.state import State
from tortoise.migrations.schema_generator.state_apps import StateApps


class _Tables(StateApps):
    """Models that describe tables to the schema editor and are never queried.

    Tortoise prepares filters and a query for every model after every operation, which is most of a migration's time.
    """

    def _build_initial_querysets(self) -> None:
        for models in self.apps.values():
            for model in models.values():
                if model._meta._inited:
                    model._meta.finalise_fields()
                    model._meta._resolve_index_expressions()


class _Before(State):
    """The state before an operation; its models are built only if the operation reads them, which few do."""

    def __init__(self, state: State) -> None:
        self.models = {key: model.clone() for key, model in state.models.items()}
        self._current = state.apps
        self._built: StateApps | None = None

    @property
    def apps(self) -> StateApps:  # type: ignore[override]
        """Return the models of this state."""
        if self._built is None:
            self._built = self._current.clone(model_states=self.models)
        return self._built


class _State(State):
    def clone(self) -> State:
        return _Before(self)


class Executor(MigrationExecutor):
    """Tortoise's executor, whose time does not grow with the square of the number of models and operations."""

    async def _project_state(self, applied: set[MigrationKey], *, upto: MigrationKey | None = None) -> State:
        connections = {
            label: config.get("default_connection", "default") for label, config in self.loader.apps_config.items()
        }
        state = _State(models={}, apps=_Tables(default_connections=connections))
        for key in self._full_plan():
            if upto is not None and key == upto:
                break
            migration = self.loader.graph.nodes[key]
            if key in applied and migration is not None:
                await migration.apply(state, dry_run=True, schema_editor=None)
        return state
