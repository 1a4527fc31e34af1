"""Notifications: what the member who asks was told, and which of it comes by mail."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api.accounts import notifications
from msvs.api.ids import encode_id
from msvs.api.webhooks.member_notifications import NOTIFICATION, NotificationKind
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import InvalidRequestError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import refs
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import from_row
from msvs.models import rows


@strawberry.type(description="A notification to a member of a workspace.")
class Notification:
    id: ID = strawberry.field(description="The id of the notification.")
    kind: NotificationKind = strawberry.field(description="The kind of notification.")
    livemode: bool = strawberry.field(
        description="Whether it is about live mode or the whole workspace; false for the sandbox."
    )
    subject_id: ID | None = strawberry.field(
        description="The id of the subject: a campaign, an import, a webhook, a sender, a user or a contact."
    )
    name: str | None = strawberry.field(description="The name of the subject; null if it has none.")
    reason: str | None = strawberry.field(description="Why it happened, as a code, such as `insufficient_credits`.")
    count: BigInt | None = strawberry.field(
        description="The credits left, the messages delivered, or the days until data is erased; null for other kinds."
    )
    created_at: datetime = strawberry.field(description="When it happened.")
    read_at: datetime | None = strawberry.field(description="When the member read it; null until then.")

    @classmethod
    def from_row(cls, row: rows.NotificationRow) -> Notification:
        """Return the type of a row."""
        data = row.data
        name, reason, count = data.get("name"), data.get("reason"), data.get("count")
        return from_row(
            cls,
            row,
            id=ID(encode_id(NOTIFICATION, row.id)),
            kind=NotificationKind(row.kind),
            name=None if name is None else str(name),
            reason=None if reason is None else str(reason),
            count=BigInt(count) if isinstance(count, int) else None,
        )


@strawberry.type(description="Whether the current member gets a kind of notification by e-mail.")
class NotificationMail:
    kind: NotificationKind = strawberry.field(description="The kind of notification.")
    by_mail: bool = strawberry.field(description="Whether it also comes by e-mail.")

    @classmethod
    def from_choice(cls, choice: notifications.MailChoice) -> NotificationMail:
        """Return the type of a choice."""
        return cls(kind=choice.kind, by_mail=choice.by_mail)


@strawberry.type(description="The number of unread notifications after the change.")
class NotificationsRead:
    unread_count: int = strawberry.field(description="The number of unread notifications.")


@strawberry.type(description="The notifications that also come by e-mail.")
class NotificationMails:
    mails: list[NotificationMail] = strawberry.field(
        description="All kinds of notifications that the member's role receives."
    )


MarkNotificationsReadResult = Annotated[
    NotificationsRead | InvalidRequestError | PermissionRefusedError,
    strawberry.union("MarkNotificationsReadResult", description="The number of unread notifications, or an error."),
]
ChooseNotificationMailResult = Annotated[
    NotificationMails | InvalidRequestError | PermissionRefusedError,
    strawberry.union(
        "ChooseNotificationMailResult", description="The notifications that also come by mail, or an error."
    ),
]


@strawberry.type
class NotificationQuery:
    @field(
        "The notifications of the current member in this workspace, newest first: at most 200"
        " of a mode, kept for 90 days."
        " The sandbox shows live's beside its own. An API key has none."
    )
    async def notifications(
        self,
        info: Info,
        unread: Annotated[
            bool | None, strawberry.argument(description="Only those that are unread, or only those that are read.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Notification]:
        ctx = info.context.ctx
        request = read_page(NOTIFICATION, first, after, last, before)
        page = await notifications.list_notifications(ctx, request, unread=unread)
        count = notifications.own_notifications(ctx, unread=unread).count
        return connect(NOTIFICATION, request, page, Notification.from_row, count)

    @field("The kinds of notifications that the current member's role receives, and which of them also come by e-mail.")
    async def notification_mails(self, info: Info) -> list[NotificationMail]:
        return [NotificationMail.from_choice(each) for each in await notifications.read_mail_choices(info.context.ctx)]


@strawberry.type
class NotificationMutation:
    @mutation(MarkNotificationsReadResult, "Mark notifications of the current member as read.")
    async def mark_notifications_read(
        self,
        info: Info,
        ids: Annotated[
            list[ID] | None,
            strawberry.argument(
                description="The ids of the notifications, at most 200; all notifications if left out."
            ),
        ] = None,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: notifications.mark_notifications_read(
                ctx, None if ids is None else refs(NOTIFICATION, ids, "ids")
            ),
            lambda left: NotificationsRead(unread_count=left),
        )

    @mutation(
        ChooseNotificationMailResult, "Set which kinds of notifications also come by e-mail; the other kinds do not."
    )
    async def choose_notification_mail(
        self,
        info: Info,
        kinds: Annotated[list[NotificationKind], strawberry.argument(description="The kinds.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: notifications.choose_mail(ctx, kinds),
            lambda chosen: NotificationMails(mails=[NotificationMail.from_choice(each) for each in chosen]),
        )
