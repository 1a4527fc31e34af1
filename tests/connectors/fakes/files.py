"""Fake files at URLs, and Google Sheets, which redirect to a file or to a sign-in page."""

from __future__ import annotations

import csv
import io
from hashlib import md5

from aiohttp import web

from tests.connectors.fakes.server import FakeService

TOKEN = "share-token-of-the-tests-5d1c"
HEADER = ("Phone", "Name", "City")


class FakeFiles(FakeService):
    """Serves a table at /{TOKEN}/people.csv with an ETag, or the bytes of `raw` if set."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, tuple[str, ...]] = {}
        self.header: tuple[str, ...] = HEADER
        self.raw: bytes | None = None
        self.has_etag = True
        self.is_private = False
        self.is_gone = False
        self.sent = 0

    def route(self, application: web.Application) -> None:
        application.router.add_get(f"/{TOKEN}/people.csv", self.file)
        application.router.add_get("/moved", self.moved)
        application.router.add_get("/around", self.around)
        application.router.add_get("/inside", self.inside)
        application.router.add_get("/sheet", self.sheet)

    async def file(self, request: web.Request) -> web.Response:
        """Return the file, or 304 if the client has the current version."""
        if self.is_gone:
            return web.Response(status=404)
        if self.is_private:
            return web.Response(status=403)
        body = self.body()
        tag = f'"{md5(body, usedforsecurity=False).hexdigest()}"'
        headers = {"ETag": tag} if self.has_etag else {}
        if self.has_etag and request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        self.sent += 1
        return web.Response(body=body, content_type="text/csv", headers=headers)

    def body(self) -> bytes:
        """Return the content of the file."""
        if self.raw is not None:
            return self.raw
        text = io.StringIO()
        csv.writer(text).writerows([self.header, *self.rows.values()])
        return text.getvalue().encode()

    async def moved(self, request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"/{TOKEN}/people.csv"})

    async def around(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/around"})

    async def inside(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def sheet(self, request: web.Request) -> web.Response:
        """Redirect to the sign-in page, as Google does for an unshared sheet."""
        return web.Response(status=302, headers={"Location": "https://accounts.google.com/v3/signin?continue=x"})
