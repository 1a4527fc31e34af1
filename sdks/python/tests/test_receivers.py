"""The receivers among the examples: a good signature is taken, anything else is answered 400."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from massivesms import testing

SECRET = "whsec_receiver_1"
EVENT = {"id": "evt_1", "object": "event", "type": "test.ping", "data": {"text": "Olá 👋"}}
Post = Callable[[bytes, dict[str, str]], int]


def module(name: str) -> Any:
    folder = str(Path(__file__).resolve().parents[1] / "examples" / "receivers")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def flask() -> tuple[Any, Post]:
    pytest.importorskip("flask")
    app = module("flask_app")
    client = app.app.test_client()
    return app, lambda body, headers: client.post("/webhooks/sms", data=body, headers=headers).status_code


def fastapi() -> tuple[Any, Post]:
    pytest.importorskip("fastapi")
    import asyncio

    app = module("fastapi_app")

    def post(body: bytes, headers: dict[str, str]) -> int:
        async def ask() -> int:
            transport = httpx.ASGITransport(app.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://receiver.test") as client:
                return (await client.post("/webhooks/sms", content=body, headers=headers)).status_code

        return asyncio.run(ask())

    return app, post


def django() -> tuple[Any, Post]:
    pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        settings.configure(ROOT_URLCONF="django_app", ALLOWED_HOSTS=["*"], SECRET_KEY="none", DEFAULT_CHARSET="utf-8")
        import django as package

        package.setup()
    from django.test import Client

    app = module("django_app")

    def post(body: bytes, headers: dict[str, str]) -> int:
        kind = headers.get("Content-Type", "application/json")
        return Client().post("/webhooks/sms", body, content_type=kind, headers=headers).status_code

    return app, post


@pytest.mark.parametrize("start", [flask, fastapi, django], ids=lambda start: start.__name__)
def test_a_receiver(start: Callable[[], tuple[Any, Post]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSIVESMS_WEBHOOK_SECRET", SECRET)
    app, post = start()
    app.seen.clear()
    body, headers = testing.signed_request(EVENT, SECRET)
    unsigned = {name: value for name, value in headers.items() if name != "MSVS-Signature"}
    assert post(body + b" ", headers) == 400
    assert post(body, unsigned) == 400
    assert post(body, testing.signed_request(EVENT, "whsec_another")[1]) == 400
    assert post(body, testing.signed_request(EVENT, SECRET, timestamp=1)[1]) == 400
    assert app.seen == set()
    assert post(body, headers) == 204
    assert app.seen == {"evt_1"}
