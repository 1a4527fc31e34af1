"""Messages over GraphQL."""

from __future__ import annotations

from typing import Any

from msvs.models import Message
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


async def test_graphql_sends_the_same_batch_once_a_key(caller: Caller) -> None:
    document = """
      mutation ($input: SendMessagesInput!, $key: String) {
        sendMessages(input: $input, idempotencyKey: $key) {
          ... on MessageBatch { data { index message { id status } error { code param } } }
          ... on Error { code param }
        }
      }
    """
    variables: dict[str, Any] = {
        "input": {"messages": [{"to": "+12125560001", "body": "Hi"}, {"to": "+1abc", "body": "Hi"}]},
        "key": "seats",
    }
    first = await caller.run(document, variables)
    data = first["sendMessages"]["data"]
    assert data[0]["message"]["status"] == "QUEUED"
    assert data[1] == {"index": 1, "message": None, "error": {"code": "phone_number_invalid", "param": "to"}}
    assert await caller.run(document, variables) == first
    assert await Message.all().count() == 1
    empty = await caller.run(document, {"input": {"messages": []}})
    assert empty["sendMessages"] == {"code": "parameter_out_of_range", "param": "messages"}


REPLY = """
mutation ($input: SimulateReplyInput!) {
  simulateReply(input: $input) { __typename ... on InboundMessage { id } ... on Error { code message } }
}
"""


async def test_a_message_has_its_newest_reply(caller: Caller) -> None:
    quiet, asked = "+14155550123", "+14155550124"
    for phone in (quiet, asked):
        await caller.run(SEND, {"input": {"to": phone, "body": "Doors open at 8pm"}})
    read = "query { messages(first: 10) { nodes { to lastReply { body inReplyTo { to } } } } }"
    assert (await caller.run(read))["messages"]["nodes"] == [
        {"to": asked, "lastReply": None},
        {"to": quiet, "lastReply": None},
    ]
    await Message.all().update(status="delivered")
    for body in ("Is there parking?", "And coffee?"):
        await caller.run(REPLY, {"input": {"from": asked, "body": body}})
    assert (await caller.run(read))["messages"]["nodes"] == [
        {"to": asked, "lastReply": {"body": "And coffee?", "inReplyTo": {"to": asked}}},
        {"to": quiet, "lastReply": None},
    ]
