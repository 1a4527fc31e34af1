"""`make bench`: every goal as a ratio against a floor measured in the same run on the same engines."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    accept,
    batch,
    campaign,
    contacts,
    exports,
    halting,
    imports,
    latency,
    links,
    model,
    scale,
    smpp,
    syncs,
    upkeep,
    webhooks,
)
from bench.engines import Bench, bench

Measure = Callable[[Bench, int, int], dict[str, float]]

BENCHES: dict[str, Measure] = {
    "accept": lambda place, *_: accept.measure(place),
    "accept_live": lambda place, *_: accept.measure(place, livemode=True),
    "batch": lambda place, *_: batch.measure(place),
    "campaign": lambda place, recipients, _: asyncio.run(campaign.measure(place, recipients)),
    "webhooks": lambda place, *_: webhooks.measure(place),
    "latency": lambda place, recipients, _: latency.measure(place, recipients=recipients),
    "links": lambda place, recipients, _: links.measure(place, recipients),
    "halting": halting.measure,
    "upkeep": lambda place, *_: upkeep.measure(place),
    "contacts": lambda place, recipients, _: contacts.measure(place, recipients),
    "exports": lambda place, recipients, _: exports.measure(place, recipients),
    "imports": lambda place, recipients, _: imports.measure(place, recipients),
    "syncs": lambda place, recipients, _: syncs.measure(place, recipients),
    "model": lambda place, recipients, _: model.measure(place, recipients),
    "scale": lambda place, recipients, _: scale.measure(place, recipients),
    "smpp": lambda *_: smpp.measure(),
}

# What is measured, in which bench and figure, and the goal.
GOALS = (
    ("accept: POST /v1/messages, requests/s", "accept", "ratio", ">=", 0.5),
    ("accept, live: with credits", "accept_live", "ratio", ">=", 0.5),
    ("batch: messages/s, times single sends, live", "batch", "ratio", ">=", 5.0),
    ("expand: create → dispatched", "campaign", "ratio_expand", ">=", 0.5),
    ("expand: against COPY of messages and events", "campaign", "ratio_expand_both", ">=", 0.8),
    ("complete: all through the carrier, all events", "campaign", "ratio_complete", ">=", 0.35),
    ("webhooks: deliveries/s", "webhooks", "ratio", ">=", 0.4),
    ("latency: POST → carrier, idle, p95, ms", "latency", "idle_p95_ms", "<=", 50.0),
    ("latency: while another campaign runs, p95, ms", "latency", "busy_p95_ms", "<=", 1000.0),
    ("links: a redirect among all, p95, ms", "links", "redirect_p95_ms", "<=", 10.0),
    ("links: a redirect, p95, times its floor", "links", "ratio", "<=", 3.0),
    ("start: answer with all recipients, times one", "halting", "start_ratio", "<=", 20.0),
    ("pause: answer under load, times idle", "halting", "pause_ratio", "<=", 100.0),
    ("cancel: answer under load, times idle", "halting", "cancel_ratio", "<=", 100.0),
    ("pause: answer under load, p95, ms", "halting", "pause_loaded_p95_ms", "<=", 1000.0),
    ("pause: answer under load, the worst, ms", "halting", "pause_loaded_worst_ms", "<=", 1000.0),
    ("pause: answer while it is expanded, the worst, ms", "halting", "pause_expanding_worst_ms", "<=", 1000.0),
    ("cancel: answer under load, p95, ms", "halting", "cancel_loaded_p95_ms", "<=", 1000.0),
    ("cancel: answer under load, the worst, ms", "halting", "cancel_loaded_worst_ms", "<=", 1000.0),
    ("cancel: answer while it is expanded, the worst, ms", "halting", "cancel_expanding_worst_ms", "<=", 1000.0),
    ("pause: request → the carrier's last message, ms", "halting", "pause_loaded_hold_worst_ms", "<=", 1000.0),
    ("cancel: request → the carrier's last message, ms", "halting", "cancel_loaded_hold_worst_ms", "<=", 1000.0),
    ("cancel: messages sent after canceled_at", "halting", "sent_after_canceled", "<=", 0.0),
    ("upkeep: a send beside the worst, p99, times idle", "upkeep", "worst_ratio", "<=", 3.0),
    ("imports: a file of contacts, times its floor", "imports", "ratio", "<=", 1.5),
    ("imports: a send beside one, p95, times idle", "imports", "beside_p95_ratio", "<=", 2.0),
    ("memory: a worker and its processes that import, MB", "imports", "memory_mb", "<=", 300.0),
    ("syncs: people read from a service, times the floor", "syncs", "ratio", "<=", 3.0),
    ("memory: a worker that syncs, MB", "syncs", "memory_mb", "<=", 300.0),
    ("contacts: a page among 100,000, p95, ms", "contacts", "page_p95_ms", "<=", 10.0),
    ("contacts: a search among 100,000, p95, ms", "contacts", "search_p95_ms", "<=", 100.0),
    ("exports: a file of contacts, times COPY TO", "exports", "ratio", "<=", 2.0),
    ("memory: a worker that exports, MB", "exports", "memory_mb", "<=", 150.0),
    ("smpp: submits and receipts/s, one bind", "smpp", "both_ratio", ">=", 1.0),
    ("model: the worst error of a prediction", "model", "worst_error", "<=", 0.2),
    ("memory: a worker that runs a whole campaign, MB", "campaign", "memory_mb", "<=", 250.0),
)


def main() -> int:
    """Run the benches named, or all; print a table, and the figures as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], help="which benches; all by default")
    parser.add_argument("--recipients", type=int, default=100_000, help="recipients of the campaign")
    parser.add_argument("--workers", type=int, default=4, help="workers of messages under which campaigns are halted")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for name in options.names or list(BENCHES):
        with bench() as place:
            figures[name] = BENCHES[name](place, options.recipients, options.workers)
        print(f"{name}: {json.dumps(figures[name])}", file=sys.stderr)
    print(f"{'what':<52} {'measured':>10} {'goal':>9}")
    for what, name, figure, sign, goal in GOALS:
        if name in figures:
            value = figures[name][figure]
            reached = value >= goal if sign == ">=" else value <= goal
            print(f"{what:<52} {value:>10.2f} {sign + ' ' + format(goal, 'g'):>9} {'' if reached else '  missed'}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
