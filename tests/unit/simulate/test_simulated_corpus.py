"""The corpus: lines as the import reads them, with defects of known number and totals that hold."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from missioncontrol.clock import utc
from missioncontrol.errors import BadRequest
from missioncontrol.simulate.corpus import make_corpus, write_corpus
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.tally import CorpusReport, Defects

META = (
    "Timestamp", "submissionDate", "geoCountry", "normalizedChannel", "appName", "appVersion", "appBuildId",
    "docType", "documentId",
)  # fmt: skip
DEFECTS = Defects(
    duplicates=40,
    late=11,
    split_date=7,
    malformed=9,
    wrong_length=6,
    missing_application=5,
    old_build=8,
    other_channel=4,
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, now_ns: int) -> tuple[CorpusReport, list[bytes]]:
    path = tmp_path_factory.mktemp("corpus") / "broken.ndjson"
    report = make_corpus(path, 1_500, seed=2, now_ns=now_ns, light=True, glean_share=0.1, defects=DEFECTS)
    return report, path.read_bytes().splitlines()


def parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_a_clean_corpus_is_decoded_pings_with_meta_of_about_40_kb(tmp_path: Path, now_ns: int) -> None:
    path = tmp_path / "pings.ndjson"
    report = make_corpus(path, 400, seed=1, now_ns=now_ns)
    lines = path.read_bytes().splitlines()
    assert report.lines == report.counted == len(lines) == 400
    assert report.size_bytes == path.stat().st_size
    assert report.mean_ping_bytes == pytest.approx(40_500, rel=0.03)
    for line in lines:
        ping = json.loads(line)
        meta = ping["meta"]
        assert all(meta[name] for name in META)
        assert meta["submissionDate"] == utc(meta["Timestamp"]).strftime("%Y%m%d")
        assert (meta["documentId"], meta["docType"]) == (ping["id"], ping["type"])
        assert meta["appBuildId"] == ping["environment"]["build"]["buildId"]


def test_the_same_seed_writes_the_same_file_packed_or_not(tmp_path: Path, now_ns: int) -> None:
    paths = [tmp_path / name for name in ("a.ndjson.gz", "b.ndjson.gz", "c.ndjson")]
    reports = [make_corpus(path, 60, seed=4, now_ns=now_ns) for path in paths]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()) == paths[2].read_bytes()
    assert len({report.usage_seconds for report in reports}) == 1


@pytest.mark.parametrize("size_bytes", [30_000, 75_000])
def test_the_size_of_pings_can_be_asked_for(tmp_path: Path, now_ns: int, size_bytes: int) -> None:
    report = make_corpus(tmp_path / "sized.ndjson", 150, seed=1, now_ns=now_ns, size_bytes=size_bytes)
    assert report.mean_main_ping_bytes == pytest.approx(size_bytes, rel=0.05)


def test_each_defect_is_there_as_often_as_asked(broken: tuple[CorpusReport, list[bytes]]) -> None:
    report, lines = broken
    pings = [parsed(line) for line in lines]
    whole = [ping for ping in pings if ping]
    assert report.lines == len(lines) == 1_500
    assert len(pings) - len(whole) == DEFECTS.malformed
    seen = Counter(ping["meta"]["documentId"] for ping in whole)
    assert sum(count - 1 for count in seen.values()) == DEFECTS.duplicates
    mains = [ping for ping in whole if ping["meta"]["docType"] == "main"]
    assert sum("application" not in ping for ping in mains) == DEFECTS.missing_application
    lengths = [type(ping["payload"]["info"]["subsessionLength"]) for ping in mains]
    assert lengths.count(str) == DEFECTS.wrong_length
    assert sum(ping["meta"]["normalizedChannel"] == "Other" for ping in mains) == DEFECTS.other_channel
    dates = [(p["meta"]["submissionDate"], utc(p["meta"]["Timestamp"]).strftime("%Y%m%d")) for p in mains]
    assert sum(one != other for one, other in dates) == DEFECTS.split_date
    ages = [utc(p["meta"]["Timestamp"]) - day_of(p["meta"]["appBuildId"]) for p in mains]
    assert sum(age.days > 280 for age in ages) == DEFECTS.old_build


def test_the_report_adds_up_what_must_be_counted(broken: tuple[CorpusReport, list[bytes]]) -> None:
    report, lines = broken
    kept: dict[str, Any] = {}
    for line in lines:
        ping = parsed(line)
        if ping and is_sound(ping):
            kept.setdefault(ping["meta"]["documentId"], ping)
    types = Counter(ping["meta"]["docType"] for ping in kept.values())
    assert report.counted == len(kept) == 1_500 - DEFECTS.total + DEFECTS.late + DEFECTS.split_date
    assert (report.main_pings, report.crash_pings, report.baseline_pings) == (
        types["main"],
        types["crash"],
        types["baseline"],
    )
    assert report.baseline_pings > 0
    assert report.usage_seconds == sum(usage_seconds(ping) for ping in kept.values())
    crashes = [ping["payload"] for ping in kept.values() if ping["meta"]["docType"] == "crash"]
    assert report.main_crashes == sum(c.get("processType", "main") == "main" for c in crashes)


def test_a_duplicate_is_received_after_the_first_copy(broken: tuple[CorpusReport, list[bytes]]) -> None:
    first: dict[str, int] = {}
    repeats = 0
    for ping in filter(None, map(parsed, broken[1])):
        meta = ping["meta"]
        if meta["documentId"] in first:
            repeats += 1
            assert meta["Timestamp"] > first[meta["documentId"]]
        first.setdefault(meta["documentId"], meta["Timestamp"])
    assert repeats == DEFECTS.duplicates


def test_more_defects_than_fit_are_refused(tmp_path: Path, fleet: Fleet, now_ns: int) -> None:
    with pytest.raises(BadRequest) as refused:
        write_corpus(tmp_path / "x.ndjson", fleet.live(now_ns), 200, defects=Defects(malformed=90))
    assert refused.value.code == "simulated_defects"


def test_defects_that_found_no_place_are_an_error(tmp_path: Path, fleet: Fleet, now_ns: int) -> None:
    few = list(fleet.history(now_ns - 3_600 * 10**9, now_ns))[:20]
    with pytest.raises(BadRequest) as refused:
        write_corpus(tmp_path / "x.ndjson", few, 1_000, defects=Defects(late=3))
    assert refused.value.code == "simulated_defects"


def day_of(build_id: str) -> Any:
    from datetime import UTC, datetime

    if len(build_id) == 14:
        return datetime.strptime(build_id, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return datetime.fromtimestamp(int(build_id), UTC)


def is_sound(ping: Any) -> bool:
    meta = ping["meta"]
    if meta["docType"] != "main":
        return True
    young = (utc(meta["Timestamp"]) - day_of(meta["appBuildId"])).days < 280
    length = ping["payload"]["info"]["subsessionLength"]
    return young and "application" in ping and type(length) is int and meta["normalizedChannel"] != "Other"


def usage_seconds(ping: Any) -> int:
    if ping["meta"]["docType"] == "baseline":
        return int(ping["metrics"]["timespan"]["glean.baseline.duration"]["value"])
    return int(ping["payload"].get("info", {}).get("subsessionLength", 0))
