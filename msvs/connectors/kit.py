"""Kit (formerly ConvertKit) API v4: sync the subscribers of the account, of a tag or of a form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar
from urllib.parse import urlencode

import msgspec

from msvs.connectors.base import (
    Account,
    BadAnswer,
    Capabilities,
    Choice,
    Connection,
    Connector,
    CredentialsRefused,
    Field,
    FieldType,
    Gone,
    HookCall,
    HookDelivery,
    HookRefused,
    InvalidSetting,
    Page,
    Person,
    PersonState,
    Setting,
    SettingKind,
    Target,
)
from msvs.connectors.calls import Api, Concern, RequestRefused, as_text, read_time, texts
from msvs.connectors.signatures import verify

ORIGIN = "https://api.kit.com"
PAGE = 500
# Kit's lists lag by up to five minutes, and its change filter may ignore the time of day.
OVERLAP = timedelta(days=1, minutes=10)
# Refresh an access token this long before it expires.
EARLY = timedelta(minutes=2)
MAX_LISTED = 20
# Webhook events that trigger a new read of the subscriber.
EVENTS = (
    *("subscriber.created", "subscriber.activated", "subscriber.unsubscribed", "subscriber.bounced"),
    *("subscriber.complained", "subscriber.subscribed_to_form"),
)
# Subscriber states that no longer receive e-mail.
UNSUBSCRIBED = frozenset(("cancelled", "complained"))
MARK = "opted out"

_phone = re.compile(r"(?:^|_)(?:phone|mobile|cell|sms|whatsapp|telefone|celular|telefono)", re.ASCII).search


class _Subscriber(msgspec.Struct):
    id: int
    email_address: str | None = None
    first_name: str | None = None
    state: str | None = None
    created_at: str | None = None
    tagged_at: str | None = None
    added_at: str | None = None
    fields: dict[str, object] = {}


class _Pagination(msgspec.Struct, frozen=True):
    has_next_page: bool = False
    end_cursor: str | None = None


class _Subscribers(msgspec.Struct):
    subscribers: list[_Subscriber]
    pagination: _Pagination


class _One(msgspec.Struct):
    subscriber: _Subscriber


class _Named(msgspec.Struct):
    id: int
    name: str
    key: str = ""
    label: str = ""


class _Tags(msgspec.Struct):
    tags: list[_Named]
    pagination: _Pagination = _Pagination()


class _Forms(msgspec.Struct):
    forms: list[_Named]
    pagination: _Pagination = _Pagination()


class _CustomFields(msgspec.Struct):
    custom_fields: list[_Named]
    pagination: _Pagination = _Pagination()


_PagesT = TypeVar("_PagesT", _Tags, _Forms, _CustomFields)


class _AccountOf(msgspec.Struct):
    name: str
    id: int | None = None


class _AccountAnswer(msgspec.Struct):
    account: _AccountOf


class _Token(msgspec.Struct):
    access_token: str
    refresh_token: str = ""
    expires_in: int = 0


class _Endpoint(msgspec.Struct):
    id: int | str
    secret: str


class _EndpointAnswer(msgspec.Struct):
    webhook_endpoint: _Endpoint


class _EventData(msgspec.Struct, frozen=True):
    subscriber: _Subscriber | None = None


class _Event(msgspec.Struct):
    data: _EventData = _EventData()


class _Delivery(msgspec.Struct):
    delivery_id: str
    events: list[_Event]


class KitConnector(Connector):
    """Reads subscribers with an API key or by OAuth. Kit stores phones only in custom fields."""

    kind = "kit"
    label = "Kit"
    capabilities = Capabilities(
        incremental=True,
        looks_up=True,
        writes_opt_outs=True,
        hook=True,
        signed_hook=True,
        registers_hook=True,
        oauth=True,
    )
    opt_out_settings = ("opt_out_tag_id", "opt_out_field")
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("api_key", "API key", SettingKind.SECRET, help="In Kit: Settings, Developer, V4 keys."),
        Setting("client_id", "Client ID", help="OAuth only: from your app in Kit.", pattern=r"[\w.-]+", example="a1b2"),
        Setting("client_secret", "Client secret", SettingKind.SECRET, help="OAuth only: from your app in Kit."),
        Setting("access_token", "Access token", SettingKind.SECRET, is_granted=True),
        Setting("refresh_token", "Refresh token", SettingKind.SECRET, is_granted=True),
        Setting("expires_at", "End of the access token", SettingKind.SECRET, is_granted=True),
        Setting(
            "tag_id",
            "Tag",
            help="Sync only subscribers with this tag. Without a tag or form, all subscribers are synced.",
            pattern=r"[0-9]{1,18}",
            example="5312",
            is_listed=True,
        ),
        Setting(
            "form_id",
            "Form",
            help="Sync only subscribers of this form.",
            pattern=r"[0-9]{1,18}",
            example="1204",
            is_listed=True,
        ),
        Setting(
            "opt_out_tag_id",
            "Tag for opt-outs",
            help="Added to subscribers who opt out of text messages.",
            pattern=r"[0-9]{1,18}",
            example="5313",
            is_listed=True,
        ),
        Setting(
            "opt_out_field",
            "Custom field for opt-outs",
            help="Set to `opted out` and the date when a subscriber opts out of text messages.",
            pattern=r"[a-z0-9_]{1,100}",
            example="sms_opt_out",
            is_listed=True,
        ),
        Setting("webhook_id", "Webhook", SettingKind.SECRET, is_granted=True),
        Setting("webhook_secret", "Secret of the webhook", SettingKind.SECRET, is_granted=True),
    )

    @classmethod
    def needs_grant(cls, settings: Mapping[str, str]) -> bool:
        """Return whether there is an app but neither a key nor a token."""
        if settings.get("api_key") or settings.get("refresh_token"):
            return False
        if not settings.get("client_id"):
            raise InvalidSetting("Kit needs an API key, or the client ID and secret of an app.", setting="api_key")
        if not settings.get("client_secret"):
            raise InvalidSetting("The client ID needs the client secret of the same app.", setting="client_secret")
        return True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._granted: dict[str, str] = {}
        credentials = "api_key" if self._setting("api_key") else "access_token"
        self._api = Api(connection, self.label, ORIGIN, Concern(credentials=credentials))

    async def check(self) -> Account:
        """Return the account's name, after checking that the tag or form and the opt-out settings exist."""
        if self._setting("tag_id") and self._setting("form_id"):
            raise InvalidSetting("Choose a tag or a form, not both.", setting="form_id")
        answer = await self._api.get("/v4/account", _AccountAnswer, headers=await self._headers())
        await self._list({"status": "all", "per_page": 1})
        key = self._setting("opt_out_field")
        if key and key not in {field.key for field in await self._custom_fields()}:
            raise Gone("The custom field for opt-outs was not found at Kit.", setting="opt_out_field")
        if (tag := self._setting("opt_out_tag_id")) and tag not in {str(each.id) for each in await self._tags()}:
            raise Gone("The tag for opt-outs was not found at Kit.", setting="opt_out_tag_id")
        return Account(answer.account.name, None if answer.account.id is None else str(answer.account.id))

    async def fields(self) -> list[Field]:
        """Return the standard subscriber fields and the account's custom fields."""
        return [
            Field("email_address", "E-mail address", target=Target.EMAIL),
            Field("first_name", "First name", target=Target.FIRST_NAME),
            Field("state", "State"),
            Field("created_at", "Created", FieldType.TIME),
            *(
                Field(f"fields.{each.key}", each.label, target=_target(each.key))
                for each in await self._custom_fields()
            ),
        ]

    async def choices(self, setting: str) -> list[Choice]:
        """Return the account's tags, forms or custom fields."""
        if setting in ("tag_id", "opt_out_tag_id"):
            return [Choice(str(each.id), each.name) for each in await self._tags()]
        if setting == "form_id":
            forms = await self._walk("/v4/forms", _Forms)
            return [Choice(str(each.id), each.name) for page in forms for each in page.forms]
        if setting == "opt_out_field":
            return [Choice(each.key, each.label) for each in await self._custom_fields()]
        return []

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return up to 500 subscribers in any state. Walks of a tag or form are always complete."""
        started, _, after = (cursor or "").partition("|")
        if not after:
            started = self._connection.now().isoformat()
        # Kit does not document whether adding a tag updates the subscriber, so walks of a tag or form ignore `since`.
        changed = None if self._setting("tag_id") or self._setting("form_id") else read_time(since)
        query: dict[str, str | int] = {"status": "all", "per_page": PAGE}
        if changed is not None:
            query["updated_after"] = f"{changed - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
        if after:
            query["after"] = after
        answer = await self._list(query)
        people = [_person(each) for each in answer.subscribers]
        if answer.pagination.has_next_page:
            following = answer.pagination.end_cursor
            if not following or following == after:
                raise BadAnswer("Kit reports another page but gives no valid cursor for it.")
            return Page(people, cursor=f"{started}|{following}")
        return Page(people, bookmark=started, is_complete=changed is None)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read subscribers one by one, which does not lag as lists do, and check whether each has the tag."""
        return {external_id: await self._look_up(external_id) for external_id in external_ids}

    async def _look_up(self, external_id: str) -> Person:
        if not external_id.isdecimal():
            return Person(external_id, state=PersonState.DELETED)
        headers = await self._headers()
        try:
            answer = await self._api.get(f"/v4/subscribers/{external_id}", _One, headers=headers)
        except Gone:
            return Person(external_id, state=PersonState.DELETED)
        if tag := self._setting("tag_id"):
            path = f"/v4/subscribers/{external_id}/tags"
            tags = await self._walk(path, _Tags)
            if tag not in {str(each.id) for page in tags for each in page.tags}:
                return _person(answer.subscriber, PersonState.LEFT)
        return _person(answer.subscriber)

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Add the tag and set the custom field, if configured."""
        api = self._api.about(scope=None, thing="The subscriber")
        headers = await self._headers()
        if tag := self._setting("opt_out_tag_id"):
            await api.send("POST", f"/v4/tags/{tag}/subscribers/{external_id}", json={}, headers=headers)
        if key := self._setting("opt_out_field"):
            path = f"/v4/subscribers/{external_id}"
            found = await api.get(path, _One, headers=headers)
            # Kit requires the e-mail address in every update.
            body = {"email_address": found.subscriber.email_address, "fields": {key: f"{MARK} {at:%Y-%m-%d}"}}
            await api.send("PUT", path, json=body, headers=headers)

    def read_hook(self, call: HookCall) -> HookDelivery:
        """Return the subscribers in a webhook delivery. It omits their tags, so callers must look them up."""
        secret = self._setting("webhook_secret")
        if not secret:
            raise HookRefused("no webhook is registered")
        verify(call.headers.get("x-kit-signature"), call.body, secret, call.now)
        try:
            delivery = msgspec.json.decode(call.body, type=_Delivery)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise HookRefused("not a Kit delivery", status=400) from None
        ids = (str(event.data.subscriber.id) for event in delivery.events if event.data.subscriber is not None)
        return HookDelivery(delivery.delivery_id[:200], external_ids=list(dict.fromkeys(ids)))

    async def register_hook(self, url: str) -> Mapping[str, str]:
        """Create a webhook endpoint. Kit returns its secret only here."""
        body = {"url": url, "events": EVENTS, "name": "MassiveSMS"}
        headers = await self._headers()
        answer = await self._api.post("/v4/webhook_endpoints", _EndpointAnswer, body, headers=headers)
        return {"webhook_id": str(answer.webhook_endpoint.id), "webhook_secret": answer.webhook_endpoint.secret}

    async def unregister_hook(self) -> None:
        """Delete the webhook endpoint, if one is registered."""
        if not (webhook := self._setting("webhook_id")):
            return
        try:
            await self._api.send("DELETE", f"/v4/webhook_endpoints/{webhook}", headers=await self._headers())
        except Gone:
            return

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Return the URL of Kit's page for granting access."""
        query = {"client_id": self._setting("client_id"), "response_type": "code"}
        return f"{ORIGIN}/v4/oauth/authorize?{urlencode({**query, 'redirect_uri': redirect_uri, 'state': state})}"

    async def exchange_code(self, code: str, *, redirect_uri: str) -> Mapping[str, str]:
        """Exchange an authorization code for tokens."""
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        # A key goes before tokens.
        return {**await self._grant(grant), "api_key": ""}

    async def _grant(self, grant: Mapping[str, str]) -> dict[str, str]:
        app = {"client_id": self._setting("client_id"), "client_secret": self._setting("client_secret")}
        try:
            token = await self._api.post_form("/v4/oauth/token", _Token, {**app, **grant})
        except RequestRefused as error:
            # 400 `invalid_grant`: the refresh token was already used, or access was revoked.
            raise CredentialsRefused(
                "Kit no longer grants access: connect the account again.", setting="access_token"
            ) from error
        ends = self._connection.now() + timedelta(seconds=min(max(token.expires_in, 0), 10**8))
        return {
            "access_token": token.access_token,
            "refresh_token": token.refresh_token,
            "expires_at": ends.isoformat(),
        }

    async def _headers(self) -> dict[str, str]:
        """Return the authentication headers, refreshing the access token if it is about to expire."""
        if key := self._setting("api_key"):
            return {"X-Kit-Api-Key": key}
        if not self._setting("refresh_token"):
            raise InvalidSetting("Kit needs an API key or an OAuth connection.", setting="api_key")
        ends = read_time(self._setting("expires_at"))
        if ends is None or ends - EARLY <= self._connection.now():
            grant = {"grant_type": "refresh_token", "refresh_token": self._setting("refresh_token")}
            granted = await self._grant(grant)
            # Refresh tokens are single-use: store the new one before anything else can fail.
            await self._connection.keep_secrets(granted)
            self._granted = granted
        return {"Authorization": f"Bearer {self._setting('access_token')}"}

    def _setting(self, name: str) -> str:
        return self._granted.get(name) or super()._setting(name)

    async def _list(self, query: Mapping[str, str | int]) -> _Subscribers:
        headers = await self._headers()
        for setting, path, thing in (("tag_id", "tags", "The tag"), ("form_id", "forms", "The form")):
            if scope := self._setting(setting):
                api = self._api.about(scope=setting, thing=thing)
                return await api.get(f"/v4/{path}/{scope}/subscribers", _Subscribers, query=query, headers=headers)
        return await self._api.get("/v4/subscribers", _Subscribers, query=query, headers=headers)

    async def _tags(self) -> list[_Named]:
        return [each for page in await self._walk("/v4/tags", _Tags) for each in page.tags]

    async def _custom_fields(self) -> list[_Named]:
        return [each for page in await self._walk("/v4/custom_fields", _CustomFields) for each in page.custom_fields]

    async def _walk(self, path: str, type: type[_PagesT]) -> list[_PagesT]:
        """Return the pages of a short list, up to MAX_LISTED."""
        pages: list[_PagesT] = []
        query: dict[str, str | int] = {"per_page": PAGE}
        while len(pages) < MAX_LISTED:
            page = await self._api.get(path, type, query=query, headers=await self._headers())
            pages.append(page)
            if not page.pagination.has_next_page or not page.pagination.end_cursor:
                break
            query["after"] = page.pagination.end_cursor
        return pages


def _person(subscriber: _Subscriber, state: PersonState = PersonState.MEMBER) -> Person:
    own = {
        "email_address": as_text(subscriber.email_address),
        "first_name": as_text(subscriber.first_name),
        "state": as_text(subscriber.state),
        "created_at": as_text(subscriber.created_at),
        "tagged_at": as_text(subscriber.tagged_at),
        "added_at": as_text(subscriber.added_at),
    }
    fields = {**texts(own), **texts(subscriber.fields, "fields.")}
    return Person(str(subscriber.id), fields, state=state, is_unsubscribed=subscriber.state in UNSUBSCRIBED)


def _target(key: str) -> Target | None:
    if key == "last_name":
        return Target.LAST_NAME
    return Target.PHONE if _phone(key) else None
