"""/files: parts of files are put, and files of exports fetched, by who has the address, until it expires."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from msvs.api import ids
from msvs.api.accounts import workspaces
from msvs.api.accounts.workspace_deletion import delete_workspace
from msvs.api.contacts import import_jobs
from msvs.api.context import Context
from msvs.api.messages import export_jobs
from msvs.api.permissions import GET_EXPORT, PUT_IMPORT, sign_address
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, ContactImport, Export, Role, Workspace
from msvs.settings import Settings
from msvs.workers import exports
from msvs.workers.imports import run_imports
from msvs.workers.stopping import StopFlag
from tests.api.accounts.test_workspace_deletion import join
from tests.rest_compat.making import get, post
from tests.services import SERVICES

FILE = b"phone\n+12125550140\n"


def path_of(url: str | None) -> str:
    assert url is not None
    return urlsplit(url).path


async def begin(ctx: Context) -> tuple[ContactImport, str]:
    async with unit_of_work():
        row = await import_jobs.create_import(ctx, import_jobs.CreateImport(file_name="people.csv"))
    return row, path_of(import_jobs.upload_url(ctx, row))


async def test_parts_of_megabytes_are_put_without_a_key(anonymous: httpx.AsyncClient, ctx: Context) -> None:
    row, path = await begin(ctx)
    row_of_many = b"5," + b"x" * 99_997 + b"\n"
    large = b"phone,note\n+12125550140,\n" + row_of_many * 41

    for _ in range(2):
        answer = await anonymous.put(path, params={"offset": 0}, content=large)
        assert (answer.status_code, answer.json()["file_size"]) == (200, len(large))
    refused = await anonymous.put(path, params={"offset": 7}, content=b"x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "import_offset_wrong")
    too_much = await anonymous.put(path, params={"offset": len(large)}, content=large + row_of_many)
    assert too_much.status_code == 413
    last = await anonymous.put(path, params={"offset": len(large), "last": "true"}, content=b"")
    assert (last.status_code, last.json()["status"]) == (200, "queued")
    await run_imports(SERVICES, Settings(import_processes=0))

    row = await ContactImport.get(id=row.id)
    assert (row.status, row.file_size, await Contact.all().count()) == ("completed", len(large), 1)
    assert import_jobs.upload_url(ctx, row) is None


async def test_an_address_does_one_thing_until_it_expires(
    anonymous: httpx.AsyncClient, ctx: Context, other_ctx: Context
) -> None:
    row, path = await begin(ctx)
    late = replace(ctx, services=replace(SERVICES, clock=lambda: SERVICES.clock() - timedelta(hours=2)))
    token = path.rpartition("/")[2]
    addresses = [
        path[:-2] + ("AA" if not path.endswith("AA") else "BB"),
        f"/files/{'A' * 2000}",
        f"/files/{token}x",
        path_of(sign_address(late, PUT_IMPORT, row.id).url),
        path_of(sign_address(other_ctx, PUT_IMPORT, row.id).url),
        path_of(sign_address(ctx, GET_EXPORT, row.id).url),
    ]
    for address in addresses:
        answer = await anonymous.put(address, params={"offset": 0}, content=FILE)
        assert answer.status_code == 404, address
        assert answer.json()["error"]["code"] in ("address_expired", "resource_missing")
    assert (await ContactImport.get(id=row.id)).file_size == 0
    for wrong in ({}, {"offset": -1}, {"offset": 0, "key": "x"}):
        assert (await anonymous.put(path, params=wrong, content=FILE)).status_code in (400, 409)
    posted = await anonymous.post(path)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD, PUT")


async def test_a_file_is_fetched_without_a_key_and_run_nowhere(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await post(api, "/v1/contacts", phone="+12125550140", first_name="=1+1")
    row = await post(api, "/v1/exports", kind="contacts")
    assert (row["status"], row["download_url"], row["conditions"]) == ("queued", None, {})
    assert await exports.run_export(SERVICES, StopFlag())
    row = await get(api, f"/v1/exports/{row['id']}")
    assert [each["id"] for each in (await get(api, "/v1/exports", kind="contacts", status="completed"))["data"]] == [
        row["id"]
    ]

    answer = await anonymous.get(path_of(row["download_url"]))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == f'attachment; filename="{row["file_name"]}"'
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (answer.headers["cache-control"], int(answer.headers["content-length"])) == ("no-store", row["file_size"])
    assert ",+12125550140,'=1+1," in answer.text
    head = await anonymous.head(path_of(row["download_url"]))
    assert (head.status_code, head.content) == (200, b"")

    await Export.filter(id=ids.decode_id(ids.EXPORT, row["id"])).update(status="expired")
    gone = await anonymous.get(path_of(row["download_url"]))
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "address_expired")


async def test_an_address_is_given_to_those_who_may_use_it(ctx: Context) -> None:
    row, _ = await begin(ctx)
    reader = replace(ctx, actor="key_1", scopes=frozenset(("contacts:read", "exports:read")))
    assert import_jobs.upload_url(reader, row) is None
    async with unit_of_work():
        done = await export_jobs.create_export(ctx, export_jobs.CreateExport(kind="ledger"))
    await exports.run_export(SERVICES, StopFlag())
    done = await Export.get(id=done.id)
    assert export_jobs.address_of(reader, done) is None
    assert export_jobs.address_of(ctx, done) is not None


async def suspend(ctx: Context) -> None:
    async with unit_of_work():
        await workspaces.suspend_workspace(SERVICES, ctx.workspace_id)


async def delete(ctx: Context) -> None:
    owner, proof = await join(await Workspace.get(id=ctx.workspace_id), Role.OWNER)
    async with unit_of_work():
        await delete_workspace(owner, proof, (await Workspace.get(id=ctx.workspace_id)).name)


@pytest.mark.parametrize("end", [suspend, delete])
async def test_an_address_of_a_workspace_that_is_closed_opens_nothing(
    anonymous: httpx.AsyncClient, ctx: Context, end: Callable[[Context], Awaitable[None]]
) -> None:
    row, path = await begin(ctx)
    async with unit_of_work():
        done = await export_jobs.create_export(ctx, export_jobs.CreateExport(kind="ledger"))
    await exports.run_export(SERVICES, StopFlag())
    address = export_jobs.address_of(ctx, await Export.get(id=done.id))
    assert address is not None
    await end(ctx)

    for answer in (
        await anonymous.put(path, params={"offset": 0}, content=FILE),
        await anonymous.get(path_of(address.url)),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "workspace_suspended")
    assert (await ContactImport.get(id=row.id)).file_size == 0


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_what_was_never_given_is_not_there(anonymous: httpx.AsyncClient, method: str) -> None:
    answer = await anonymous.request(method, "/files/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "address_expired")
