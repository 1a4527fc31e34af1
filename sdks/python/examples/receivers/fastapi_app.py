"""Receives webhooks with FastAPI: `uvicorn fastapi_app:app`."""

import os

from fastapi import FastAPI, Request, Response

from massivesms import SignatureVerificationError, webhooks

app = FastAPI()
seen: set[str] = set()  # Yours is a table with a unique column: events may come more than once.


@app.post("/webhooks/sms")
async def receive(request: Request) -> Response:
    body = await request.body()
    header = request.headers.get(webhooks.SIGNATURE_HEADER)
    try:
        event = webhooks.construct_event(body, header, os.environ["MASSIVESMS_WEBHOOK_SECRET"])
    except SignatureVerificationError:
        return Response(status_code=400)
    seen.add(event.id)
    return Response(status_code=204)
