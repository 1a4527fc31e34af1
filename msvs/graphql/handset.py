"""Handsets of the sandbox: the phones that have messages, what each received and sent, and the scripted numbers."""

from __future__ import annotations

from typing import Annotated

import strawberry

from msvs.api import ids
from msvs.api.inbound import handset
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inbound import ThreadMessage
from msvs.models import InboundMessage as InboundRow


@strawberry.type(description="A phone, as the sandbox sees it.")
class Handset:
    phone: str = strawberry.field(description="The phone, in E.164.")
    contact: Contact | None = strawberry.field(description="Whose it is; null where no contact has it.")
    opted_out: bool = strawberry.field(description="Whether nothing is sent to it, because it opted out.")
    script: str | None = strawberry.field(
        description="What the sandbox does with the number; null for one that is delivered like any other."
    )
    last_message: ThreadMessage | None = strawberry.field(
        description="What it received or sent last; given in the list of handsets only."
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


@strawberry.type(description="A number that the sandbox treats in a way of its own.")
class SandboxNumber:
    phone: str = strawberry.field(description="The number, in E.164.")
    script: str = strawberry.field(description="What happens to a message to it.")


HandsetPhone = Annotated[str, strawberry.argument(description="The phone, in E.164.")]


@strawberry.type
class HandsetQuery:
    @field("Phones that lately received or sent something, newest first. Sandbox only.")
    async def handsets(self, info: Info) -> list[Handset]:
        return [Handset.from_handset(each) for each in await handset.list_handsets(info.context.ctx)]

    @field("A phone, whether or not it ever had a message. Sandbox only.")
    async def handset(self, info: Info, phone: HandsetPhone) -> Handset:
        return Handset.from_handset(await handset.get_handset(info.context.ctx, phone))

    @field("What a phone received and sent, newest first. Sandbox only.")
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
        cursor = after or before or ""
        prefix = ids.MESSAGE if cursor.startswith(f"{ids.MESSAGE}_") else ids.INBOUND
        request = read_page(prefix, first, after, last, before)
        return connect(
            lambda row: ids.INBOUND if isinstance(row, InboundRow) else ids.MESSAGE,
            request,
            await handset.list_handset_messages(ctx, phone, request),
            ThreadMessage.from_row,
            lambda: handset.count_handset_messages(ctx, phone),
        )

    @field("The numbers that the sandbox treats in ways of their own.")
    def sandbox_numbers(self) -> list[SandboxNumber]:
        return [SandboxNumber(phone=phone, script=script) for phone, script in handset.SCRIPTED.items()]
