"""SMPP against a message centre by others, whose own log then judges the outcomes: under disconnects, or for long.

`python -m chaos.smpp --messages 20000 --disconnects 50 --smsc node` submits, breaks the sessions off in every way that
the message centre knows and by cutting the TCP connection, and compares.

`python -m chaos.smpp --soak-seconds 1200 --rate 500 --smsc node` submits at that rate for so long and breaks nothing:
no session may end, and nothing may be refused or in doubt.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from uuid import UUID, uuid4

import structlog
import uvloop
from structlog.testing import capture_logs

from chaos.proxy import Proxy
from chaos.smsc import LOOPBACK, PASSWORD, Entry, NodeSmsc, PythonSmsc, Smsc, State
from msvs.api.text.sms import measure
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Accepted, CarrierEvent, Inbound, Outcome, Refused, Report, Submission, Unknown
from msvs.carriers.smpp.carrier import SmppCarrier, make_smpp

BATCH = 100
SUBMITTERS = 4
SETTLE_SECONDS = 60.0
TAKE_FAILS = 0.01
CUT = "cut"


@dataclass
class Books:
    """Our side: what was submitted, what came of it, and what was taken."""

    random: Random
    submissions: list[Submission] = field(default_factory=list)
    outcomes: dict[UUID, Outcome] = field(default_factory=dict)
    retries: int = 0
    reports: list[Report] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)
    inbound_texts: set[str] = field(default_factory=set)
    takes_failed: int = 0
    fails: float = TAKE_FAILS

    async def take(self, carrier_events: Sequence[CarrierEvent]) -> None:
        """Keep what arrives as a database would: after a moment, and sometimes not, or not so that it could say so."""
        drawn = self.random.random()
        if drawn < self.fails / 2:
            self.takes_failed += 1
            raise ConnectionError("not kept")
        await asyncio.sleep(0.002)
        for carrier_event in carrier_events:
            if isinstance(carrier_event, Report):
                self.reports.append(carrier_event)
            else:
                self.inbound.append(carrier_event)
        if drawn < self.fails:
            self.takes_failed += 1
            raise ConnectionError("kept, but nobody knows")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found: each count of `wrong` is to be 0."""

    facts: dict[str, int]
    wrong: dict[str, int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, duplicated or invented."""
        return not any(self.wrong.values())


def make_submissions(count: int, first: int = 0) -> list[Submission]:
    """Messages to as many numbers: short ones, some with characters beyond GSM-7, and one in ten of three parts."""
    made = []
    for number in range(first, first + count):
        body = f"Your order {number} has left the warehouse, and arrives tomorrow."
        if number % 10 == 3:
            body = f"{body} " * 5
        elif number % 10 == 7:
            body = f"Olá ✓ {body}"
        measured = measure(body)
        made.append(
            Submission(
                uuid4(), uuid4(), True, f"+1415{number:07}", "12345", body, measured.encoding, measured.segments, 1
            )
        )
    return made


def make_carrier(port: int, **options: Any) -> SmppCarrier:
    """The carrier, spoken to at a port of loopback."""
    table = {"host": LOOPBACK, "port": port, "system_id": "cohort", "password": PASSWORD, **options}
    carrier = make_smpp(CarrierConfig("foreign", "smpp", table, "https://sms.cohortlabs.co"))
    assert isinstance(carrier, SmppCarrier)
    return carrier


async def submit_all(carrier: SmppCarrier, books: Books, submissions: Sequence[Submission]) -> None:
    """Hand over everything; what is refused for the moment again, and nothing else."""
    waiting = deque(submissions)

    async def submitter() -> None:
        while waiting:
            batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            is_held = False
            for submission, outcome in zip(batch, await carrier.submit_many(batch), strict=True):
                if isinstance(outcome, Refused) and outcome.retryable:
                    waiting.append(replace(submission, attempt=submission.attempt + 1))
                    books.retries += 1
                    is_held = True
                else:
                    assert submission.message_id not in books.outcomes
                    books.outcomes[submission.message_id] = outcome
            if is_held:
                await asyncio.sleep(0.02)

    await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))


async def disturb(smsc: Smsc, proxy: Proxy, carrier: SmppCarrier, books: Books, *, disconnects: int) -> Counter[str]:
    """Break the sessions off at even distances of the run, in turn by each way; how often by which."""
    ways = [*smsc.breaks, CUT]
    done: Counter[str] = Counter()
    for number in range(disconnects):
        at = len(books.submissions) * (number + 1) // (disconnects + 1)
        while len(books.outcomes) < at or not carrier.bound:  # noqa: ASYNC110 - a count that grows
            await asyncio.sleep(0.002)
        texts = [f"Reply {number}-{each}" for each in range(20)]
        books.inbound_texts.update(texts)
        await smsc.bring([(f"1415555{number % 10_000:04}", "12345", text) for text in texts])
        # Somewhere in the middle of things.
        await asyncio.sleep(books.random.uniform(0.0, 0.02))
        way = ways[number % len(ways)]
        done[way] += 1
        if way == CUT:
            proxy.cut()
        else:
            await smsc.break_off(way)
    return done


async def run(
    smsc: Smsc, *, messages: int, disconnects: int, seed: int, long_messages: str = "udh"
) -> tuple[Verdict, State]:
    """Submit, disturb, let everything be brought, and compare with the message centre's log."""
    await smsc.start()
    proxy = await Proxy(lambda: smsc.port).start()
    carrier = make_carrier(
        proxy.port,
        binds=2,
        long_messages=long_messages,
        window=50,
        response_seconds=5,
        reconnect_seconds=0.02,
        reconnect_max_seconds=0.2,
        throttle_seconds=0.02,
    )
    books = Books(Random(seed), make_submissions(messages))
    await carrier.open(books.take)
    try:
        disturbing = asyncio.create_task(disturb(smsc, proxy, carrier, books, disconnects=disconnects))
        await submit_all(carrier, books, books.submissions)
        done = await disturbing
        await smsc.calm()
        state = await settled(smsc)
        log = await smsc.log()
    finally:
        await carrier.close()
        await proxy.stop()
        await smsc.stop()
    return judge(books, log, done), state


async def settled(smsc: Smsc) -> State:
    """Wait until the message centre has brought everything; how far it has come."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while (state := await smsc.state()).waiting:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.05)
    return state


async def soak(smsc: Smsc, *, seconds: float, rate: float, binds: int, window: int, seed: int) -> tuple[Verdict, State]:
    """Submit at `rate` for so long, replies among it, with no fault of the message centre: no session may end."""
    await smsc.start()
    carrier = make_carrier(smsc.port, rate=rate, binds=binds, window=window)
    books = Books(Random(seed), [], fails=0.0)
    failures: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.update([type(context.get("exception")).__name__]))
    with capture_logs() as lines:
        await carrier.open(books.take)
        try:
            began = loop.time()
            ends_at = began + seconds
            replying = asyncio.create_task(reply(smsc, books, ends_at))
            await submit_until(carrier, books, ends_at, batch=min(BATCH, int(rate) or 1))
            took = loop.time() - began
            await replying
            state = await settled(smsc)
            log = await smsc.log()
        finally:
            await carrier.close()
            await smsc.stop()
    verdict = judge(books, log, Counter())
    verdict.facts["seconds"] = round(took)
    verdict.facts["parts a second"] = round(len(log) / took)
    verdict.wrong["sessions that broke"] = state.binds - carrier.wanted
    verdict.wrong["sessions missing at the end"] = carrier.wanted - state.sessions
    verdict.wrong["refused or in doubt"] = sum(not isinstance(each, Accepted) for each in books.outcomes.values())
    verdict.wrong["submitted again after a refusal for the moment"] = books.retries
    verdict.wrong["callbacks that failed"] = failures.total()
    verdict.wrong["lines of trouble in the log"] = sum(line["log_level"] in ("warning", "error") for line in lines)
    return verdict, state


async def submit_until(carrier: SmppCarrier, books: Books, ends_at: float, *, batch: int) -> None:
    """Hand over batch after batch until `ends_at`, and wait for the last one's outcomes."""
    while carrier.bound < carrier.wanted:  # noqa: ASYNC110 - a count that grows
        await asyncio.sleep(0.01)

    async def submitter() -> None:
        while asyncio.get_running_loop().time() < ends_at:
            made = make_submissions(batch, first=len(books.submissions))
            books.submissions += made
            await submit_all(carrier, books, made)

    await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))


