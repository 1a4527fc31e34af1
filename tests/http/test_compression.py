"""Compression of what is answered under a path."""

from __future__ import annotations

import gzip

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from msvs.http.compression import LARGE, SMALLEST, Compressed

TEXT = b"Doors open at 8pm ET. " * 200


async def answer(request: Request) -> Response:
    size = int(request.query_params.get("size", len(TEXT)))
    return Response((TEXT * (size // len(TEXT) + 1))[:size])


async def coded(_request: Request) -> Response:
    return Response(gzip.compress(TEXT), headers={"Content-Encoding": "gzip"})


async def streamed(_request: Request) -> Response:
    async def parts() -> object:
        for _ in range(3):
            yield TEXT

    return StreamingResponse(parts())  # type: ignore[arg-type]


APP = Compressed(
    Starlette(
        routes=[
            Route("/v1/answer", answer),
            Route("/v1/coded", coded),
            Route("/v1/streamed", streamed),
            Route("/x", answer),
        ]
    ),
    prefix="/v1",
)


async def ask(path: str, accepted: str | None) -> tuple[httpx.Response, bytes]:
    """The answer and its bytes as they were sent."""
    headers = {"Accept-Encoding": "identity" if accepted is None else accepted}
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        return response, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("gzip;q=0.1, *;q=0.5", "br"),
        ("br ; Q=0.000, gzip;q=1.0", "gzip"),
        ("br;q=none, gzip;q=0.001", "gzip"),
        ("*", "br"),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("size", [SMALLEST, LARGE + 1])
async def test_a_large_answer_is_sent_in_a_coding_that_is_taken(accepted: str, coding: str | None, size: int) -> None:
    response, raw = await ask(f"/v1/answer?size={size}", accepted)
    whole = (TEXT * (size // len(TEXT) + 1))[:size]
    unpack = {"gzip": gzip.decompress, "br": brotli.decompress, None: lambda raw: raw}[coding]
    assert unpack(raw) == whole
    assert response.headers.get("Content-Encoding") == coding
    assert response.headers["Content-Length"] == str(len(raw))
    assert response.headers["Vary"] == "accept-encoding"
    assert len(raw) == size if coding is None else len(raw) < size / 2


async def test_a_small_answer_is_sent_as_it_is() -> None:
    response, raw = await ask(f"/v1/answer?size={SMALLEST - 1}", "gzip")
    assert (len(raw), "Content-Encoding" in response.headers, "Vary" in response.headers) == (
        SMALLEST - 1,
        False,
        False,
    )


async def test_encoded_and_streamed_answers_pass_unchanged() -> None:
    response, raw = await ask("/v1/coded", "br")
    assert (response.headers["Content-Encoding"], gzip.decompress(raw)) == ("gzip", TEXT)
    response, raw = await ask("/v1/streamed", "gzip")
    assert ("Content-Encoding" in response.headers, raw) == (False, TEXT * 3)


async def test_other_paths_are_left_alone() -> None:
    response, raw = await ask("/x", "gzip")
    assert ("Content-Encoding" in response.headers, raw) == (False, TEXT)
