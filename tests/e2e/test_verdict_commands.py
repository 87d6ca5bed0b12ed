"""Verdicts through the installed command: what a rollout script and a release manager can rely on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.release_trains import Story, tell
from tests.support.verdict_flow import Installation, files_of, installed, known_by

from missioncontrol.simulate.trains.world import STRATA, Settings

FIELDS = [
    "as_of", "age_hours", "verdict", "ratio", "low", "high", "evidence", "observed", "expected", "slice", "forecast",
]  # fmt: skip
PUBLISHED = datetime(2026, 4, 14, 14, 0, tzinfo=UTC)
PLANNED = "2099-01-02T03:04:05Z"


def at(hours: float) -> str:
    return (PUBLISHED + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def clean() -> Story:
    # Few rows: clients are much alike, so that few of them stand for many.
    return tell(clients=5_000, weight=36, releases=8, settings=Settings(propensity_spread=0.3))


@pytest.fixture(scope="module")
def fine(clean: Story, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A channel whose newest release is like those before."""
    return installed(clean, tmp_path_factory.mktemp("fine"))


@pytest.fixture(scope="module")
def bad(clean: Story, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """One whose newest release crashes twice as often; the next one is announced, for a time to come."""
    folder = tmp_path_factory.mktemp("bad")
    here = installed(clean.worse(2.0), folder)
    planned = {"application": "Firefox", "channel": "release", "version": "108.0", "published_at": PLANNED}
    (folder / "planned.json").write_text(json.dumps([{**planned, "build_id": "20990102030405"}]))
    here.publish(folder / "planned.json")
    return here


@pytest.fixture(scope="module")
def replayed(bad: Installation) -> list[str]:
    """The bad release's looks as they are printed."""
    return bad.replay().splitlines()


def test_a_release_that_crashes_twice_as_often_ends_with_exit_code_3(bad: Installation) -> None:
    out, _, code = bad.verdict("--measure", "main_crashes")
    assert code == 3
    sentence = out.splitlines()[0]
    assert sentence.startswith("107.0 main crashes: worse, ")
    assert " releases had at 14 days (95 % interval " in sentence
    assert "odds of a false alarm under 1 in 100" in sentence
    assert "first crossed 2026-04-" in sentence
    assert " predecessors: 100.0, 101.0, " in out


def test_a_release_like_those_before_ends_with_exit_code_0(fine: Installation) -> None:
    lines = [json.loads(line) for line in fine.replay().splitlines()]
    assert "worse" not in {line["verdict"] for line in lines}
    assert 0.8 < lines[-1]["ratio"] < 1.25
    assert fine.verdict("--measure", "main_crashes")[2] == 0


def test_a_replay_has_a_line_for_each_look_with_exactly_the_promised_fields(replayed: list[str]) -> None:
    lines = [json.loads(line) for line in replayed]
    assert [list(line) for line in lines] == [FIELDS] * len(lines)
    hours = [*(n / 12 for n in range(1, 48 * 12 + 1)), *range(49, 337)]
    assert [line["as_of"] for line in lines] == [at(hour) for hour in hours]
    assert [line["age_hours"] for line in lines] == [float(f"{hour:.6g}") for hour in hours]
    kinds = [line["verdict"] for line in lines]
    first = kinds.index("worse")
    assert hours[first] < 48
    assert set(kinds[first:]) == {"worse"}
    assert lines[first]["evidence"] >= 2
    assert all(line["forecast"] for line in lines if line["verdict"] == "too-early")
    assert lines[-1]["low"] < 2.0 < lines[-1]["high"]


@pytest.mark.parametrize("hours", [0.5, 7, 100])
def test_the_verdict_at_a_time_is_the_replays_look_at_that_time(
    bad: Installation, replayed: list[str], hours: float
) -> None:
    whole = {json.loads(line)["as_of"]: line for line in replayed}
    out, _, code = bad.verdict("--measure", "main_crashes", "--json", "--as-of", at(hours))
    assert out.strip() == whole[at(hours)]
    assert code == (3 if json.loads(out)["verdict"] == "worse" else 0)


def test_between_two_looks_the_last_one_holds(bad: Installation, replayed: list[str]) -> None:
    assert bad.look("--as-of", at(60.99))["as_of"] == at(60)
    assert bad.look("--as-of", at(5000)) == json.loads(replayed[-1])


def test_the_same_rows_in_any_order_and_number_of_imports_give_the_same_bytes(
    clean: Story, replayed: list[str], tmp_path: Path
) -> None:
    written = files_of(clean.worse(2.0), tmp_path / "files")
    assert written.activity
    other = Installation(tmp_path / "data")
    other.publish(written.releases)
    rng = np.random.default_rng(3)
    for table, path in (("usage_by_activity", written.activity), ("error_aggregates", written.aggregates)):
        rows = pq.read_table(path)
        part = rng.integers(0, 3, rows.num_rows)
        for number in (2, 0, 1):
            mine = np.flatnonzero(part == number)[::-1]
            piece = tmp_path / f"{table}-{number}.parquet"
            pq.write_table(rows.take(pa.array(mine)), piece)
            other.take(piece, table=table)
    assert other.replay().splitlines() == replayed


@pytest.mark.parametrize("hours", [2.5, 26])
def test_what_comes_later_changes_no_look(
    clean: Story, replayed: list[str], tmp_path: Path, hours: float
) -> None:
    moment = PUBLISHED + timedelta(hours=hours)
    written = known_by(files_of(clean.worse(2.0), tmp_path / "all"), moment, tmp_path / "known")
    then = Installation(tmp_path / "data")
    then.take(written.aggregates)
    assert written.activity
    then.take(written.activity, table="usage_by_activity")
    then.publish(written.releases)
    looks = then.replay().splitlines()
    assert len(looks) == hours * 12
    assert looks == replayed[: len(looks)]


def test_a_regression_on_one_system_is_named(clean: Story, tmp_path: Path) -> None:
    linux = np.array([stratum[0] == "Linux" for stratum in STRATA])
    here = installed(clean.worse(4.0, linux), tmp_path)
    last = here.look()
    assert last["verdict"] == "worse"
    assert last["slice"] == {"os_name": "Linux"}
    out, _, code = here.verdict("--measure", "main_crashes")
    assert code == 3
    assert ": worse for Linux: " in out.splitlines()[0]
    assert "times elsewhere" in out.splitlines()[0]


def test_at_and_before_publication_it_is_too_early(bad: Installation) -> None:
    look = bad.look("--version", "107.0", "--as-of", at(0))
    assert (look["as_of"], look["age_hours"], look["verdict"]) == (at(0), 0.0, "too-early")
    assert (look["ratio"], look["observed"], look["expected"]) == (None, 0.0, 0.0)
    assert look["forecast"]["2"]["hours_left"] > 0
    out, _, code = bad.verdict("--version", "107.0", "--measure", "main_crashes", "--as-of", at(-2))
    assert code == 0
    assert "it is published in 2 hours" in out


def test_what_is_not_published_yet_is_judged_only_when_it_is_named(bad: Installation) -> None:
    for more in ((), ("--as-of", "2099-06-01T00:00:00Z")):
        out, _, code = bad.verdict("--measure", "main_crashes", *more)
        assert code == 3 and out.startswith("107.0 main crashes: worse, ")
    before = datetime.now(UTC)
    for more in ((), ("--as-of", "2099-01-01T00:00:00Z")):
        out, _, code = bad.verdict("--version", "108.0", "--measure", "main_crashes", *more)
        assert code == 0 and out.startswith("108.0 main crashes: too early to say, it is published in ")
        look = bad.look("--version", "108.0", *more)
        assert (look["verdict"], look["observed"], look["ratio"]) == ("too-early", 0.0, None)
        assert before <= datetime.fromisoformat(look["as_of"]) <= datetime.now(UTC), (
            "nothing is known of later"
        )
        assert look["age_hours"] < 0


def test_the_first_release_of_all_is_too_early(bad: Installation) -> None:
    look = bad.look("--version", "100.0")
    assert (look["verdict"], look["ratio"], look["expected"]) == ("too-early", None, 0.0)
    assert set(look["forecast"]) == {"1.25", "1.5", "2"}
    assert "no earlier release is known" in bad.verdict("--version", "100.0", "--measure", "main_crashes")[0]


def test_one_predecessor_is_enough_to_say_how_little_is_known(bad: Installation) -> None:
    looks = [json.loads(line) for line in bad.replay("--version", "101.0").splitlines()]
    assert {look["verdict"] for look in looks} <= {"too-early", "data-problem"}
    out = bad.verdict("--version", "101.0", "--measure", "main_crashes")[0]
    assert "with one earlier release to compare with, only twice as many can be called" in out


def test_without_activity_rows_it_is_judged_all_the_same(clean: Story, tmp_path: Path) -> None:
    written = files_of(clean.worse(2.0), tmp_path / "files")
    here = Installation(tmp_path / "data")
    here.take(written.aggregates)
    here.publish(written.releases)
    assert here.look()["verdict"] == "worse"


def test_refusals_are_sentences(bad: Installation, tmp_path: Path) -> None:
    _, said, _ = bad.verdict("--version", "5.0", codes=(1,))
    assert said.startswith("Error: No version '5.0' of Firefox is known to have been published on release.")
    _, said, _ = bad.verdict("--measure", "main_crashs", codes=(2,))
    assert "Did you mean `main_crashes`?" in said
    _, said, _ = bad.verdict("--as-of", "yesterday", codes=(2,))
    assert "is no ISO 8601 time" in said
    _, said, _ = bad.run("verdict", "--application", "Firefox", "--channel", "beta", codes=(1,))
    assert "import releases" in said
    _, said, _ = Installation(tmp_path / "none").verdict(codes=(1,))
    assert "no installation" in said


def test_without_a_measure_main_crashes_are_told_and_all_when_asked_for(bad: Installation) -> None:
    out, _, code = bad.verdict("--json")
    assert (code, set(json.loads(out))) == (3, set(FIELDS))
    assert out == bad.verdict("--json", "--measure", "main_crashes")[0]
    out, _, code = bad.verdict("--json", "--measure", "all")
    assert code == 3
    assert [each["measure"] for each in json.loads(out)] == ["main_crashes"]
    assert {"measure", *FIELDS} == set(json.loads(out)[0])
