import os

import httpx

api = httpx.Client(
    base_url="https://api.massivesms.com/v1",
    headers={"Authorization": f"Bearer {os.environ['KEY']}"},
)
answer = api.post(
    "/messages",
    json={"to": "+14155550123", "body": "Doors open at 8pm ET."},
    headers={"Idempotency-Key": "order-1042-confirmation"},
)
if answer.is_error:
    raise SystemExit(answer.json()["error"]["message"])
message = answer.json()
print(message["id"], message["status"])
