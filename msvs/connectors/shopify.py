"""Shopify GraphQL Admin API: sync customers, with their consent to SMS marketing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

import msgspec

from msvs.connectors.base import (
    Account,
    BadAnswer,
    Capabilities,
    Choice,
    ClaimStatus,
    Connection,
    Connector,
    ConsentClaim,
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
    RateLimited,
    Setting,
    SettingKind,
    Target,
)
from msvs.connectors.calls import Api, Concern, RequestRefused, read_time, texts
from msvs.connectors.signatures import verify

VERSION = "2026-01"
# Shopify limits the cost of a single query to 1,000 points.
PAGE = 100
OVERLAP = timedelta(minutes=10)
MAX_WAIT = 3600.0
TOPICS = ("CUSTOMERS_CREATE", "CUSTOMERS_UPDATE", "CUSTOMERS_DELETE", "CUSTOMERS_MARKETING_CONSENT_UPDATE")

CUSTOMER = """
fragment Customer on Customer {
  legacyResourceId firstName lastName createdAt updatedAt tags numberOfOrders state locale
  amountSpent { amount }
  defaultEmailAddress { emailAddress marketingState }
  defaultPhoneNumber {
    phoneNumber marketingState marketingOptInLevel marketingUpdatedAt marketingCollectedFrom
  }
  defaultAddress { phone city countryCodeV2 }
}
"""
SHOP = "query Shop { shop { id name } }"
CUSTOMERS = (
    """
