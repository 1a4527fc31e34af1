"""Messages over GraphQL."""

from __future__ import annotations

from tests.graphql_api.conftest import Caller

SEND = """
mutation Send($input: SendMessageInput!, $key: String) {
  sendMessage(input: $input, idempotencyKey: $key) {
    __typename
    ... on Message { id to from body status segments creditsUsed contact { phone optIn { status } } campaign { id } }
    ... on Error { code message param }
    ... on PaymentRequiredError { required available }
  }
}
"""


async def test_send_and_read(caller: Caller) -> None:
    sent = await caller.run(SEND, {"input": {"to": "+14155550123", "body": "Hi", "from": "COHORT"}})
    message = sent["sendMessage"]
    assert {**message, "id": None} == {
        "__typename": "Message",
        "id": None,
        "to": "+14155550123",
        "from": "COHORT",
        "body": "Hi",
        "status": "QUEUED",
        "segments": 1,
        "creditsUsed": 1,
        "contact": {"phone": "+14155550123", "optIn": {"status": "UNKNOWN"}},
        "campaign": None,
    }
    read = await caller.run("query ($id: ID!) { message(id: $id) { id body } }", {"id": message["id"]})
    assert read == {"message": {"id": message["id"], "body": "Hi"}}