async def reply(smsc: Smsc, books: Books, ends_at: float) -> None:
    """Have ten replies brought each second, until `ends_at`."""
    number = 0
    while asyncio.get_running_loop().time() < ends_at:
        texts = [f"Reply {each}" for each in range(number, number + 10)]
        books.inbound_texts.update(texts)
        await smsc.bring([(f"1415555{number % 10_000:04}", "12345", text) for text in texts])
        number += 10
        await asyncio.sleep(1.0)


def judge(books: Books, log: Sequence[Entry], done: Counter[str]) -> Verdict:
    """Compare our outcomes with the message centre's log, and what it brought with what was taken."""
    # A message of several parts that lacks some for certain; its report is the carrier's own.
    not_whole = {report.message_id for report in books.reports if report.carrier_ref is None}
    by_number: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in log:
        by_number[entry.to].append(entry)
    kinds: Counter[str] = Counter()
    wrong = Counter(
        {
            "messages without an outcome": 0,
            "accepted, but not in the log": 0,
            "accepted, but with other ids or another text": 0,
            "told to lack parts, but whole in the log": 0,
            "refused, but in the log": 0,
            "parts in the log twice": 0,
            "parts in the log of no message": 0,
            "receipts lost": 0,
            "receipts twice by their key": 0,
            "receipts of nothing": 0,
            "inbound messages lost": 0,
            "inbound messages twice by their key": 0,
        }
    )
    for submission in books.submissions:
        entries = by_number.pop(submission.to.removeprefix("+"), [])
        outcome = books.outcomes.get(submission.message_id)
        wrong["parts in the log twice"] += len(entries) - len({entry.number for entry in entries})
        kinds[type(outcome).__name__.lower()] += 1
        if submission.message_id in not_whole:
            kinds["told to lack parts"] += 1
            is_whole = bool(entries) and len(entries) == entries[0].count
            wrong["told to lack parts, but whole in the log"] += is_whole
            known = set(outcome.part_refs) if isinstance(outcome, Accepted) else set()
            wrong["accepted, but not in the log"] += not known <= {entry.id for entry in entries}
        elif isinstance(outcome, Accepted):
            refs = outcome.part_refs or (outcome.ref,)
            if not entries:
                wrong["accepted, but not in the log"] += 1
            elif (
                tuple(entry.id for entry in entries) != refs
                or "".join(entry.text for entry in entries) != submission.body
                or len(entries) != entries[0].count
            ):
                wrong["accepted, but with other ids or another text"] += 1
        elif isinstance(outcome, Refused):
            wrong["refused, but in the log"] += bool(entries)
        elif isinstance(outcome, Unknown):
            kinds["unknown, and in the log"] += bool(entries)
        else:
            wrong["messages without an outcome"] += 1
    wrong["parts in the log of no message"] = len(by_number)
    ids = {entry.id for entry in log}
    keys: defaultdict[str, set[str]] = defaultdict(set)
    receipts = [report for report in books.reports if report.carrier_ref is not None]
    for receipt in receipts:
        keys[str(receipt.carrier_ref)].add(receipt.dedupe_key)
    wrong["receipts lost"] = len(ids - keys.keys())
    wrong["receipts of nothing"] = len(keys.keys() - ids)
    wrong["receipts twice by their key"] = sum(len(each) - 1 for each in keys.values())
    texts = defaultdict(set)
    for message in books.inbound:
        texts[message.text].add(message.dedupe_key)
    wrong["inbound messages lost"] = len(books.inbound_texts - texts.keys())
    wrong["inbound messages twice by their key"] = sum(len(each) - 1 for each in texts.values())
    facts = {
        "messages": len(books.submissions),
        "parts accepted by the message centre": len(log),
        **{f"outcomes {name}": count for name, count in sorted(kinds.items())},
        "submitted again after a refusal for the moment": books.retries,
        **{f"disconnects by {way}": count for way, count in sorted(done.items())},
        "receipts taken": len(receipts),
        "receipts by their key": len({receipt.dedupe_key for receipt in receipts}),
        "inbound messages": len(books.inbound_texts),
        "inbound messages taken": len(books.inbound),
        "inbound messages by their key": len({message.dedupe_key for message in books.inbound}),
        "takes that failed": books.takes_failed,
    }
    return Verdict(facts, dict(wrong))


