"""/files: bytes that are put to signed addresses and fetched from them; the address alone stands for its caller."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.auth import require_open
from msvs.api.contacts import import_jobs
from msvs.api.context import Context, Services
from msvs.api.errors import MethodNotAllowed
from msvs.api.limits import Bucket, Limiter
from msvs.api.messages import export_jobs
from msvs.api.permissions import FILES, GET_EXPORT, PUT_IMPORT, Permission, open_address
from msvs.api.unit_of_work import in_unit_of_work
from msvs.fields import Request, about
from msvs.http.body import parse_query, read_body
from msvs.http.headers import NOT_STORED, read_headers, tell_allowance
from msvs.http.middleware import ANSWER_HEADERS, send_whole
from msvs.pool import sharing

# A part may come from a train.
PUT_SECONDS = 60.0
READS_FILES = (Permission.EXPORTS_READ, *chain.from_iterable(export_jobs.PERMISSIONS.values()))


class PutPart(Request, frozen=True, kw_only=True):
    """Where a part of a file belongs."""

    offset: Annotated[int, about("How many bytes stand before it.", minimum=0, maximum=2**53)]
    last: Annotated[Literal["true", "false"], about("Whether the file ends with it.")] = "false"


class Uploaded(msgspec.Struct, kw_only=True):
    """How much of a file has come."""

    id: str
    status: str
    file_size: int


def transfer_routes(services: Services, limiter: Limiter) -> list[BaseRoute]:
    """Return the routes, with their full paths."""
    return [Route(f"{FILES}/{{token}}", Transfers(services, limiter), name="files")]


class Transfers:
    """Takes parts of files that are imported and sends those of exports, as an ASGI app."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors are raised for the middleware to render."""
        match scope["method"]:
            case "PUT":
                await self._put(scope, receive, send)
            case "GET" | "HEAD":
                await self._get(scope, send)
            case _:
                raise MethodNotAllowed("Files are put here in parts, or fetched.", allow="GET, HEAD, PUT")

    async def _open(self, scope: Scope, kind: str, permissions: Iterable[Permission]) -> tuple[Context, UUID]:
        """Return the caller that a signed address grants access to, and the id of its import or export.

        Raises NotFound, RateLimited, and PermissionDenied if the workspace is suspended or scheduled for deletion.
        """
        ctx, id = open_address(self._services, kind, scope["path_params"]["token"], permissions)
        tell_allowance(await self._limiter.take(ctx.workspace_id, Bucket.REQUESTS), scope[ANSWER_HEADERS])
        await require_open(ctx)
        return ctx, id

    async def _get(self, scope: Scope, send: Send) -> None:
        ctx, id = await self._open(scope, GET_EXPORT, READS_FILES)
        row = await export_jobs.open_file(ctx, id)
        headers = [
            (b"content-type", export_jobs.media_type(row).encode()),
            (b"content-length", b"%d" % row.file_size),
            (b"content-disposition", f'attachment; filename="{export_jobs.file_name(row)}"'.encode()),
            # Keeps a browser that opens the file from running scripts in it.
            (b"content-security-policy", b"sandbox; default-src 'none'"),
            (b"referrer-policy", b"no-referrer"),
            NOT_STORED,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "GET":
            with sharing(ctx.workspace_id):
                async for data in export_jobs.read_file(row):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body"})

    async def _put(self, scope: Scope, receive: Receive, send: Send) -> None:
        ctx, id = await self._open(scope, PUT_IMPORT, [Permission.CONTACTS_WRITE])
        where = parse_query(scope["query_string"], PutPart)
        is_last = where.last == "true"
        content = await read_body(receive, read_headers(scope), import_jobs.MAX_PUT_PART, PUT_SECONDS)
        with sharing(ctx.workspace_id):
            row = await in_unit_of_work(lambda: import_jobs.add_bytes(ctx, id, where.offset, content, last=is_last))
        shape = import_jobs.import_resource(row)
        answer = Uploaded(id=shape.id, status=shape.status, file_size=shape.file_size)
        await send_whole(send, 200, msgspec.json.encode(answer))
