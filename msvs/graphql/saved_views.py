"""Saved views: the filters of the dashboard's pages, by name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import saved_views
from msvs.api.contacts.saved_views import SAVED_VIEW, ViewPage, saved_view_version
from msvs.fields import descriptions
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, read_input, request_input
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row
from msvs.models import rows

TOLD = descriptions(saved_views.CreateSavedView)


@strawberry.type(description="The filters of a page of the dashboard under a name, for all members of the workspace.")
class SavedView:
    id: ID = strawberry.field(description="The id of the saved view.")
    page: ViewPage = strawberry.field(description=TOLD["page"])
    name: str = strawberry.field(description=TOLD["name"])
    filters: JSONObject = strawberry.field(description=TOLD["filters"])
    created_by: str = strawberry.field(description="The id of the user who saved it.")
    created_at: datetime = strawberry.field(description="When it was saved.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")
    version: str = strawberry.field(
        description="A value that changes with each edit; send it with `updateSavedView` so that you"
        " do not overwrite a change of another member."
    )

    @classmethod
    def from_row(cls, row: rows.SavedViewRow) -> SavedView:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(SAVED_VIEW, row.id)),
            page=ViewPage(row.page),
            filters=json_object(row.filters),
            version=saved_view_version(row),
        )


@request_input(saved_views.CreateSavedView)
class CreateSavedViewInput:
    pass


@request_input(saved_views.UpdateSavedView)
class UpdateSavedViewInput:
    pass


CreateSavedViewResult = Annotated[
    SavedView | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateSavedViewResult", description="The new saved view, or an error."),
]
UpdateSavedViewResult = Annotated[
    SavedView | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateSavedViewResult", description="The updated saved view, or an error."),
]
DeleteSavedViewResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteSavedViewResult", description="Confirms that the saved view was deleted, or an error."),
]
SavedViewId = Annotated[ID, strawberry.argument(description="The saved view's id.")]


@strawberry.type
class SavedViewQuery:
    @field("The saved views of a page, by name: at most 50. An API key has none.")
    async def saved_views(
        self, info: Info, page: Annotated[ViewPage, strawberry.argument(description="The page.")]
    ) -> list[SavedView]:
        return [SavedView.from_row(row) for row in await saved_views.list_saved_views(info.context.ctx, page)]


@strawberry.type
class SavedViewMutation:
    @mutation(CreateSavedViewResult, "Save the filters of a page under a name.")
    async def create_saved_view(
        self, info: Info, input: Annotated[CreateSavedViewInput, strawberry.argument(description="The saved view.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: saved_views.create_saved_view(ctx, read_input(saved_views.CreateSavedView, input)),
            SavedView.from_row,
        )

    @mutation(UpdateSavedViewResult, "Change a saved view.")
    async def update_saved_view(
        self,
        info: Info,
        id: SavedViewId,
        input: Annotated[UpdateSavedViewInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: saved_views.update_saved_view(ctx, _id(id), read_input(saved_views.UpdateSavedView, input)),
            SavedView.from_row,
        )

    @mutation(DeleteSavedViewResult, "Delete a saved view.")
    async def delete_saved_view(self, info: Info, id: SavedViewId) -> object:
        return await mutate(info, lambda ctx: saved_views.delete_saved_view(ctx, _id(id)), lambda _: Deleted(id=id))


def _id(text: str) -> UUID:
    return ids.find_id(SAVED_VIEW, text, "saved view")
