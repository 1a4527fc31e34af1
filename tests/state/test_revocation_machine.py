"""Opt-outs as a state machine over every front: only the person, or newer evidence, undoes one."""

from __future__ import annotations

from collections import UserDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from starlette.applications import Starlette

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.consent import consent_audit, consent_chain, revocation
from msvs.api.contacts import suppressions
from msvs.api.contacts.contacts import opt_out_contact
from msvs.api.context import Context
from msvs.api.errors import Conflict
from msvs.api.inbound import carrier_events, keywords
from msvs.api.inbound.replies import receive_inbound
from msvs.api.resources import moment
from msvs.api.text.phones import by_canonical, canonical
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import Contact, Suppression, Workspace
from msvs.models.identity import new_id
from msvs.settings import Settings
from tests import factories
from tests.engines import Engines
from tests.services import SERVICES
from tests.state.conftest import Drive

# The last two are one phone.
PHONES = ("+12125550177", "+5491123456789", "+541123456789")
PHONE = st.sampled_from(PHONES)
KIND = st.sampled_from(("none", "plain", "dated", "stale", "undated", "newer", "future"))
FRONT = st.sampled_from(("rest", "graphql"))
OUT = ("STOP", "please stop texting me")

RESULT = """
    __typename ... on Contact { optIn { status } } ... on Error { code } ... on ConflictError { optedOutAt }
"""
CREATE = f"mutation M($input: CreateContactInput!) {{ createContact(input: $input) {{ {RESULT} }} }}"
UPDATE = f"mutation M($id: ID!, $input: UpdateContactInput!) {{ updateContact(id: $id, input: $input) {{ {RESULT} }} }}"
LIFT = f"mutation M($id: ID!, $optIn: OptInInput!) {{ liftSuppression(id: $id, optIn: $optIn) {{ {RESULT} }} }}"
IMPORT = """
mutation M($input: ImportContactsInput!) {
  importContacts(input: $input) { ... on ContactsImported { optedOut } ... on Error { code } }
}
"""

# All that a refusal may not change.
EVERYTHING = """
SELECT
    (SELECT json_agg(row ORDER BY row.id)::text FROM contacts AS row WHERE workspace_id = $1) AS contacts,
    (SELECT json_agg(row ORDER BY row.id)::text FROM suppressions AS row WHERE workspace_id = $1) AS suppressed,
    (SELECT json_agg(row ORDER BY row.id)::text FROM erased_suppressions AS row WHERE workspace_id = $1) AS erased,
    (SELECT count(*) FROM consent_events WHERE workspace_id = $1) AS entries,
    (SELECT count(*) FROM events WHERE workspace_id = $1) AS events,
    (SELECT count(*) FROM messages WHERE workspace_id = $1) AS messages
"""


REFUSED = """
INSERT INTO messages (id, workspace_id, livemode, kind, to_phone, sender, body, encoding, segments, credits_used,
    status, metadata, due_at, created_at, sent_at, opted_out, attempt_count, carrier)
VALUES ($1, $2, false, 'api', $3, 'COHORT', 'Hi', 'gsm7', 1, 1, 'failed', '{}', now(), now(), now(), false, 1, 'main')
"""
CARRIER_OPT_OUT = """
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
VALUES ($1, 'main', 'opt_out', $1::uuid::varchar, $1, '', 0, $2, $2)
"""


class Phones(UserDict[str, tuple[datetime, datetime]]):
    """What is known of phones, in all their spellings."""

    def __setitem__(self, phone: str, value: tuple[datetime, datetime]) -> None:
        super().__setitem__(canonical(phone), value)

    def __getitem__(self, phone: str) -> tuple[datetime, datetime]:
        return super().__getitem__(canonical(phone))

    def __delitem__(self, phone: str) -> None:
        super().__delitem__(canonical(phone))

    def __contains__(self, phone: object) -> bool:
        return super().__contains__(canonical(str(phone)))


