"""The crash reports of a fleet: as many as its crash pings let expect, the regression among them, imported and named."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

from missioncontrol.config import load_config
from missioncontrol.services import Services
from missioncontrol.simulate.crash_program import REGRESSION
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.reports import SENT_SHARE, all_symbols, reports, write_reports
from missioncontrol.simulate.stamps import DAY_S, NS

NOW_NS = 1_793_000_000 * NS
DAY_NS = DAY_S * NS


def fleet() -> Fleet:
    return Fleet(20, 3_000, NOW_NS, main_per_1k_hours=8.0)


def test_there_is_a_report_for_its_share_of_the_main_crash_pings() -> None:
    known = fleet()
    span = (NOW_NS - 2 * DAY_NS, NOW_NS)
    pings = [ping for ping in known.history(*span) if ping.document_type == "crash"]
    crashes = list(known.main_crashes(*span))
    sent = list(reports(known, crashes))
    assert {crash.received_ns for crash in crashes} <= {ping.received_ns for ping in pings}
    able = sum(crash.platform.architecture == "x86-64" for crash in crashes)
    assert 100 < able < len(crashes)
    assert abs(len(sent) - SENT_SHARE * able) < 4 * (able * SENT_SHARE * (1 - SENT_SHARE)) ** 0.5
    assert len({report.crash_id for report in sent}) == len(sent)
    assert sent == list(reports(fleet(), fleet().main_crashes(*span)))


def test_reports_are_imported_walked_and_named(tmp_path: Path) -> None:
    known = fleet()
    made = list(reports(known, known.main_crashes(NOW_NS - DAY_NS, NOW_NS)))
    assert write_reports(tmp_path / "in", made) == len(made)
    services = Services(load_config(tmp_path / "data"))
    for module, text in all_symbols(known, ["release", "beta", "nightly", "esr"]):
        services.symbols.add(io.BytesIO(text), f"{module.debug_file}.sym")
    assert services.crash_import().run([tmp_path / "in"]).imported == len(made)
    with services.crash_worker() as worker:
        worker.run_until_idle()
    sink = io.BytesIO()
    services.sql.run("SELECT signature, version, os_name, date FROM crashes", sink)
    rows = json.loads(sink.getvalue())
    services.close()
    assert len(rows) == len(made)
    assert not [row for row in rows if "::" not in row["signature"]]
    worse = known.truth.worse
    assert worse is not None
    guilty = Counter(
        (row["version"], row["os_name"])
        for row in rows
        if row["signature"].startswith(REGRESSION.functions[0])
    )
    assert set(guilty) == {(worse.version, "Windows NT")}
    assert sum(guilty.values()) > 5
