"""Drives the driver of one language through every operation, with and without faults, and judges what it says."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.request import Request, urlopen

from scripts.contract.service import Service
from sdks.conformance.languages import Language
from sdks.conformance.plan import EVERY, Known, phone, steps
from sdks.conformance.proxy import FAULTS, FaultProxy, Seen
from sdks.generator import model
from sdks.generator.vectors import sample_key

Json = dict[str, Any]
# What a key of the sandbox is refused: it buys nothing, and a campaign is asked for again once a person rejected it.
REFUSED = {"createCheckout", "retrieveCheckout", "updateAutoTopUp", "requestCampaignApproval"}
# How long workers may take for an import of one contact.
IMPORT_SECONDS = 120.0
# Less than the proxy's delay.
TIMEOUT = 2.0


@dataclass
class Found:
    """What came of a run."""

    operations: int = 0
    calls: int = 0
    made: int = 0
    seen: int = 0
    faults: list[str] = field(default_factory=list)


class Driver:
    """A driver's process."""

    def __init__(self, language: Language, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            language.driver,
            cwd=language.folder,
            env=environment | language.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.called: set[str] = set()

    def call(self, operation_id: str, args: Json, *, all: bool = False, **options: Any) -> Json:
        """Have it make a call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.called.add(operation_id)
        asked = {"operation_id": operation_id, "args": args, "options": {"timeout": TIMEOUT} | options, "all": all}
        self._process.stdin.write(json.dumps(asked, ensure_ascii=False) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended in {operation_id}")
        answer: Json = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


class Conformance:
    """One language against one service."""

    def __init__(self, language: Language, service: Service, environment: dict[str, str]) -> None:
        self.language = language
        self.service = service
        self.environment = environment
        self.found = Found()
        self.methods = {method.operation_id: method for _, method in model.load_once().methods}

    def run(self) -> Found:
        """Run all parts."""
        with FaultProxy(self.service.unlimited_url) as proxy:
            self.proxy = proxy
            with self.driver() as driver:
                self.round(driver, 1, None)
                self.round(driver, 2, cycle(FAULTS))
                self.sent_once(driver)
                self.paged(driver)
                self.refused(driver)
                self.gives_up(driver)
                self.found.operations = len(driver.called)
                if missing := set(self.methods) - driver.called:
                    self.say(f"operations that are not called: {sorted(missing)}")
            with self.driver(sample_key()) as stranger:
                self.expect_error(
                    "a key of nobody", stranger.call("retrieveCredits", {}), "AuthenticationError", "api_key_invalid", 1
                )
            self.parallel()
        return self.found

    @contextmanager
    def driver(self, key: str | None = None) -> Iterator[Driver]:
        """Start a driver with a key."""
        told = {"MASSIVESMS_API_KEY": key or self.service.test_key, "MASSIVESMS_BASE_URL": self.proxy.url}
        driver = Driver(self.language, self.environment | told)
        try:
            yield driver
        finally:
            driver.close()

    def say(self, what: str) -> None:
        """Keep what is wrong."""
        self.found.faults.append(what)

    def round(self, driver: Driver, number: int, faults: Iterator[str] | None) -> None:
        """Call every operation, each after a fault where there are any."""
        known: Known = {}
        for step in steps(number):
            if step.awaits is not None:
                self.wait(known[step.awaits[0]], step.awaits[1])
            if faults is not None:
                self.proxy.plan.append(next(faults))
                self.found.made += 1
            answer = driver.call(step.operation_id, step.args(known))
            self.found.calls += 1
            seen = self.proxy.forget()
            self.found.seen += len(seen)
            self.judge(f"round {number}, {step.operation_id}", step.operation_id, answer, seen, faults is not None)
            if step.keep and "result" in answer:
                result = answer["result"]
                known[step.keep] = result["id"] if "id" in result else result["data"][0]["id"]

    def wait(self, id: str, status: str) -> None:
        """Wait until workers have brought an import, a campaign or a clock to a status; without the driver, and past the proxy."""
        path = "test/clock" if id.startswith("clk_") else f"{'imports' if id.startswith('imp_') else 'campaigns'}/{id}"
        url = f"{self.service.unlimited_url}/v1/{path}"
        request = Request(url, headers={"Authorization": f"Bearer {self.service.test_key}"})
        deadline = time.monotonic() + IMPORT_SECONDS
        found = ""
        while time.monotonic() < deadline:
            with urlopen(request, timeout=30) as answer:
                found = json.load(answer)["status"]
            if found == status:
                return
            time.sleep(0.2)
        self.say(f"an import is {found} in place of {status}")

    def judge(self, where: str, operation_id: str, answer: Json, seen: list[Seen], is_faulty: bool) -> None:
        """Hold an answer and its requests to the contract."""
        method = self.methods[operation_id]
        if "result" not in answer:
            self.say(f"{where}: {answer} after {[each.fault for each in seen]}")
            return
        tries = 2 if is_faulty else 1
        keys = {each.key for each in seen}
        if len(seen) != tries or answer["tries"] != tries:
            self.say(f"{where}: {len(seen)} requests, {answer['tries']} tries; {tries} expected")
        if len(keys) != 1 or (None not in keys) is not method.takes_key or answer["idempotency_key"] not in keys:
            self.say(f"{where}: idempotency keys {keys}, and {answer['idempotency_key']} told")
        if not re.fullmatch(r"req_[0-9A-Z]{26}", answer["request_id"] or ""):
            self.say(f"{where}: request id {answer['request_id']}")
        if not seen[0].user_agent.startswith(f"massivesms-{self.language.name}/"):
            self.say(f"{where}: User-Agent {seen[0].user_agent}")
        if [each.retry_count for each in seen] != [None, "1"][: len(seen)]:
            self.say(f"{where}: MSVS-Retry-Count {[each.retry_count for each in seen]}")
        missing = set(self.example(operation_id)) - set(answer["result"])
        if missing:
            self.say(f"{where}: the result lacks {sorted(missing)}")

    def example(self, operation_id: str) -> Json:
        """Return the fields that every answer of an operation has."""
        schema = model.load_once().by_name[self.methods[operation_id].result]
        return {each.name: True for each in schema.fields if each.required}

    def sent_once(self, driver: Driver) -> None:
        """Send a message whose answers are lost twice, and find it once."""
        to = phone(3, 1)
        self.proxy.plan.extend(["cut after", "half"])
        answer = driver.call("createMessage", {"to": to, "body": "Once"})
        seen = self.proxy.forget()
        if "result" not in answer or [each.replayed for each in seen] != [False, True, True]:
            self.say(f"a message whose answer was lost: {answer}, {seen}")
            return
        listed = driver.call("listMessages", {"contact_id": answer["result"]["contact_id"]})
        ids = [each["id"] for each in listed["result"]["data"]]
        if ids != [answer["result"]["id"]]:
            self.say(f"a message whose answer was lost was sent {len(ids)} times")
        self.proxy.forget()

    def paged(self, driver: Driver) -> None:
        """Iterate over pages, also while faults come."""
        made = [driver.call("createList", {"name": f"Page {number}"})["result"]["id"] for number in range(7)]
        whole = [each["id"] for each in driver.call("listLists", {"limit": 100})["result"]["data"]]
        self.proxy.plan.extend([None, "cut", None, "garbage", None, "429"])
        ids = driver.call("listLists", {"limit": 2}, all=True).get("ids")
        if ids != whole:
            self.say(f"iteration: {ids} in place of {whole}")
        self.proxy.plan.clear()
        newer = driver.call("listLists", {"limit": 2, "ending_before": made[2]}, all=True).get("ids")
        if newer != made[3:]:
            self.say(f"iteration to newer items: {newer} in place of {made[3:]}")
        self.proxy.forget()

    def expect_error(self, where: str, answer: Json, name: str, code: str | None, tries: int) -> None:
        """Hold an error to its class, code and tries."""
        error = answer.get("error") or {}
        if (error.get("name"), error.get("code"), error.get("tries")) != (name, code, tries):
            self.say(f"{where}: {answer} in place of {name}, {code}, {tries} tries")
        self.proxy.forget()

    def refused(self, driver: Driver) -> None:
        """Make calls that are refused, none of which is made again."""
        gone = "msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP"
        taken = phone(1, 1)
        used = {"idempotency_key": f"{self.language.name}-key"}
        driver.call("createMessage", {"to": taken, "body": "One"}, **used)
        everybody = driver.call("createSegment", {"name": "Refused", "filter": EVERY})["result"]["id"]
        asked = {"name": "Draft", "body": "Hi", "audience": {"segment_id": everybody}, "draft": True}
        draft = driver.call("createCampaign", asked)["result"]["id"]
        for where, operation_id, args, options, name, code in (
            (
                "a purchase in the sandbox",
                "createCheckout",
                {"pack": "launch"},
                {},
                "PermissionDeniedError",
                "live_only",
            ),
            (
                "automatic top-up in the sandbox",
                "updateAutoTopUp",
                {"enabled": False},
                {},
                "PermissionDeniedError",
                "live_only",
            ),
            (
                "a purchase that is not",
                "retrieveCheckout",
                {"id": gone.replace("msg", "pur")},
                {},
                "InvalidRequestError",
                "resource_missing",
            ),
            ("a message that is not", "retrieveMessage", {"id": gone}, {}, "InvalidRequestError", "resource_missing"),
            (
                "a phone that is none",
                "createMessage",
                {"to": "+1abc", "body": "Hi"},
                {},
                "InvalidRequestError",
                "phone_number_invalid",
            ),
            # Only people approve and reject, and no key logs in as one.
            (
                "a campaign that nobody rejected",
                "requestCampaignApproval",
                {"id": draft},
                {},
                "ConflictError",
                "approval_decided",
            ),
            ("a contact that exists", "createContact", {"phone": taken}, {}, "ConflictError", "contact_exists"),
            (
                "a key of another request",
                "createMessage",
                {"to": taken, "body": "Two"},
                used,
                "IdempotencyError",
                "idempotency_key_reused",
            ),
        ):
            self.expect_error(where, driver.call(operation_id, args, **options), name, code, 1)

    def gives_up(self, driver: Driver) -> None:
        """See faults to the end."""
        for fault, name in (
            ("503", "ServerError"),
            ("cut", "APIConnectionError"),
            ("delay", "APITimeoutError"),
            ("garbage", "InvalidResponseError"),
        ):
            self.proxy.plan.extend([fault, fault])
            answer = driver.call("retrieveCredits", {}, max_retries=1)
            self.expect_error(f"{fault} to the end", answer, name, None, 2)
        self.proxy.plan.append("503")
        self.expect_error("no retries", driver.call("retrieveCredits", {}, max_retries=0), "ServerError", None, 1)

    def parallel(self) -> None:
        """Send one message under one key from four processes at once: all are told of one message."""
        args = {"to": phone(4, 1), "body": "Together"}

        def once(_: int) -> Json:
            with self.driver() as driver:
                return driver.call(
                    "createMessage", args, idempotency_key=f"{self.language.name}-together", max_retries=6, timeout=20
                )

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(once, range(4)))
        ids = {answer.get("result", {}).get("id") for answer in answers}
        if len(ids) != 1 or None in ids:
            self.say(f"one key at once: {answers}")