query Customers($first: Int!, $after: String, $query: String, $sortKey: CustomerSortKeys) {
  customers(first: $first, after: $after, query: $query, sortKey: $sortKey) {
    nodes { ...Customer }
    pageInfo { hasNextPage endCursor }
  }
}
"""
    + CUSTOMER
)
NODES = "query Nodes($ids: [ID!]!) { nodes(ids: $ids) { ...Customer } }" + CUSTOMER
UNSUBSCRIBE = """
mutation Unsubscribe($input: CustomerSmsMarketingConsentUpdateInput!) {
  customerSmsMarketingConsentUpdate(input: $input) { userErrors { field message } }
}
"""
SUBSCRIBE_HOOK = """
mutation SubscribeHook($topic: WebhookSubscriptionTopic!, $hook: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $hook) {
    userErrors { field message }
    webhookSubscription { id }
  }
}
"""
DELETE_HOOK = "mutation DeleteHook($id: ID!) { webhookSubscriptionDelete(id: $id) { userErrors { field message } } }"

STATES: Mapping[str, ClaimStatus] = {
    "SUBSCRIBED": ClaimStatus.OPTED_IN,
    "UNSUBSCRIBED": ClaimStatus.OPTED_OUT,
    # Shopify erased the person's data at their request.
    "REDACTED": ClaimStatus.OPTED_OUT,
}


class _Wire(msgspec.Struct, rename="camel", frozen=True):
    """Part of a response, with camelCase field names."""


class _Email(_Wire, frozen=True):
    email_address: str | None = None
    marketing_state: str | None = None


class _Phone(_Wire, frozen=True):
    phone_number: str
    marketing_state: str
    marketing_opt_in_level: str | None = None
    marketing_updated_at: str | None = None
    marketing_collected_from: str | None = None


class _Address(_Wire, frozen=True):
    phone: str | None = None
    city: str | None = None
    country_code_v2: str | None = msgspec.field(default=None, name="countryCodeV2")


class _Money(_Wire, frozen=True):
    amount: str | None = None


class _Customer(_Wire, frozen=True):
    legacy_resource_id: str
    first_name: str | None = None
    last_name: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    tags: list[str] = []
    number_of_orders: str | int | None = None
    state: str | None = None
    locale: str | None = None
    amount_spent: _Money | None = None
    default_email_address: _Email | None = None
    default_phone_number: _Phone | None = None
    default_address: _Address | None = None


class _PageInfo(_Wire, frozen=True):
    has_next_page: bool
    end_cursor: str | None = None


class _CustomerPage(_Wire, frozen=True):
    nodes: list[_Customer]
    page_info: _PageInfo


class _Customers(_Wire, frozen=True):
    customers: _CustomerPage


class _Nodes(_Wire, frozen=True):
    nodes: list[_Customer | None]


class _ShopOf(_Wire, frozen=True):
    id: str
    name: str


class _Shop(_Wire, frozen=True):
    shop: _ShopOf


class _UserError(_Wire, frozen=True):
    message: str = ""


class _Changed(_Wire, frozen=True):
    user_errors: list[_UserError]


class _Unsubscribed(_Wire, frozen=True):
    customer_sms_marketing_consent_update: _Changed


class _HookOf(_Wire, frozen=True):
    id: str


class _HookMade(_Wire, frozen=True):
    user_errors: list[_UserError]
    webhook_subscription: _HookOf | None = None


class _HookCreated(_Wire, frozen=True):
    webhook_subscription_create: _HookMade


class _HookDeleted(_Wire, frozen=True):
    webhook_subscription_delete: _Changed


class _ErrorKind(_Wire, frozen=True):
    code: str = ""


class _Error(_Wire, frozen=True):
    extensions: _ErrorKind = _ErrorKind()


class _Throttle(_Wire, frozen=True):
    currently_available: float = 0
    restore_rate: float = 50


class _Cost(_Wire, frozen=True):
    requested_query_cost: float = 0
    throttle_status: _Throttle = _Throttle()


class _Extensions(_Wire, frozen=True):
    cost: _Cost = _Cost()


class _Answer(_Wire, frozen=True):
    data: msgspec.Raw = msgspec.Raw()
    errors: list[_Error] = []
    extensions: _Extensions = _Extensions()


class _Token(msgspec.Struct):
    access_token: str


class _Posted(msgspec.Struct):
    id: int


T = TypeVar("T")


class ShopifyConnector(Connector):
    """Reads customers, with the date and opt-in level of their consent to text messages."""

    kind = "shopify"
    label = "Shopify"
    capabilities = Capabilities(
        incremental=True,
        looks_up=True,
        writes_opt_outs=True,
        hook=True,
        signed_hook=True,
        registers_hook=True,
        sms_consent=True,
    )
    opt_out_settings = ("opt_out",)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "shop",
            "Shop",
            is_required=True,
            help="The shop's myshopify.com address, not its custom domain.",
            pattern=r"[a-z0-9][a-z0-9-]{0,59}\.myshopify\.com",
            example="cohort-labs.myshopify.com",
        ),
        Setting("client_id", "Client ID", help="From your app in the Dev Dashboard.", pattern=r"\w+", example="8c1f0a"),
        Setting("client_secret", "Client secret", SettingKind.SECRET, help="From your app in the Dev Dashboard."),
        Setting(
            "access_token",
            "Access token",
            SettingKind.SECRET,
            help="Instead of a client ID and secret: from an app created in the shop's admin before 2026 (shpat_…).",
        ),
        Setting(
            "query",
            "Which customers",
            help="A Shopify search. Without it, all customers are synced.",
            example="tag:vip",
        ),
        Setting(
            "opt_out",
            "Opt-outs",
            SettingKind.CHOICE,
            help="How to update a customer in Shopify when they opt out of text messages.",
            choices=(Choice("unsubscribe", "Unsubscribe the customer from SMS marketing"),),
        ),
        Setting("webhook_ids", "Webhooks", SettingKind.SECRET, is_granted=True),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._token = self._setting("access_token")
        credentials = "access_token" if self._token else "client_secret"
        concern = Concern(credentials=credentials, scope="shop", thing="The shop", address="shop")
        self._api = Api(connection, self.label, f"https://{self._setting('shop')}", concern)

    async def check(self) -> Account:
        """Return the shop's name, after checking that its customers can be read."""
        shop = (await self._ask(SHOP, {}, _Shop)).shop
        await self._customers({"first": 1, "query": self._setting("query") or None})
        return Account(shop.name, shop.id.rpartition("/")[2])

    async def fields(self) -> list[Field]:
        """Return the fields of customers."""
        return [
            Field("phone", "Phone", target=Target.PHONE),
            Field("email", "E-mail address", target=Target.EMAIL),
            Field("first_name", "First name", target=Target.FIRST_NAME),
            Field("last_name", "Last name", target=Target.LAST_NAME),
            Field("country", "Country", target=Target.COUNTRY),
            Field("city", "City"),
            Field("address_phone", "Phone of the address"),
            Field("tags", "Tags"),
            Field("orders", "Orders", FieldType.NUMBER),
            Field("amount_spent", "Amount spent", FieldType.NUMBER),
            Field("locale", "Locale"),
            Field("state", "State of the account"),
            Field("sms_state", "SMS marketing"),
            Field("created_at", "Created", FieldType.TIME),
        ]

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return up to 100 customers: all in the order of their ids, or the changed ones by time of change."""
        started, _, after = (cursor or "").partition("|")
        if not after:
            started = self._connection.now().isoformat()
        changed = read_time(since)
        query = self._setting("query")
        if changed is not None:
            condition = f"updated_at:>='{changed - OVERLAP:%Y-%m-%dT%H:%M:%SZ}'"
            query = f"({query}) AND {condition}" if query else condition
        variables: dict[str, object] = {"first": PAGE, "query": query or None}
        variables |= {"after": after or None, "sortKey": "ID" if changed is None else "UPDATED_AT"}
        page = await self._customers(variables)
        people = [_person(each) for each in page.nodes]
        if page.page_info.has_next_page:
            following = page.page_info.end_cursor
            if not following or following == after:
                raise BadAnswer("Shopify reports another page but gives no valid cursor for it.")
            return Page(people, cursor=f"{started}|{following}")
        return Page(people, bookmark=started, is_complete=changed is None)

    async def look_up(self, external_ids: Sequence[str]) -> dict[str, Person]:
        """Read customers by id, and check whether the search still matches each."""
        valid = [each for each in external_ids if each.isascii() and each.isdecimal()]
        found = {each: Person(each, state=PersonState.DELETED) for each in external_ids}
        if not valid:
            return found
        answer = await self._ask(NODES, {"ids": [_gid(each) for each in valid]}, _Nodes, is_read=True)
        there = {each.legacy_resource_id: each for each in answer.nodes if each is not None}
        members = set(there)
        if (query := self._setting("query")) and there:
            ids = " OR ".join(f"id:{each}" for each in there)
            page = await self._customers({"first": len(there), "query": f"({query}) AND ({ids})"})
            members = {each.legacy_resource_id for each in page.nodes}
        for each, customer in there.items():
            found[each] = _person(customer, PersonState.MEMBER if each in members else PersonState.LEFT)
        return found

    async def write_opt_out(self, external_id: str, *, at: datetime) -> None:
        """Unsubscribe the customer from SMS marketing."""
        consent = {"marketingState": "UNSUBSCRIBED", "consentUpdatedAt": at.isoformat()}
        variables = {"input": {"customerId": _gid(external_id), "smsMarketingConsent": consent}}
        answer = await self._ask(UNSUBSCRIBE, variables, _Unsubscribed)
        if answer.customer_sms_marketing_consent_update.user_errors:
            raise Gone("Shopify no longer has this customer, or has no phone for them.")

    def read_hook(self, call: HookCall) -> HookDelivery:
        """Return the customer id in a webhook; callers must look the customer up."""
        secret = self._setting("client_secret")
        if not secret:
            raise HookRefused("no client secret is set")
        verify(call.headers.get("x-shopify-hmac-sha256"), call.body, secret, call.now)
        try:
            posted = msgspec.json.decode(call.body, type=_Posted)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise HookRefused("not a webhook about a customer", status=400) from None
        delivery_id = call.headers.get("x-shopify-webhook-id", "")[:200] or f"{posted.id}:{call.now.timestamp()}"
        return HookDelivery(delivery_id, external_ids=[str(posted.id)])

    async def register_hook(self, url: str) -> Mapping[str, str]:
        """Subscribe to customer and consent webhooks. Shopify signs them with the app's client secret."""
        if not self._setting("client_secret"):
            raise InvalidSetting("Shopify signs webhooks with the client secret: set it.", setting="client_secret")
        made: list[str] = []
        for topic in TOPICS:
            variables = {"topic": topic, "hook": {"uri": url, "format": "JSON"}}
            created = (await self._ask(SUBSCRIBE_HOOK, variables, _HookCreated)).webhook_subscription_create
            if created.webhook_subscription is not None:
                made.append(created.webhook_subscription.id)
        if not made:
            raise BadAnswer("Shopify did not register a webhook for this address.")
        return {"webhook_ids": ",".join(made)}

    async def unregister_hook(self) -> None:
        """Delete the webhook subscriptions. Those already gone return a user error, which is ignored."""
        for webhook in filter(None, self._setting("webhook_ids").split(",")):
            await self._ask(DELETE_HOOK, {"id": webhook}, _HookDeleted)

    async def _customers(self, variables: Mapping[str, object]) -> _CustomerPage:
        return (await self._ask(CUSTOMERS, variables, _Customers, is_read=True)).customers

    async def _ask(self, query: str, variables: Mapping[str, object], type: type[T], *, is_read: bool = False) -> T:
        """Send a query and return its data. Raises ConnectorError, also for GraphQL errors in a 200 response."""
        if not self._token:
            self._token = await self._grant()
        headers = {"X-Shopify-Access-Token": self._token}
        body = {"query": query, "variables": variables}
        path = f"/admin/api/{VERSION}/graphql.json"
        answer = await self._api.post(path, _Answer, body, headers=headers, is_read=is_read)
        codes = {error.extensions.code for error in answer.errors}
        if "THROTTLED" in codes:
            cost = answer.extensions.cost
            missing = max(cost.requested_query_cost - cost.throttle_status.currently_available, 0)
            wait = missing / max(cost.throttle_status.restore_rate, 1)
            raise RateLimited("Shopify limits requests for now.", retry_after=min(max(wait, 1.0), MAX_WAIT))
        if "ACCESS_DENIED" in codes:
            setting = "access_token" if self._setting("access_token") else "client_secret"
            raise CredentialsRefused("The app is not allowed to do this: it lacks an access scope.", setting=setting)
        if answer.errors:
            raise BadAnswer("Shopify refuses the query.", setting="query" if self._setting("query") else None)
        try:
            return msgspec.json.decode(answer.data, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadAnswer("The response of Shopify cannot be read.") from None

    async def _grant(self) -> str:
        """Return a token for the app's credentials; it is valid for a day and kept for the connector's lifetime."""
        if not (self._setting("client_id") and self._setting("client_secret")):
            raise InvalidSetting("Shopify needs a client ID and secret, or an access token.", setting="client_id")
        form = {"client_id": self._setting("client_id"), "client_secret": self._setting("client_secret")}
        try:
            token = await self._api.post_form(
                "/admin/oauth/access_token", _Token, {**form, "grant_type": "client_credentials"}
            )
        except RequestRefused:
            raise CredentialsRefused("Shopify refuses the app's credentials.", setting="client_secret") from None
        return token.access_token


def _gid(external_id: str) -> str:
    return f"gid://shopify/Customer/{external_id}"


def _person(customer: _Customer, state: PersonState = PersonState.MEMBER) -> Person:
    phone = customer.default_phone_number
    email = customer.default_email_address
    address = customer.default_address or _Address()
    fields = texts(
        {
            "phone": phone and phone.phone_number,
            "email": email and email.email_address,
            "first_name": customer.first_name,
            "last_name": customer.last_name,
            "country": address.country_code_v2,
            "city": address.city,
            "address_phone": address.phone,
            "tags": list(customer.tags),
            "orders": customer.number_of_orders,
            "amount_spent": customer.amount_spent and customer.amount_spent.amount,
            "locale": customer.locale,
            "state": customer.state,
            "sms_state": phone and phone.marketing_state,
            "created_at": customer.created_at,
        }
    )
    return Person(
        customer.legacy_resource_id,
        fields,
        consent=None if phone is None else _consent(phone),
        state=state,
        is_unsubscribed=email is not None and email.marketing_state == "UNSUBSCRIBED",
        updated_at=read_time(customer.updated_at),
    )


def _consent(phone: _Phone) -> ConsentClaim | None:
    """Return the phone's consent, or None for states that are neither an opt-in nor an opt-out, such as PENDING."""
    status = STATES.get(phone.marketing_state)
    if status is None:
        return None
    level = phone.marketing_opt_in_level
    source = "Shopify" if phone.marketing_collected_from in (None, "SHOPIFY") else "Shopify, collected elsewhere"
    text = f"SMS marketing: {phone.marketing_state}" + (f", level {level}" if level else "")
    return ConsentClaim(status, read_time(phone.marketing_updated_at), source, text)
