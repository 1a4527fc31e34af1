"""Consent as a state machine: a phone that said STOP is sent nothing, on any path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.consent import consent_chain
from msvs.api.contacts import imports, suppressions
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    opt_out_contact,
    update_contact,
)
from msvs.api.contacts.imports import ImportContacts
from msvs.api.context import Context
from msvs.api.errors import ComplianceRefused, Conflict
from msvs.api.inbound import keywords
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.privacy import erasure
from msvs.api.text.phones import canonical
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Contact, ErasedSuppression, OptInStatus, Suppression, Workspace
from msvs.models.identity import new_id
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from tests import factories
from tests.services import SERVICES
from tests.state.conftest import Drive

# The last two are one phone.
PHONES = ("+12125550177", "+12125550178", "+5491123456789", "+541123456789", "+22997010203", "+2290197010203")
EVIDENCE = OptInEvidence("checkout", "203.0.113.4", text="Text me.")
OUT = ("STOP", "please stop texting me", "wrong number")
PHONE = st.sampled_from(PHONES)
KIND = st.sampled_from(("none", "old", "newer"))

HANDED_OVER = """
SELECT id, to_phone FROM messages WHERE workspace_id = $1 AND kind <> 'auto' AND status NOT IN ('queued', 'scheduled')
    AND attempt_count > 0