class RevocationMachine(RuleBasedStateMachine):
    """A few phones of one workspace: what they say, and what is claimed of them over each front."""

    def __init__(self, http: httpx.AsyncClient, run: Any) -> None:
        super().__init__()
        self.http = http
        self.run = run
        # The phones that are out: the moments between which they said so last.
        self.out = Phones()
        # Those that their carrier says are out, which nobody has applied yet, and those of them that came back since.
        self.refused = Phones()
        self.back = Phones()

    @initialize(asks=st.booleans())
    def open(self, asks: bool) -> None:
        self.ctx = Context(
            self.run(factories.make_workspace(double_opt_in=asks)).id, False, actor="test", services=SERVICES
        )
        self.asks = asks
        _, self.key = self.run(create_key(self.ctx.workspace_id, livemode=False))
        contact_list = self.run(factories.make_list(self.ctx))
        self.do(
            lambda: keywords.create_keyword(
                self.ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, contact_list.id))
            )
        )

    def teardown(self) -> None:
        if hasattr(self, "ctx"):
            self.run(db.execute("DELETE FROM messages WHERE workspace_id = $1", self.ctx.workspace_id))

    @rule(asks=st.booleans())
    def settle(self, asks: bool) -> None:
        self.ask(Workspace.filter(id=self.ctx.workspace_id).update(double_opt_in=asks))
        self.asks = asks

    @rule(front=FRONT, phone=PHONE, kind=KIND)
    def create(self, front: str, phone: str, kind: str) -> None:
        existing = self.contact(phone)
        evidence = self.evidence(phone, kind)
        before = self.everything()
        told = self.told(front, "/v1/contacts", CREATE, {"phone": phone, "opt_in": evidence})
        if self.is_refused(phone, kind, told, before):
            return
        # One that a message made by itself is adopted.
        if existing is not None and not existing.is_automatic:
            assert told[0] == "contact_exists"
        else:
            self.came(phone, kind, told)

    @rule(front=FRONT, phone=PHONE, kind=KIND)
    def update(self, front: str, phone: str, kind: str) -> None:
        self.change(front, phone, phone, kind)

    @rule(front=FRONT, phone=PHONE, other=PHONE, kind=KIND)
    def change_phone(self, front: str, phone: str, other: str, kind: str) -> None:
        if phone != other and self.contact(other) is None:
            self.change(front, phone, other, kind)

    def change(self, front: str, phone: str, other: str, kind: str) -> None:
        contact = self.contact(phone)
        if contact is None:
            return
        evidence = self.evidence(other, kind)
        before = self.everything()
        body = {"first_name": "Maria", **({} if phone == other else {"phone": other})}
        if evidence is not None:
            body["opt_in"] = evidence
        id = ids.encode_id(ids.CONTACT, contact.id)
        told = self.told(front, f"/v1/contacts/{id}", UPDATE, body, id=id)
        if not self.is_refused(other, kind, told, before):
            self.came(other, kind, told)

    @rule(front=FRONT, phone=PHONE, kind=KIND.filter(lambda kind: kind != "none"))
    def lift(self, front: str, phone: str, kind: str) -> None:
        row = self.ask(Suppression.get_or_none(workspace_id=self.ctx.workspace_id, canonical=canonical(phone)))
        if row is None:
            return
        evidence = self.evidence(phone, kind)
        before = self.everything()
        id = ids.encode_id(suppressions.SUPPRESSION, row.id)
        told = self.told(front, f"/v1/suppressions/{id}/lift", LIFT, evidence, id=id, name="optIn")
        if not self.is_refused(phone, kind, told, before):
            self.came(phone, kind, told)

    @rule(front=FRONT, phones=st.lists(PHONE, min_size=1, max_size=3, unique=True), kind=KIND)
    def import_(self, front: str, phones: list[str], kind: str) -> None:
        if kind == "future":
            return
        out = [phone for phone in by_canonical(phones) if phone in self.out]
        rows = [{"phone": phone} for phone in phones]
        body: dict[str, Any] = {"contacts": rows, "opt_in": self.evidence(phones[0], kind)}
        if front == "rest":
            answer = self.post("/v1/contacts/import", body)
            assert answer.status_code == 200, answer.text
            count = answer.json()["opted_out"]
        else:
            count = self.graphql(IMPORT, {"input": camel(body)})["importContacts"]["optedOut"]
        assert count == len(out)

    @rule(phone=PHONE)
    def delete(self, phone: str) -> None:
        contact = self.contact(phone)
        if contact is not None:
            answer = self.run(self.http.delete(f"/v1/contacts/{ids.encode_id(ids.CONTACT, contact.id)}", **self.auth()))
            assert answer.status_code == 200

    @rule(phone=PHONE)
    def erase(self, phone: str) -> None:
        contact = self.contact(phone)
        if contact is not None:
            answer = self.post(f"/v1/contacts/{ids.encode_id(ids.CONTACT, contact.id)}/erase", {})
            assert answer.status_code == 200, answer.text
            # The message that its carrier refused is one to nobody now.
            self.refused.pop(phone, None)
            self.back.pop(phone, None)

    @rule(phone=PHONE)
    def opt_out(self, phone: str) -> None:
        contact = self.contact(phone)
        if contact is None:
            return
        with self.stopping(phone) as stopped:
            try:
                self.do(lambda: opt_out_contact(self.ctx, contact.id))
            except Conflict:
                assert phone in self.out
                stopped.did = False

    @rule(phone=PHONE)
    def suppress(self, phone: str) -> None:
        with self.stopping(phone) as stopped:
            self.do(lambda: suppressions.import_suppressions(self.ctx, [phone]))
            # What is suppressed stays as it was, since when it was, but where it was asked to come back.
            stopped.did = phone not in self.out
        if not stopped.did:
            self.out[phone] = (self.out[phone][0], datetime.now(UTC))

    @rule(phone=PHONE, text=st.sampled_from((*OUT, "START", "YES", "COHORT6", "Where is it?")))
    def hear(self, phone: str, text: str) -> None:
        contact = self.contact(phone)
        was_pending = contact is not None and contact.opt_in_status == "pending"
        was_in = contact is not None and contact.opt_in_status == "opted_in"
        key = str(new_id())
        with self.stopping(phone) as stopped:
            self.do(lambda: receive_inbound(self.ctx, from_phone=phone, to_sender="12345", text=text, dedupe_key=key))
            stopped.did = text in OUT
        if text == "START" or (text == "YES" and was_pending) or (text == "COHORT6" and (was_in or not self.asks)):
            self.came_back(phone)

    @rule(phone=PHONE)
    def refuse(self, phone: str) -> None:
        """A carrier refuses a message because the phone opted out there; nobody reads that yet."""
        if phone in self.refused:
            return
        since = datetime.now(UTC)
        message_id = new_id()
        self.run(db.execute(REFUSED, message_id, self.ctx.workspace_id, phone))
        self.run(db.execute(CARRIER_OPT_OUT, message_id, since))
        self.refused[phone] = (since, since)

    @rule()
    def collect(self) -> None:
        """The workers apply what carriers said."""
        self.do(lambda: carrier_events.apply_opt_outs(SERVICES, limit=1000, now=datetime.now(UTC)))
        now = datetime.now(UTC)
        for phone, (since, _) in self.refused.items():
            if phone in self.out:
                self.out[phone] = (self.out[phone][0], now)
                continue
            contact = self.contact(phone)
            if contact is None or contact.opt_in_status != "opted_in" or phone not in self.back:
                self.out[phone] = (since, now)
        self.refused, self.back = Phones(), Phones()

    @rule(phone=PHONE, front=st.sampled_from(("rest", "twilio")))
    def send(self, phone: str, front: str) -> None:
        if front == "rest":
            status = self.post("/v1/messages", {"to": phone, "body": "Doors open."}).status_code
            assert status == (422 if phone in self.out else 201)
        else:
            account = f"AC{self.ctx.workspace_id.hex}"
            path = f"/2010-04-01/Accounts/{account}/Messages.json"
            form = {"To": phone, "Body": "Doors open."}
            status = self.run(self.http.post(path, data=form, auth=(account, self.key))).status_code
            assert status == (400 if phone in self.out else 201)

    @invariant()
    def an_opted_out_phone_stays_out(self) -> None:
        if not hasattr(self, "ctx"):
            return
        for contact in self.ask(Contact.filter(workspace_id=self.ctx.workspace_id)):
            if contact.phone in self.out:
                assert contact.opt_in_status in ("opted_out", "pending")
                suppressed = Suppression.filter(workspace_id=self.ctx.workspace_id, canonical=contact.canonical)
                assert self.ask(suppressed.exists())
            else:
                assert contact.opt_in_status != "opted_out"
        for phone, opt_out in self.run(revocation.find_opt_outs(self.ctx, list(self.out))).items():
            since, until = self.out[phone]
            assert since <= opt_out.at <= until
        assert self.run(consent_chain.verify(SERVICES, workspace_id=self.ctx.workspace_id)).is_whole
        assert self.run(consent_audit.audit(SERVICES, workspace_id=self.ctx.workspace_id)) == []

    def evidence(self, phone: str, kind: str) -> dict[str, Any] | None:
        """An `opt_in` of a kind; what is stale was newer than nothing that the phone said last."""
        now = datetime.now(UTC)
        stale = self.out[phone][0] if phone in self.out else now - timedelta(days=1)
        return {
            "none": None,
            "plain": {"source": "checkout", "ip": "203.0.113.4"},
            "dated": {"source": "checkout", "at": now.isoformat()},
            "stale": {"source": "checkout", "at": stale.isoformat(), "renewed": True},
            "undated": {"source": "checkout", "renewed": True},
            "newer": {"source": "checkout", "at": now.isoformat(), "renewed": True},
            "future": {"source": "checkout", "at": (now + timedelta(hours=1)).isoformat(), "renewed": True},
        }[kind]

    def is_refused(self, phone: str, kind: str, told: tuple[str, str | None], before: Any) -> bool:
        """Whether the evidence was refused, as it must be where the phone is out and it is not newer."""
        if kind == "future":
            assert told[0] == "parameter_out_of_range"
        elif kind in ("none", "newer") or phone not in self.out:
            assert told[0] != "opt_in_revoked"
            return False
        else:
            since, until = self.out[phone]
            assert told[0] == "opt_in_revoked"
            assert told[1] is not None
            assert moment(since) <= told[1] <= moment(until)
        assert self.everything() == before
        return True

    def came(self, phone: str, kind: str, told: tuple[str, str | None]) -> None:
        """Take note of what an accepted request made of the phone's consent."""
        status = told[0]
        if kind == "none":
            # Without evidence, nothing changes: a contact that was in, or asked, stays so.
            assert (status == "opted_out") <= (phone in self.out)
            assert phone not in self.out or status in ("opted_out", "pending")
        elif self.asks:
            assert status in ("pending", "opted_in")
            assert phone not in self.out or status == "pending"
        else:
            assert status == "opted_in"
            self.out.pop(phone, None)
        if kind == "newer" and status == "opted_in":
            self.came_back(phone)

    def came_back(self, phone: str) -> None:
        """Take note that a phone is in again, also where its carrier said before that it is out."""
        self.out.pop(phone, None)
        if phone in self.refused:
            self.back[phone] = self.refused[phone]

    def told(
        self, front: str, path: str, query: str, body: Any, *, id: str | None = None, name: str = "input"
    ) -> tuple[str, str | None]:
        """What one front answers: the contact's status, or a code and the time of the opt-out."""
        if front == "rest":
            answer = self.post(path, body).json()
            if "error" in answer:
                return answer["error"]["code"], answer["error"].get("opted_out_at")
            return answer["opt_in"]["status"], None
        (made,) = self.graphql(query, {"id": id, name: camel(body)} if id else {name: camel(body)}).values()
        if made["__typename"] == "Contact":
            return made["optIn"]["status"].lower(), None
        return made["code"], made.get("optedOutAt")

    def stopping(self, phone: str) -> Stopping:
        """Within it, a phone may say STOP."""
        return Stopping(self.out, phone)

    def everything(self) -> Any:
        return dict(self.run(db.fetch_row(EVERYTHING, self.ctx.workspace_id)))

    def contact(self, phone: str) -> Contact | None:
        found: Contact | None = self.ask(
            Contact.get_or_none(workspace_id=self.ctx.workspace_id, canonical=canonical(phone))
        )
        return found

    def auth(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.key}"}}

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.run(self.http.post(path, json=body, **self.auth()))  # type: ignore[no-any-return]

    def graphql(self, query: str, variables: Any) -> Any:
        answer = self.post("/graphql", {"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def do(self, operation: Any) -> Any:
        async def run() -> Any:
            async with unit_of_work():
                return await operation()

        return self.run(run())

    def ask(self, query: Any) -> Any:
        async def run() -> Any:
            return await query

        return self.run(run())


class Stopping:
    """The moments before and after something by which a phone may be out."""

    def __init__(self, out: Phones, phone: str) -> None:
        self.out = out
        self.phone = phone
        self.did = True

    def __enter__(self) -> Stopping:
        self.since = datetime.now(UTC)
        return self

    def __exit__(self, *_: object) -> None:
        if self.did:
            self.out[self.phone] = (self.since, datetime.now(UTC))


def camel(value: Any) -> Any:
    """A REST body as GraphQL's input has it."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {"opt_in": "optIn", "first_name": "firstName"}
    return {names.get(name, name): camel(each) for name, each in value.items()}


@pytest.fixture
async def app(database: str, engines: Engines, tmp_path: Any) -> AsyncIterator[Starlette]:
    """The whole application on the test database and Valkey."""
    app = create_app(
        Settings(
            database_url=database,
            redis_url=engines.redis_url,
            data_dir=tmp_path,
            operator_password="not-a-secret",
            allowed_hosts=("api.cohortlabs.co",),
        ),
        SERVICES,
    )
    yield app
    await app.state.limiter.close()
    await app.state.readiness.close()


@pytest.mark.timeout(900)
async def test_an_opt_out_is_undone_by_the_person_or_newer_evidence_alone(drive: Drive, app: Starlette) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.cohortlabs.co") as http:
        await drive(partial(RevocationMachine, http))
    await auth.settle(SERVICES)
