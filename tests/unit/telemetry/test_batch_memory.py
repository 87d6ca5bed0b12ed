"""A batch that is done is gone: its bodies do not wait for the garbage collector."""

from __future__ import annotations

import gc
import weakref

from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.aggregate import Aggregator


def test_an_aggregator_is_freed_when_nobody_holds_it_any_more() -> None:
    gc.collect()
    gc.disable()
    try:
        aggregator = Aggregator(load_registry([]), 14, 65536)
        aggregator.discard(0, "not_json")
        aggregator.tables()
        freed = weakref.ref(aggregator)
        del aggregator
        assert freed() is None
    finally:
        gc.enable()
