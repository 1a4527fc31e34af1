import os

from massivesms import SignatureVerificationError, testing, webhooks

secret = os.environ.get("MASSIVESMS_WEBHOOK_SECRET", "whsec_of_your_endpoint")


def receive(body: bytes, header: str | None) -> int:
    """Answer a webhook: `body` is the bytes as they came, `header` is MSVS-Signature."""
    try:
        event = webhooks.construct_event(body, header, secret)
    except SignatureVerificationError:
        return 400
    if event.type == "message.failed":
        print(event.data["id"], event.data["error"])
    return 200


# In your tests:
body, headers = testing.signed_request({"id": "evt_1", "type": "test.ping", "data": {}}, secret)
print(receive(body, headers["MSVS-Signature"]), receive(body + b" ", headers["MSVS-Signature"]))