"""


class ConsentMachine(RuleBasedStateMachine):
    """A few phones of one workspace, and everything that is said by them and of them."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.stopped: set[str] = set()
        self.handed_over: set[UUID] = set()

    @initialize(asks=st.booleans(), livemode=st.booleans())
    def open(self, asks: bool, livemode: bool) -> None:
        workspace = self.run(factories.make_workspace(double_opt_in=asks, campaigns_admit_unknown=True))
        self.asks = asks
        self.ctx = Context(workspace.id, livemode, actor="test", services=SERVICES)
        contact_list = self.run(factories.make_list(self.ctx))
        self.list_id: UUID = contact_list.id
        self.do(
            lambda: keywords.create_keyword(
                self.ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, self.list_id))
            )
        )

    def teardown(self) -> None:
        if hasattr(self, "ctx"):
            self.run(db.execute("DELETE FROM messages WHERE workspace_id = $1", self.ctx.workspace_id))
            self.run(db.execute("DELETE FROM campaigns WHERE workspace_id = $1", self.ctx.workspace_id))

    @rule(asks=st.booleans())
    def settle(self, asks: bool) -> None:
        self.ask(Workspace.filter(id=self.ctx.workspace_id).update(double_opt_in=asks))
        self.asks = asks

    @rule(phone=PHONE, later=st.booleans())
    def send(self, phone: str, later: bool) -> None:
        at = datetime.now(UTC) + timedelta(hours=1) if later else None
        try:
            self.do(lambda: send_message(self.ctx, SendMessage(phone, "Doors open.", scheduled_at=at)))
        except ComplianceRefused:
            assert canonical(phone) in self.stopped
        else:
            assert canonical(phone) not in self.stopped

    @rule(phone=PHONE, kind=KIND)
    def make(self, phone: str, kind: str) -> None:
        evidence = self.evidence(kind)
        code = self.conflict(lambda: create_contact(self.ctx, CreateContact(phone, opt_in=evidence)))
        self.told(code, phone, kind)

    @rule(phones=st.lists(PHONE, min_size=1, max_size=4))
    def import_(self, phones: list[str]) -> None:
        rows = [CreateContact(phone) for phone in phones]
        data = ImportContacts(rows, list_id=ids.encode_id(ids.CONTACT_LIST, self.list_id), opt_in=EVIDENCE)
        self.do(lambda: imports.import_contacts(self.ctx, data))

    @rule(phone=PHONE, other=PHONE, kind=KIND)
    def change(self, phone: str, other: str, kind: str) -> None:
        contact = self.contact(phone)
        if contact is None:
            return
        evidence = self.evidence(kind)
        data = UpdateContact(phone=other) if evidence is None else UpdateContact(phone=other, opt_in=evidence)
        self.told(self.conflict(lambda: update_contact(self.ctx, contact.id, data)), other, kind)

    @rule(phone=PHONE, kind=st.sampled_from(("old", "newer")))
    def lift(self, phone: str, kind: str) -> None:
        row = self.ask(Suppression.get_or_none(workspace_id=self.ctx.workspace_id, canonical=canonical(phone)))
        evidence = self.evidence(kind)
        if row is None or evidence is None:
            return
        self.told(self.conflict(lambda: suppressions.lift_suppression(self.ctx, row.id, evidence)), phone, kind)

    @rule(phone=PHONE)
    def delete(self, phone: str) -> None:
        contact = self.contact(phone)
        if contact is not None:
            self.do(lambda: delete_contact(self.ctx, contact.id))

    @rule(phone=PHONE)
    def erase(self, phone: str) -> None:
        self.do(lambda: erasure.erase_phone(self.ctx, phone))

    @rule(phone=PHONE)
    def opt_out(self, phone: str) -> None:
        contact = self.contact(phone)
        if contact is None:
            return
        try:
            self.do(lambda: opt_out_contact(self.ctx, contact.id))
        except Conflict:
            assert canonical(phone) in self.stopped
        else:
            self.stop(phone)

    @rule(phones=st.lists(PHONE, min_size=1, max_size=2))
    def suppress(self, phones: list[str]) -> None:
        self.do(lambda: suppressions.import_suppressions(self.ctx, phones))
        for phone in phones:
            self.stop(phone)

    @rule(phone=PHONE, text=st.sampled_from((*OUT, "START", "YES", "COHORT6", "HELP", "Where is it?")))
    def hear(self, phone: str, text: str) -> None:
        before = self.contact(phone)
        was_pending = before is not None and before.opt_in_status == OptInStatus.PENDING
        key = str(new_id())
        self.do(lambda: receive_inbound(self.ctx, from_phone=phone, to_sender="12345", text=text, dedupe_key=key))
        if text in OUT:
            self.stop(phone)
        elif text == "START" or (text == "YES" and was_pending) or (text == "COHORT6" and not self.asks):
            self.stopped.discard(canonical(phone))

    @rule(is_clone=st.booleans())
    def launch(self, is_clone: bool) -> None:
        last = self.ask(Campaign.filter(workspace_id=self.ctx.workspace_id).order_by("-id").first())
        if is_clone and last is not None:
            self.do(lambda: self._launch_clone(last.id))
        else:
            contacts = self.ask(Contact.filter(workspace_id=self.ctx.workspace_id).values_list("id", flat=True))
            data = CreateCampaign("Cohort 06", "Doors open.", list_ids=[self.list_id], contact_ids=contacts)
            self.do(lambda: campaigns.create_campaign(self.ctx, data))

    @rule()
    def time_passes(self) -> None:
        self.run(db.execute("UPDATE messages SET due_at = now() - interval '1 hour' WHERE status = 'scheduled'"))

    @rule()
    def expand(self) -> None:
        self.run(expand_campaigns(SERVICES))

    @rule()
    def dispatch(self) -> None:
        self.run(dispatch_messages(SERVICES, {"virtual": VirtualCarrier()}))
        rows = self.run(db.fetch(HANDED_OVER, self.ctx.workspace_id))
        for row in rows:
            assert row.id in self.handed_over or canonical(row.to_phone) not in self.stopped
        self.handed_over |= {row.id for row in rows}

    @invariant()
    def consent_is_what_was_said(self) -> None:
        if not hasattr(self, "ctx"):
            return
        plain = set(
            self.ask(Suppression.filter(workspace_id=self.ctx.workspace_id).values_list("canonical", flat=True))
        )
        rows = self.ask(
            ErasedSuppression.filter(workspace_id=self.ctx.workspace_id).values_list("phone_hash", flat=True)
        )
        erased = {canonical(phone) for phone in PHONES if crypto.phone_hash(self.ctx, phone) in rows}
        assert plain | erased == self.stopped
        for contact in self.ask(Contact.filter(workspace_id=self.ctx.workspace_id)):
            assert contact.canonical not in erased
            is_out = contact.canonical in self.stopped
            assert is_out or contact.opt_in_status != OptInStatus.OPTED_OUT
            assert not is_out or contact.opt_in_status in (OptInStatus.OPTED_OUT, OptInStatus.PENDING)
        assert self.run(consent_chain.verify(SERVICES, workspace_id=self.ctx.workspace_id)).is_whole

    def evidence(self, kind: str) -> OptInEvidence | None:
        return {"none": None, "old": EVIDENCE, "newer": factories.renewed("checkout")}[kind]

    def told(self, code: str | None, phone: str, kind: str) -> None:
        """Old evidence is refused for a phone that said STOP; newer evidence undoes that."""
        assert code in (None, "contact_exists") or (code, kind) == ("opt_in_revoked", "old")
        assert (code == "opt_in_revoked") <= (canonical(phone) in self.stopped)
        assert code is not None or kind != "old" or canonical(phone) not in self.stopped
        if code is None and kind == "newer" and not self.asks:
            self.stopped.discard(canonical(phone))

    def conflict(self, operation: Callable[[], Awaitable[Any]]) -> str | None:
        try:
            self.do(operation)
        except Conflict as error:
            return error.code
        return None

    def stop(self, phone: str) -> None:
        self.stopped.add(canonical(phone))

    def contact(self, phone: str) -> Contact | None:
        found: Contact | None = self.ask(
            Contact.get_or_none(workspace_id=self.ctx.workspace_id, canonical=canonical(phone))
        )
        return found

    def do(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with unit_of_work():
                return await operation()

        return self.run(run())

    def ask(self, query: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await query

        return self.run(run())

    async def _launch_clone(self, id: UUID) -> None:
        clone = await campaigns.clone_campaign(self.ctx, id)
        contacts = await Contact.filter(workspace_id=self.ctx.workspace_id).values_list("id", flat=True)
        data = campaigns.UpdateCampaign(list_ids=[self.list_id], contact_ids=list(contacts))
        await campaigns.update_campaign(self.ctx, clone.id, data)
        await campaigns.launch_campaign(self.ctx, clone.id)


async def test_a_phone_that_said_stop_is_sent_nothing(drive: Drive) -> None:
    await drive(ConsentMachine)
