"""Shapes of rows: a Protocol a table, which a model's instance and a row of `database.fetch` both satisfy.

Generated from the models by scripts.build_rows; do not edit.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from msvs.json_types import JSONObject
from msvs.models.campaigns import AbTest, Approval, Audience, Exclusions, GuardRails
from msvs.models.messages import KeptWarning, MetadataValue


class AccountTokenRow(Protocol):
    """A row of `account_tokens`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID | None: ...

    @property
    def purpose(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def email(self) -> str | None: ...

    @property
    def challenge(self) -> str | None: ...

    @property
    def attempts(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime: ...


class ApiKeyRow(Protocol):
    """A row of `api_keys`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    @property
    def last4(self) -> str: ...

    @property
    def scopes(self) -> list[str] | None: ...

    @property
    def allowed_ips(self) -> list[str] | None: ...

    @property
    def created_by(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def revoked_at(self) -> datetime | None: ...

    @property
    def last_used_at(self) -> datetime | None: ...


class ApiRequestRow(Protocol):
    """A row of `api_requests`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def api_key_id(self) -> UUID: ...

    @property
    def request_id(self) -> str: ...

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def status(self) -> int: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def elapsed_ms(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...


class AuditEntryRow(Protocol):
    """A row of `audit_entries`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def actor(self) -> str: ...

    @property
    def action(self) -> str: ...

    @property
    def resource_id(self) -> str | None: ...

    @property
    def changes(self) -> JSONObject: ...

    @property
    def ip(self) -> str | None: ...

    @property
    def request_id(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class AuthenticationEntryRow(Protocol):
    """A row of `authentication_entries`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def action(self) -> str: ...

    @property
    def network(self) -> str | None: ...

    @property
    def device(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class AutoTopUpRow(Protocol):
    """A row of `auto_top_ups`."""

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def takes_money(self) -> bool: ...

    @property
    def customer(self) -> str | None: ...

    @property
    def payment_method(self) -> str | None: ...

    @property
    def card_brand(self) -> str | None: ...

    @property
    def card_last4(self) -> str | None: ...

    @property
    def is_enabled(self) -> bool: ...

    @property
    def off_reason(self) -> str | None: ...

    @property
    def off_at(self) -> datetime | None: ...

    @property
    def card_at(self) -> datetime | None: ...

    @property
    def pack(self) -> str | None: ...

    @property
    def credits(self) -> int | None: ...

    @property
    def amount(self) -> int | None: ...

    @property
    def currency(self) -> str | None: ...

    @property
    def threshold(self) -> int | None: ...

    @property
    def daily_limit(self) -> int: ...

    @property
    def monthly_limit(self) -> int: ...

    @property
    def day(self) -> date | None: ...

    @property
    def day_amount(self) -> int: ...

    @property
    def month(self) -> date | None: ...

    @property
    def month_amount(self) -> int: ...

    @property
    def declined_count(self) -> int: ...

    @property
    def hard_declined_count(self) -> int: ...

    @property
    def agreed_by(self) -> str | None: ...

    @property
    def agreed_at(self) -> datetime | None: ...

    @property
    def limited_until(self) -> datetime | None: ...


class BillingDayRow(Protocol):
    """A row of `billing_days`."""

    @property
    def day(self) -> date: ...

    @property
    def lease_until(self) -> datetime: ...

    @property
    def ended_at(self) -> datetime | None: ...

    @property
    def looked_count(self) -> int: ...

    @property
    def repaired_count(self) -> int: ...


class BulkActionRow(Protocol):
    """A row of `bulk_actions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def options(self) -> JSONObject: ...

    @property
    def matched(self) -> int: ...

    @property
    def changed(self) -> int: ...

    @property
    def done_id(self) -> UUID: ...

    @property
    def last_id(self) -> UUID: ...

    @property
    def error(self) -> JSONObject | None: ...

    @property
    def lease_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def turn_at(self) -> datetime | None: ...

    @property
    def postponed(self) -> int: ...

    @property
    def tries(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...


class CampaignRow(Protocol):
    """A row of `campaigns`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def sequence_id(self) -> UUID | None: ...

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def audience(self) -> Audience: ...

    @property
    def exclusions(self) -> Exclusions | None: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def warnings(self) -> list[KeptWarning] | None: ...

    @property
    def status(self) -> str: ...

    @property
    def resume_status(self) -> str | None: ...

    @property
    def pause_reason(self) -> str | None: ...

    @property
    def pause_mark(self) -> str | None: ...

    @property
    def audience_until(self) -> UUID | None: ...

    @property
    def audience_after(self) -> UUID | None: ...

    @property
    def audience_count(self) -> int: ...

    @property
    def scheduled_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def rate_per_minute(self) -> int | None: ...

    @property
    def spread_hours(self) -> float | None: ...

    @property
    def contact_daily_cap(self) -> int | None: ...

    @property
    def contact_weekly_cap(self) -> int | None: ...

    @property
    def send_at_local(self) -> str | None: ...

    @property
    def respects_quiet_hours(self) -> bool: ...

    @property
    def on_unknown(self) -> str: ...

    @property
    def shorten_links(self) -> bool: ...

    @property
    def utm(self) -> dict[str, str] | None: ...

    @property
    def guard_rails(self) -> GuardRails | None: ...

    @property
    def planned_credits(self) -> int: ...

    @property
    def ab_test(self) -> AbTest | None: ...

    @property
    def tested_at(self) -> datetime | None: ...

    @property
    def test_ends_at(self) -> datetime | None: ...

    @property
    def winner(self) -> int | None: ...

    @property
    def winner_chosen_at(self) -> datetime | None: ...

    @property
    def is_winner_picked(self) -> bool: ...

    @property
    def tags(self) -> list[str] | None: ...

    @property
    def approval(self) -> Approval | None: ...

    @property
    def launched_by(self) -> str | None: ...

    @property
    def archived_at(self) -> datetime | None: ...

    @property
    def interval_seconds(self) -> float: ...

    @property
    def slots_taken(self) -> int: ...

    @property
    def paced_from(self) -> datetime | None: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def dispatched_at(self) -> datetime | None: ...

    @property
    def completed_at(self) -> datetime | None: ...

    @property
    def canceled_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class CannedAnswerRow(Protocol):
    """A row of `canned_answers`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class CarrierScriptRow(Protocol):
    """A row of `carrier_scripts`."""

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def seed(self) -> int: ...

    @property
    def probabilities(self) -> JSONObject: ...

    @property
    def created_at(self) -> datetime: ...


class CarrierSessionRow(Protocol):
    """A row of `carrier_sessions`."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def bound(self) -> int: ...

    @property
    def wanted(self) -> int: ...

    @property
    def detail(self) -> str | None: ...

    @property
    def updated_at(self) -> datetime: ...


class CarrierStateRow(Protocol):
    """A row of `carrier_states`."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def failures(self) -> int: ...

    @property
    def trips(self) -> int: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def opened_at(self) -> datetime | None: ...

    @property
    def retry_at(self) -> datetime | None: ...

    @property
    def updated_at(self) -> datetime: ...


class ConsentChainRow(Protocol):
    """A row of `consent_chains`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def sequence(self) -> int: ...

    @property
    def hash(self) -> str: ...

    @property
    def sealed_sequence(self) -> int | None: ...

    @property
    def sealed_hash(self) -> str | None: ...

    @property
    def seal(self) -> str | None: ...


class ConsentEventRow(Protocol):
    """A row of `consent_events`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def phone(self) -> str | None: ...

    @property
    def phone_hash(self) -> str | None: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def status(self) -> str: ...

    @property
    def source(self) -> str | None: ...

    @property
    def ip(self) -> str | None: ...

    @property
    def user_agent(self) -> str | None: ...

    @property
    def text(self) -> str | None: ...

    @property
    def version(self) -> str | None: ...

    @property
    def details_hash(self) -> str | None: ...

    @property
    def given_at(self) -> datetime | None: ...

    @property
    def is_renewed(self) -> bool | None: ...

    @property
    def actor(self) -> str: ...

    @property
    def sequence(self) -> int | None: ...

    @property
    def previous_hash(self) -> str | None: ...

    @property
    def hash(self) -> str | None: ...

    @property
    def erased_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class ConsentRegisterRow(Protocol):
    """A row of `consent_registers`."""

    @property
    def id(self) -> int: ...

    @property
    def chain_count(self) -> int: ...

    @property
    def digest(self) -> str: ...

    @property
    def seal(self) -> str: ...


class ContactRow(Protocol):
    """A row of `contacts`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def phone(self) -> str: ...

    @property
    def canonical(self) -> str: ...

    @property
    def region(self) -> str | None: ...

    @property
    def number_kind(self) -> str: ...

    @property
    def first_name(self) -> str | None: ...

    @property
    def last_name(self) -> str | None: ...

    @property
    def email(self) -> str | None: ...

    @property
    def timezone(self) -> str | None: ...

    @property
    def external_id(self) -> str | None: ...

    @property
    def is_automatic(self) -> bool: ...

    @property
    def attributes(self) -> JSONObject: ...

    @property
    def tags(self) -> list[str]: ...

    @property
    def opt_in_status(self) -> str: ...

    @property
    def opt_in_source(self) -> str | None: ...

    @property
    def opt_in_ip(self) -> str | None: ...

    @property
    def opt_in_at(self) -> datetime | None: ...

    @property
    def unreachable_at(self) -> datetime | None: ...

    @property
    def unreachable_code(self) -> str | None: ...

    @property
    def reached_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class ContactImportRow(Protocol):
    """A row of `contact_imports`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def status(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def file_name(self) -> str: ...

    @property
    def file_size(self) -> int: ...

    @property
    def file_hash(self) -> str | None: ...

    @property
    def file_kind(self) -> str | None: ...

    @property
    def encoding(self) -> str | None: ...

    @property
    def delimiter(self) -> str | None: ...

    @property
    def columns(self) -> list[JSONObject]: ...

    @property
    def mapping(self) -> dict[str, str]: ...

    @property
    def options(self) -> JSONObject: ...

    @property
    def counts(self) -> dict[str, int]: ...

    @property
    def rows_read(self) -> int: ...

    @property
    def rows_done(self) -> int: ...

    @property
    def is_read(self) -> bool: ...

    @property
    def reading_id(self) -> UUID | None: ...

    @property
    def old_readings(self) -> list[str]: ...

    @property
    def erased(self) -> list[str]: ...

    @property
    def error(self) -> JSONObject | None: ...

    @property
    def lease_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def turn_at(self) -> datetime | None: ...

    @property
    def tries(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...


class ContactListRow(Protocol):
    """A row of `contact_lists`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def contact_count(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class ContactNoteRow(Protocol):
    """A row of `contact_notes`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def contact_id(self) -> UUID: ...

    @property
    def body(self) -> str: ...

    @property
    def author(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class ConversionRow(Protocol):
    """A row of `conversions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def order_id(self) -> str: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def value(self) -> int: ...

    @property
    def currency(self) -> str: ...

    @property
    def refunded_value(self) -> int: ...

    @property
    def source(self) -> str: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def attributed_by(self) -> str | None: ...

    @property
    def attributed_at(self) -> datetime | None: ...

    @property
    def message_id(self) -> UUID | None: ...

    @property
    def campaign_id(self) -> UUID | None: ...

    @property
    def variant(self) -> int | None: ...

    @property
    def sequence_id(self) -> UUID | None: ...

    @property
    def sequence_step(self) -> str | None: ...

    @property
    def occurred_at(self) -> datetime: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def refunded_at(self) -> datetime | None: ...


class CreditBalanceRow(Protocol):
    """A row of `credit_balances`."""

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def balance(self) -> int: ...

    @property
    def debt(self) -> int: ...

    @property
    def total_lifetime(self) -> int: ...

    @property
    def low_balance_threshold(self) -> int: ...

    @property
    def low_notified(self) -> bool: ...

    @property
    def top_up_below(self) -> int | None: ...

    @property
    def top_up_at(self) -> datetime | None: ...


class CreditRateRow(Protocol):
    """A row of `credit_rates`."""

    @property
    def id(self) -> UUID: ...

    @property
    def region(self) -> str: ...

    @property
    def credits(self) -> int: ...

    @property
    def effective_at(self) -> datetime: ...

    @property
    def created_at(self) -> datetime: ...


class ErasedSuppressionRow(Protocol):
    """A row of `erased_suppressions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def phone_hash(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class EventRow(Protocol):
    """A row of `events`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def type(self) -> str: ...

    @property
    def resource_id(self) -> UUID | None: ...

    @property
    def data(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class ExportRow(Protocol):
    """A row of `exports`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def actor(self) -> str: ...

    @property
    def options(self) -> JSONObject: ...

    @property
    def rows_total(self) -> int | None: ...

    @property
    def rows_done(self) -> int: ...

    @property
    def file_size(self) -> int: ...

    @property
    def error(self) -> JSONObject | None: ...

    @property
    def lease_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def turn_at(self) -> datetime | None: ...

    @property
    def tries(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...


class ForgottenCardRow(Protocol):
    """A row of `forgotten_cards`."""

    @property
    def payment_method(self) -> str: ...

    @property
    def takes_money(self) -> bool: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def next_attempt_at(self) -> datetime: ...

    @property
    def created_at(self) -> datetime: ...


class IdempotencyRecordRow(Protocol):
    """A row of `idempotency_records`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def key(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def status_code(self) -> int: ...

    @property
    def body(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class InboundMessageRow(Protocol):
    """A row of `inbound_messages`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def from_phone(self) -> str: ...

    @property
    def to_sender(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def keyword(self) -> str | None: ...

    @property
    def intent(self) -> str | None: ...

    @property
    def is_flagged(self) -> bool: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def message_id(self) -> UUID | None: ...

    @property
    def dedupe_key(self) -> str: ...

    @property
    def received_at(self) -> datetime: ...

    @property
    def read_at(self) -> datetime | None: ...


class InvitationRow(Protocol):
    """A row of `invitations`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def email(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def mailed_digest(self) -> str | None: ...

    @property
    def invited_by(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime: ...

    @property
    def accepted_at(self) -> datetime | None: ...

    @property
    def revoked_at(self) -> datetime | None: ...


class KeptTraceRow(Protocol):
    """A row of `traces`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def traceparent(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class KeywordRow(Protocol):
    """A row of `keywords`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def word(self) -> str: ...

    @property
    def folded(self) -> str: ...

    @property
    def list_id(self) -> UUID: ...

    @property
    def reply(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class LedgerEntryRow(Protocol):
    """A row of `ledger_entries`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def reference(self) -> str: ...

    @property
    def amount(self) -> int: ...

    @property
    def note(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class ListMemberRow(Protocol):
    """A row of `list_members`."""

    @property
    def id(self) -> UUID: ...

    @property
    def list_id(self) -> UUID: ...

    @property
    def contact_id(self) -> UUID: ...

    @property
    def created_at(self) -> datetime: ...


class ListSourceRow(Protocol):
    """A row of `list_sources`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def list_id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def is_paused(self) -> bool: ...

    @property
    def actor(self) -> str: ...

    @property
    def account(self) -> str | None: ...

    @property
    def settings(self) -> dict[str, str]: ...

    @property
    def secrets(self) -> str | None: ...

    @property
    def columns(self) -> list[JSONObject]: ...

    @property
    def mapping(self) -> dict[str, str]: ...

    @property
    def options(self) -> JSONObject: ...

    @property
    def choices(self) -> dict[str, list[dict[str, str]]]: ...

    @property
    def writes_opt_outs(self) -> bool: ...

    @property
    def bookmark(self) -> str | None: ...

    @property
    def walked_at(self) -> datetime | None: ...

    @property
    def next_sync_at(self) -> datetime | None: ...

    @property
    def failure_count(self) -> int: ...

    @property
    def error(self) -> JSONObject | None: ...

    @property
    def hook_hash(self) -> str | None: ...

    @property
    def hook_registered_at(self) -> datetime | None: ...

    @property
    def lease_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def tries(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class ListSyncRow(Protocol):
    """A row of `list_syncs`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def source_id(self) -> UUID: ...

    @property
    def list_id(self) -> UUID: ...

    @property
    def trigger(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def is_dry_run(self) -> bool: ...

    @property
    def is_full(self) -> bool: ...

    @property
    def since(self) -> str | None: ...

    @property
    def cursor(self) -> str | None: ...

    @property
    def bookmark(self) -> str | None: ...

    @property
    def is_walked(self) -> bool: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def may_shrink(self) -> bool: ...

    @property
    def counts(self) -> dict[str, int]: ...

    @property
    def samples(self) -> list[JSONObject]: ...

    @property
    def problems(self) -> list[JSONObject]: ...

    @property
    def error(self) -> JSONObject | None: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...


class LoginThrottleRow(Protocol):
    """A row of `login_throttles`."""

    @property
    def key(self) -> str: ...

    @property
    def attempts(self) -> int: ...

    @property
    def started_at(self) -> datetime: ...


class MailRow(Protocol):
    """A row of `mails`."""

    @property
    def id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def recipient(self) -> str: ...

    @property
    def subject_id(self) -> UUID | None: ...

    @property
    def language(self) -> str: ...

    @property
    def data(self) -> JSONObject: ...

    @property
    def state(self) -> str: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def next_attempt_at(self) -> datetime: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def error(self) -> str | None: ...

    @property
    def letter(self) -> JSONObject | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def ended_at(self) -> datetime | None: ...


class MembershipRow(Protocol):
    """A row of `memberships`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def role(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def mailed_kinds(self) -> list[str] | None: ...


class MessageRow(Protocol):
    """A row of `messages`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def campaign_id(self) -> UUID | None: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def to_phone(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def encoding(self) -> str: ...

    @property
    def segments(self) -> int: ...

    @property
    def credits_used(self) -> int: ...

    @property
    def price(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def delivery(self) -> str | None: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def warnings(self) -> list[KeptWarning] | None: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def scheduled_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def sent_at(self) -> datetime | None: ...

    @property
    def delivered_at(self) -> datetime | None: ...

    @property
    def failed_at(self) -> datetime | None: ...

    @property
    def canceled_at(self) -> datetime | None: ...

    @property
    def replied_at(self) -> datetime | None: ...

    @property
    def opted_out(self) -> bool: ...

    @property
    def claim_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def handed_at(self) -> datetime | None: ...

    @property
    def carrier(self) -> str | None: ...

    @property
    def carrier_ref(self) -> str | None: ...

    @property
    def on_unknown(self) -> str: ...

    @property
    def is_by_user(self) -> bool: ...

    @property
    def variant(self) -> int | None: ...


class MessageAttemptRow(Protocol):
    """A row of `message_attempts`."""

    @property
    def id(self) -> UUID: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def claim_token(self) -> UUID: ...

    @property
    def carrier(self) -> str: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def is_resend(self) -> bool: ...

    @property
    def started_at(self) -> datetime: ...

    @property
    def ended_at(self) -> datetime | None: ...


class MessagePartRow(Protocol):
    """A row of `message_parts`."""

    @property
    def id(self) -> UUID: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def carrier(self) -> str: ...

    @property
    def ref(self) -> str: ...

    @property
    def number(self) -> int: ...

    @property
    def hand_over(self) -> UUID | None: ...

    @property
    def state(self) -> str | None: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class MessageSequenceRow(Protocol):
    """A row of `sequences`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def definition(self) -> JSONObject: ...

    @property
    def number(self) -> int: ...

    @property
    def changed_by(self) -> str | None: ...

    @property
    def published_at(self) -> datetime | None: ...

    @property
    def archived_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class MessageTemplateRow(Protocol):
    """A row of `message_templates`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def tags(self) -> list[str] | None: ...

    @property
    def archived_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class NotificationRow(Protocol):
    """A row of `notifications`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def subject_id(self) -> str | None: ...

    @property
    def data(self) -> JSONObject: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def read_at(self) -> datetime | None: ...


class OperatorRow(Protocol):
    """A row of `operators`."""

    @property
    def id(self) -> UUID: ...

    @property
    def name(self) -> str: ...

    @property
    def password_hash(self) -> str: ...

    @property
    def totp_sealed(self) -> str: ...

    @property
    def totp_last_step(self) -> int | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def disabled_at(self) -> datetime | None: ...


class OperatorEntryRow(Protocol):
    """A row of `operator_entries`."""

    @property
    def id(self) -> UUID: ...

    @property
    def operator(self) -> str: ...

    @property
    def action(self) -> str: ...

    @property
    def detail(self) -> str | None: ...

    @property
    def network(self) -> str | None: ...

    @property
    def device(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class OperatorSessionRow(Protocol):
    """A row of `operator_sessions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def operator_id(self) -> UUID: ...

    @property
    def digest(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime: ...


class OrderHookRow(Protocol):
    """A row of `order_hooks`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    @property
    def token_hash(self) -> str: ...

    @property
    def secret_sealed(self) -> str | None: ...

    @property
    def recorded(self) -> int: ...

    @property
    def ignored(self) -> int: ...

    @property
    def last_order_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class PasskeyRow(Protocol):
    """A row of `passkeys`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def credential_id(self) -> str: ...

    @property
    def public_key(self) -> str: ...

    @property
    def sign_count(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def is_backed_up(self) -> bool: ...

    @property
    def transports(self) -> list[str]: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def last_used_at(self) -> datetime | None: ...


class PreflightRow(Protocol):
    """A row of `preflights`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def recipient_count(self) -> int: ...

    @property
    def credits(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...


class PurchaseRow(Protocol):
    """A row of `purchases`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def actor(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def pack(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def credits(self) -> int: ...

    @property
    def amount(self) -> int: ...

    @property
    def currency(self) -> str: ...

    @property
    def price(self) -> str | None: ...

    @property
    def takes_money(self) -> bool: ...

    @property
    def success_url(self) -> str | None: ...

    @property
    def cancel_url(self) -> str | None: ...

    @property
    def session_id(self) -> str | None: ...

    @property
    def url(self) -> str | None: ...

    @property
    def payment_intent(self) -> str | None: ...

    @property
    def customer(self) -> str | None: ...

    @property
    def is_automatic(self) -> bool: ...

    @property
    def saves_card(self) -> bool: ...

    @property
    def payment_method(self) -> str | None: ...

    @property
    def total(self) -> int | None: ...

    @property
    def tax(self) -> int | None: ...

    @property
    def invoice_url(self) -> str | None: ...

    @property
    def receipt_url(self) -> str | None: ...

    @property
    def problem(self) -> str | None: ...

    @property
    def refunded_amount(self) -> int: ...

    @property
    def disputed_amount(self) -> int: ...

    @property
    def returned_credits(self) -> int: ...

    @property
    def version(self) -> int: ...

    @property
    def check_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def paid_at(self) -> datetime | None: ...


class PurchaseReturnRow(Protocol):
    """A row of `purchase_returns`."""

    @property
    def id(self) -> str: ...

    @property
    def purchase_id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def kind(self) -> str: ...

    @property
    def amount(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def credits(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class RecoveryCodeRow(Protocol):
    """A row of `recovery_codes`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def digest(self) -> str: ...

    @property
    def used_at(self) -> datetime | None: ...


class RepairRow(Protocol):
    """A row of `repairs`."""

    @property
    def name(self) -> str: ...

    @property
    def requested_at(self) -> datetime: ...

    @property
    def done_at(self) -> datetime | None: ...

    @property
    def changed_count(self) -> int | None: ...


class RouteRow(Protocol):
    """A row of `routes`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID | None: ...

    @property
    def carrier(self) -> str: ...

    @property
    def regions(self) -> list[str]: ...

    @property
    def sender(self) -> str | None: ...

    @property
    def sender_kind(self) -> str | None: ...

    @property
    def preference(self) -> int: ...

    @property
    def price(self) -> Decimal | None: ...

    @property
    def created_at(self) -> datetime: ...


class SandboxClockRow(Protocol):
    """A row of `test_clocks`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def status(self) -> str: ...

    @property
    def frozen_at(self) -> datetime: ...

    @property
    def target_at(self) -> datetime | None: ...

    @property
    def failure(self) -> str | None: ...

    @property
    def tries(self) -> int: ...

    @property
    def lease_token(self) -> UUID | None: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def looked_at(self) -> datetime | None: ...

    @property
    def is_ending(self) -> bool: ...

    @property
    def created_at(self) -> datetime: ...


class SavedViewRow(Protocol):
    """A row of `saved_views`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def page(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def filters(self) -> JSONObject: ...

    @property
    def created_by(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class SecretKeyRow(Protocol):
    """A row of `secret_keys`."""

    @property
    def id(self) -> UUID: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def data_fingerprint(self) -> str: ...

    @property
    def sealed(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def retires_at(self) -> datetime | None: ...


class SegmentRow(Protocol):
    """A row of `segments`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def conditions(self) -> JSONObject: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class SenderRow(Protocol):
    """A row of `senders`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID | None: ...

    @property
    def value(self) -> str: ...

    @property
    def skeleton(self) -> str: ...

    @property
    def is_claimed(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def regions(self) -> list[str]: ...

    @property
    def registration(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class SequenceEnrollmentRow(Protocol):
    """A row of `sequence_enrollments`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def sequence_id(self) -> UUID: ...

    @property
    def version_id(self) -> UUID: ...

    @property
    def contact_id(self) -> UUID: ...

    @property
    def number(self) -> int: ...

    @property
    def state(self) -> str: ...

    @property
    def leaving(self) -> str | None: ...

    @property
    def entered_by(self) -> str: ...

    @property
    def step(self) -> int: ...

    @property
    def wait_until(self) -> datetime: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def anchor_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class SequenceVersionRow(Protocol):
    """A row of `sequence_versions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def sequence_id(self) -> UUID: ...

    @property
    def number(self) -> int: ...

    @property
    def definition(self) -> JSONObject: ...

    @property
    def campaign_ids(self) -> list[str]: ...

    @property
    def leaves_on_reply(self) -> bool: ...

    @property
    def retired_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class SessionRow(Protocol):
    """A row of `sessions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def digest(self) -> str: ...

    @property
    def csrf_token(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def last_seen_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime: ...

    @property
    def ip(self) -> str | None: ...

    @property
    def network(self) -> str | None: ...

    @property
    def device(self) -> str | None: ...


class ShortLinkRow(Protocol):
    """A row of `short_links`."""

    @property
    def code(self) -> str: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def campaign_id(self) -> UUID | None: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def position(self) -> int: ...

    @property
    def url(self) -> str: ...

    @property
    def variant(self) -> int | None: ...

    @property
    def clicks(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def expires_at(self) -> datetime: ...

    @property
    def first_clicked_at(self) -> datetime | None: ...

    @property
    def last_clicked_at(self) -> datetime | None: ...


class SnippetRow(Protocol):
    """A row of `snippets`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...


class StatusCallbackRow(Protocol):
    """A row of `status_callbacks`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def status(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def next_attempt_at(self) -> datetime: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def status_code(self) -> int | None: ...

    @property
    def error(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def ended_at(self) -> datetime | None: ...


class StoredCarrierEventRow(Protocol):
    """A row of `carrier_signals`."""

    @property
    def id(self) -> UUID: ...

    @property
    def carrier(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def dedupe_key(self) -> str: ...

    @property
    def message_id(self) -> UUID | None: ...

    @property
    def carrier_ref(self) -> str | None: ...

    @property
    def is_delivered(self) -> bool | None: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def from_phone(self) -> str | None: ...

    @property
    def to_sender(self) -> str | None: ...

    @property
    def text(self) -> str: ...

    @property
    def part_ref(self) -> str | None: ...

    @property
    def part_number(self) -> int | None: ...

    @property
    def part_count(self) -> int | None: ...

    @property
    def tries(self) -> int: ...

    @property
    def received_at(self) -> datetime: ...

    @property
    def due_at(self) -> datetime: ...


class StripeEventRow(Protocol):
    """A row of `stripe_events`."""

    @property
    def id(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def object_id(self) -> str: ...

    @property
    def payment_intent(self) -> str | None: ...

    @property
    def state(self) -> str: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def next_attempt_at(self) -> datetime: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def error(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def received_at(self) -> datetime: ...

    @property
    def handled_at(self) -> datetime | None: ...


class SuppressionRow(Protocol):
    """A row of `suppressions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def phone(self) -> str: ...

    @property
    def canonical(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...


class TagRow(Protocol):
    """A row of `tags`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def contact_count(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...


class ThreadAssignmentRow(Protocol):
    """A row of `thread_assignments`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def contact_id(self) -> UUID: ...

    @property
    def user_id(self) -> UUID: ...

    @property
    def assigned_by(self) -> str: ...

    @property
    def assigned_at(self) -> datetime: ...


class TwilioMessageRow(Protocol):
    """A row of `twilio_messages`."""

    @property
    def message_id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def service_sid(self) -> str | None: ...

    @property
    def callback_url(self) -> str | None: ...

    @property
    def retry_count(self) -> int: ...

    @property
    def retry_on(self) -> list[str]: ...

    @property
    def signatures(self) -> dict[str, str] | None: ...

    @property
    def deleted_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...


class UserRow(Protocol):
    """A row of `users`."""

    @property
    def id(self) -> UUID: ...

    @property
    def email(self) -> str | None: ...

    @property
    def pending_email(self) -> str | None: ...

    @property
    def name(self) -> str: ...

    @property
    def password_hash(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def password_changed_at(self) -> datetime: ...

    @property
    def language(self) -> str | None: ...

    @property
    def timezone(self) -> str | None: ...

    @property
    def totp_sealed(self) -> str | None: ...

    @property
    def totp_confirmed_at(self) -> datetime | None: ...

    @property
    def totp_last_step(self) -> int | None: ...


class VirtualEventRow(Protocol):
    """A row of `virtual_signals`."""

    @property
    def id(self) -> UUID: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def phone(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def due_at(self) -> datetime: ...


class VirtualSubmissionRow(Protocol):
    """A row of `virtual_submissions`."""

    @property
    def id(self) -> UUID: ...

    @property
    def message_id(self) -> UUID: ...

    @property
    def dedupe_key(self) -> UUID | None: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def to_phone(self) -> str: ...

    @property
    def segments(self) -> int: ...

    @property
    def accepted_at(self) -> datetime: ...


class WebhookAttemptRow(Protocol):
    """A row of `webhook_attempts`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def endpoint_id(self) -> UUID: ...

    @property
    def event_id(self) -> UUID: ...

    @property
    def number(self) -> int: ...

    @property
    def replay(self) -> bool: ...

    @property
    def status_code(self) -> int | None: ...

    @property
    def error(self) -> str | None: ...

    @property
    def response_head(self) -> str: ...

    @property
    def elapsed_ms(self) -> int: ...

    @property
    def created_at(self) -> datetime: ...


class WebhookDeliveryRow(Protocol):
    """A row of `webhook_deliveries`."""

    @property
    def id(self) -> UUID: ...

    @property
    def endpoint_id(self) -> UUID: ...

    @property
    def event_id(self) -> UUID: ...

    @property
    def state(self) -> str: ...

    @property
    def sequence(self) -> int | None: ...

    @property
    def replay(self) -> bool: ...

    @property
    def replay_count(self) -> int: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def next_attempt_at(self) -> datetime: ...

    @property
    def lease_until(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def ended_at(self) -> datetime | None: ...


class WebhookEndpointRow(Protocol):
    """A row of `webhook_endpoints`."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def url(self) -> str: ...

    @property
    def events(self) -> list[str]: ...

    @property
    def description(self) -> str: ...

    @property
    def enabled(self) -> bool: ...

    @property
    def disabled_reason(self) -> str | None: ...

    @property
    def secret_sealed(self) -> str: ...

    @property
    def previous_secret_sealed(self) -> str | None: ...

    @property
    def previous_secret_until(self) -> datetime | None: ...

    @property
    def failing_since(self) -> datetime | None: ...

    @property
    def unverified_since(self) -> datetime | None: ...

    @property
    def tested_by(self) -> UUID | None: ...

    @property
    def auto_replay_since(self) -> datetime | None: ...

    @property
    def standard_webhooks(self) -> bool: ...

    @property
    def batch_size(self) -> int | None: ...

    @property
    def event_filter(self) -> dict[str, object] | None: ...

    @property
    def created_by(self) -> str | None: ...

    @property
    def created_at(self) -> datetime: ...


class WorkspaceRow(Protocol):
    """A row of `workspaces`."""

    @property
    def id(self) -> UUID: ...

    @property
    def name(self) -> str: ...

    @property
    def default_sender(self) -> str: ...

    @property
    def double_opt_in(self) -> bool: ...

    @property
    def campaigns_admit_unknown(self) -> bool: ...

    @property
    def blocked_regions(self) -> list[str]: ...

    @property
    def enabled_regions(self) -> list[str]: ...

    @property
    def daily_credit_cap(self) -> int | None: ...

    @property
    def prefix_hourly_cap(self) -> int | None: ...

    @property
    def contact_daily_cap(self) -> int | None: ...

    @property
    def contact_weekly_cap(self) -> int | None: ...

    @property
    def contact_caps_cover_all(self) -> bool: ...

    @property
    def unreachable_after(self) -> int | None: ...

    @property
    def click_window_hours(self) -> int: ...

    @property
    def message_window_hours(self) -> int: ...

    @property
    def approval_threshold(self) -> int | None: ...

    @property
    def timezone(self) -> str: ...

    @property
    def quiet_hours(self) -> bool: ...

    @property
    def opt_in_text(self) -> str: ...

    @property
    def opt_out_text(self) -> str: ...

    @property
    def welcome_text(self) -> str: ...

    @property
    def help_text(self) -> str: ...

    @property
    def sandbox_settings(self) -> JSONObject: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def suspended_at(self) -> datetime | None: ...

    @property
    def requires_second_factor(self) -> bool: ...

    @property
    def deletion_asked_at(self) -> datetime | None: ...

    @property
    def deletes_at(self) -> datetime | None: ...

    @property
    def erased_at(self) -> datetime | None: ...

    @property
    def has_test_clock(self) -> bool: ...
