"""/v1/imports: files come whole or in parts, once an idempotency key, and are followed to their end."""

from __future__ import annotations

import base64
import gzip
import json

import httpx
import pytest

from msvs.models import Contact, ContactImport
from msvs.settings import Settings
from msvs.workers.imports import run_imports
from tests.rest_compat.making import get, post
from tests.services import SERVICES

FILE = "Mobile;Vorname\n+12125550140;María\n12;Eva\n".encode("cp1252")


async def send(
    api: httpx.AsyncClient, data: bytes = FILE, options: object = None, *, key: str | None = None, field: str = "file"
) -> httpx.Response:
    fields = {} if options is None else {"options": json.dumps(options)}
    headers = {} if key is None else {"Idempotency-Key": key}
    file = {field: ("a.csv", data, "text/csv")}
    request = api.build_request("POST", "/v1/imports", data=fields, files=file, headers=headers)
    # What holds requests against the document reads them whole.
    await request.aread()
    return await api.send(request)


async def run(api: httpx.AsyncClient, id: str) -> dict[str, object]:
    await run_imports(SERVICES, Settings(import_processes=0))
    return await get(api, f"/v1/imports/{id}")


def code(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("param")


async def test_a_file_is_tried_then_run_then_undone(api: httpx.AsyncClient) -> None:
    first = await send(api, gzip.compress(FILE), {"default_region": "US", "dry_run": True})
    assert first.status_code == 201
    id = first.json()["id"]

    row = await run(api, id)
    assert (row["status"], row["mapping"]) == ("checked", {"Mobile": "phone", "Vorname": "first_name"})
    assert (row["encoding"], row["delimiter"], row["file_kind"]) == ("cp1252", ";", "csv")
    assert row["columns"][1]["samples"] == ["María", "Eva"]  # type: ignore[index]
    assert await Contact.all().count() == 0

    assert (await post(api, f"/v1/imports/{id}/run", 200))["status"] == "running"
    row = await run(api, id)
    assert (row["status"], row["counts"]["created"], row["counts"]["invalid"]) == ("completed", 1, 1)  # type: ignore[index]
    rows = await get(api, f"/v1/imports/{id}/rows", status="invalid")
    assert [(each["number"], each["reason"], each["cells"]) for each in rows["data"]] == [
        (2, "it is not a valid phone number", ["12", "Eva"])
    ]
    file = await get(api, f"/v1/imports/{id}/invalid_rows")
    assert (file["file_name"], file["content"]) == (
        "a-invalid.csv",
        "Mobile;Vorname;reason\n12;Eva;it is not a valid phone number\n",
    )
    made = await get(api, f"/v1/imports/{id}/rows", status="created")
    assert [each["phone"] for each in made["data"]] == ["+12125550140"]
    first = await get(api, f"/v1/imports/{id}/rows", limit="1")
    assert (first["has_more"], first["next_cursor"]) == (True, "1")
    second = await get(api, f"/v1/imports/{id}/rows", limit="1", starting_after=first["next_cursor"])
    assert ([each["number"] for each in second["data"]], second["has_more"]) == ([2], False)
    assert "next_cursor" not in second
    assert [each["id"] for each in (await get(api, "/v1/imports", status="completed"))["data"]] == [id]

    await post(api, f"/v1/imports/{id}/undo", 200)
    assert (await run(api, id))["status"] == "undone"
    assert await Contact.all().count() == 0
    assert code(await api.post(f"/v1/imports/{id}/run")) == (409, "import_state", None)


async def test_the_same_request_is_answered_once(api: httpx.AsyncClient) -> None:
    first, again = await send(api, key="two"), await send(api, key="two")
    assert first.content == again.content
    assert await ContactImport.all().count() == 1


async def test_a_file_in_parts(api: httpx.AsyncClient) -> None:
    row = await post(api, "/v1/imports", file_name="people.csv")
    assert (row["status"], row["file_size"]) == ("uploading", 0)
    content = base64.b64encode(FILE).decode()
    path = f"/v1/imports/{row['id']}/parts"

    assert code(await api.post(path, json={"offset": 7, "content": content})) == (409, "import_offset_wrong", "offset")
    assert code(await api.post(path, json={"offset": 0, "content": "%"})) == (400, "parameter_invalid", "content")
    assert code(await api.post(path, json={"offset": 0, "content": "", "last": True})) == (409, "import_state", None)
    assert (await post(api, path, 200, offset=0, content=""))["file_size"] == 0
    row = await post(api, path, 200, offset=0, content=content, last=True)
    assert (row["status"], row["file_size"]) == ("queued", len(FILE))
    assert (await post(api, f"/v1/imports/{row['id']}/cancel", 200))["status"] == "canceled"


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"default_region": "XX"}, (400, "parameter_invalid", "default_region")),
        ({"update": "replace"}, (400, "parameter_invalid", "update")),
        ({"evidence": {"text": "Yes"}}, (400, "parameter_missing", "evidence.source")),
        ({"mapping": {"Mobile": "handset"}}, (400, "parameter_invalid", "mapping")),
        ({"list_id": "lst_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, (400, "resource_missing", "list_id")),
        ({"colour": "red"}, (400, "parameter_unknown", "colour")),
    ],
)
async def test_options_that_cannot_be_are_refused_and_leave_no_trace(
    api: httpx.AsyncClient, options: object, refusal: tuple[int, str, str]
) -> None:
    assert code(await send(api, options=options)) == refusal
    assert await ContactImport.all().count() == 0


async def test_forms_that_cannot_be_are_refused(api: httpx.AsyncClient) -> None:
    assert code(await send(api, b"")) == (400, "parameter_invalid", "file")
    only = await send(api, field="photo")
    assert code(only) == (400, "parameter_unknown", "photo")
    torn = await api.post(
        "/v1/imports",
        content=b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nphone',
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert torn.status_code == 400
    assert await ContactImport.all().count() == 0


async def test_an_import_of_another_workspace_is_not_there(api: httpx.AsyncClient) -> None:
    assert code(await api.get("/v1/imports/imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"))[:2] == (404, "resource_missing")
