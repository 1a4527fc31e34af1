"""Receives webhooks with Flask: `flask --app flask_app run`."""

import os

from flask import Flask, request

from massivesms import SignatureVerificationError, webhooks

app = Flask(__name__)
seen: set[str] = set()  # Yours is a table with a unique column: events may come more than once.


@app.post("/webhooks/sms")
def receive() -> tuple[str, int]:
    header = request.headers.get(webhooks.SIGNATURE_HEADER)
    try:
        event = webhooks.construct_event(request.get_data(), header, os.environ["MASSIVESMS_WEBHOOK_SECRET"])
    except SignatureVerificationError:
        return "", 400
    seen.add(event.id)
    return "", 204
