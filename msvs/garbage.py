"""Tune garbage collection in long-lived processes: objects loaded at the start are not scanned again."""

from __future__ import annotations

import gc

Thresholds = tuple[int, int, int]

# Some 170,000 objects are loaded at the start; with them a full collection takes some 100 ms, without them some 5. One
# comes at the latest after two million objects have been made and kept, so that cycles do not pile up.
API: Thresholds = (20_000, 10, 10)
# What bulk jobs make they keep to the end of their batch; looking at it meanwhile would take a fifth of their time.
WORKERS: Thresholds = (50_000, 20, 100)


def collect_less(thresholds: Thresholds) -> None:
    """Keep what is loaded so far out of garbage collection, and collect the rest by `thresholds`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
