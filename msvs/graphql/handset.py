"""Handsets of the sandbox: phones with messages, and scripted numbers."""

from __future__ import annotations

from typing import Annotated

import strawberry

from msvs.api.inbound import handset
from msvs.graphql.connections import After, Before, Connection, First, Last
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inbound import ThreadMessage, connect_thread, read_thread_page


@strawberry.type(description="A phone in the sandbox.")
class Handset:
    phone: str = strawberry.field(description="The phone, in E.164.")
    contact: Contact | None = strawberry.field(description="The contact of the phone; null if there is none.")
    opted_out: bool = strawberry.field(description="Whether it opted out, so that nothing is sent to it.")
    script: str | None = strawberry.field(
        description="What the sandbox does with the number; null for an ordinary number."
    )
    last_message: ThreadMessage | None = strawberry.field(
        description="The last message that it received or sent; only in the list of handsets."
    )

    @classmethod
    def from_handset(cls, found: handset.Handset) -> Handset:
        """Return the type of a handset."""
        return cls(
            phone=found.phone,
            contact=None if found.contact is None else Contact.from_row(found.contact),
            opted_out=found.is_opted_out,
            script=handset.SCRIPTED.get(found.phone),
            last_message=None if found.last is None else ThreadMessage.from_row(found.last),
        )


@strawberry.type(description="A number with special behavior in the sandbox.")
class SandboxNumber:
    phone: str = strawberry.field(description="The number, in E.164.")
    script: str = strawberry.field(description="What happens to a message to it.")


HandsetPhone = Annotated[str, strawberry.argument(description="The phone, in E.164.")]


@strawberry.type
class HandsetQuery:
    @field("Phones with recent messages, newest first. Sandbox only.")
    async def handsets(self, info: Info) -> list[Handset]:
        return [Handset.from_handset(each) for each in await handset.list_handsets(info.context.ctx)]

    @field("A phone, with or without messages. Sandbox only.")
    async def handset(self, info: Info, phone: HandsetPhone) -> Handset:
        return Handset.from_handset(await handset.get_handset(info.context.ctx, phone))

    @field("The messages to and from a phone, newest first. Sandbox only.")
    async def handset_messages(
        self,
        info: Info,
        phone: HandsetPhone,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ThreadMessage]:
        ctx = info.context.ctx
        request = read_thread_page(first, after, last, before)
        page = await handset.list_handset_messages(ctx, phone, request)
        return connect_thread(request, page, lambda: handset.count_handset_messages(ctx, phone))

    @field("The numbers with special behavior in the sandbox.")
    def sandbox_numbers(self) -> list[SandboxNumber]:
        return [SandboxNumber(phone=phone, script=script) for phone, script in handset.SCRIPTED.items()]
