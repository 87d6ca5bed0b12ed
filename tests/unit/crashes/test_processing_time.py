"""A list of the user's that never comes to an end with a name costs a while, not a worker."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.crash_stacks import frames, raw, state

from missioncontrol.crashes.fields import load_fields
from missioncontrol.crashes.processing import Settings, Walked, process
from missioncontrol.crashes.processing.time_limit import TookTooLong, time_limit
from missioncontrol.crashes.signature import Signatures

NOW = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
ENDLESS = "a" * 60 + "!"


def named(folder: Path, function: str, rule_timeout_s: float = 60) -> tuple[str, list[str]]:
    lists = folder / "general"
    lists.mkdir(exist_ok=True)
    (lists / "prefix.txt").write_text("(a+)+x\n@shipped\n")
    settings = Settings(load_fields(), Signatures(folder), rule_timeout_s=rule_timeout_s)
    walked = {"upload_file_minidump": Walked(state(frames(function, "Den::dig")))}
    done = process(raw(ProductName="Mine"), walked, settings, processed_at=NOW)
    assert done.document["success"] is True
    return done.signature, list(done.notes)


def test_a_catastrophic_list_ends_in_a_named_state(tmp_path: Path) -> None:
    signature, notes = named(tmp_path, ENDLESS, rule_timeout_s=0.3)
    assert signature == "EMPTY: crash failed to process"
    assert "name_crash: given up after 0.3 s" in notes
    signature, notes = named(tmp_path, "Den::rest")
    assert (signature, notes) == ("Den::rest", [])


def test_outside_the_main_thread_there_is_no_limit_and_no_error(tmp_path: Path) -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(named(tmp_path, "Den::rest")[0]))
    thread.start()
    thread.join()
    assert found == ["Den::rest"]


def test_an_end_that_nobody_heard_comes_again() -> None:
    with pytest.raises(TookTooLong), time_limit(0.05):
        with suppress(TookTooLong):  # as where Python cleans up
            for _ in itertools.count():
                pass
        for _ in itertools.count():
            pass