async def chosen(options: argparse.Namespace) -> tuple[Verdict, State]:
    """The run that the command line asks for."""
    smscs: dict[str, type[NodeSmsc | PythonSmsc]] = {"node": NodeSmsc, "python": PythonSmsc}
    make = smscs[options.smsc]
    if options.soak_seconds is not None:
        return await soak(
            make(seed=options.seed),
            seconds=options.soak_seconds,
            rate=options.rate,
            binds=options.binds,
            window=options.window,
            seed=options.seed,
        )
    # smpp34 has no way to cut a connection at random.
    smsc = make(seed=options.seed, throttle=0.01, drop=0.0005 if make is NodeSmsc else 0.0)
    return await run(
        smsc,
        messages=options.messages,
        disconnects=options.disconnects,
        seed=options.seed,
        long_messages=options.long_messages,
    )


def main() -> int:
    """Run, print the table, and end with 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--disconnects", type=int, default=50)
    parser.add_argument("--smsc", choices=("node", "python"), default="node")
    parser.add_argument("--long-messages", choices=("udh", "sar", "payload"), default="udh")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soak-seconds", type=float, help="submit at --rate for so long, and break nothing")
    parser.add_argument("--rate", type=float, default=500.0, help="of a soak: parts a second")
    parser.add_argument("--binds", type=int, default=2, help="of a soak")
    parser.add_argument("--window", type=int, default=20, help="of a soak")
    options = parser.parse_args()
    # A soak counts what is logged.
    level = 50 if options.soak_seconds is None else 30
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    verdict, state = uvloop.run(chosen(options))
    for what, count in verdict.facts.items():
        print(f"{what:<55} {count:>9}")
    print(f"{'brought again by the message centre':<55} {state.again + state.refused:>9}")
    for what, count in verdict.wrong.items():
        print(f"{what:<55} {count:>9} {'WRONG' if count else 'ok'}")
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
