"""What the history says of each day and of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from missioncontrol.state.runs import BuiltDay, Origin, Run, Status
from missioncontrol.telemetry.backfill_plan import CRASHES, TABLES, Plan, arguments
from missioncontrol.web.history.facts import Archived, Facts
from missioncontrol.web.history.model import Day, History, Notice
from missioncontrol.web.history.runs import asked_of, named_days, open_failures, run_rows
from missioncontrol.web.history.view import DAYS, build_history

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
TODAY = NOW.date()
YESTERDAY, BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=2)
MINUTE = timedelta(minutes=1)


def run(
    number: int,
    status: Status,
    *days: date,
    tables: Sequence[str] = (CRASHES,),
    origin: Origin = "schedule",
    message: str = "",
    attempts: int = 1,
    at: datetime | None = None,
    **more: Any,
) -> Run:
    began = at or NOW - timedelta(hours=3) + number * MINUTE
    plan = arguments(Plan(tuple(tables), days[0], days[-1]))
    if status == "waiting":
        return Run(number, "backfill", plan, origin, status, 0, began)
    ended = began + 10 * timedelta(seconds=1) if status != "running" else None
    return Run(
        number, "backfill", plan, origin, status, attempts, began, began, began, ended, message, **more
    )


def built(
    day: date, pings: int = 10, number: int = 1, table: str = CRASHES, at: datetime = NOW - 9 * MINUTE
) -> BuiltDay:
    return BuiltDay(table, day, number, "default", "r", pings, pings, 7, 2.5, at)


def history(
    archive: dict[date, int], made: Sequence[BuiltDay] = (), runs: Sequence[Run] = (), before: date | None = None,
    rows: dict[date, int] | None = None, received: datetime = NOW - timedelta(days=1), attempts: int = 3,
) -> History:  # fmt: skip
    facts = Facts(
        now=NOW,
        archiving=True,
        attempts=attempts,
        lookback_days=7,
        archive={day: Archived(pings, 100 * pings, received) for day, pings in archive.items()},
        rows={b.day: b.rows for b in made if b.table_name == CRASHES} if rows is None else rows,
        built={b.day: b for b in made if b.table_name == CRASHES},
        runs=sorted(runs, key=lambda r: -r.id),
        also=lambda first, last: [b for b in made if first <= b.day <= last],
    )
    return build_history(facts, before)


def day_of(view: History, day: date = YESTERDAY) -> Day:
    return next(d for d in view.days if d.day == day)


def notices(view: History, kind: str) -> list[Notice]:
    return [notice for notice in view.notices if notice.kind == kind]


def test_a_made_day_says_when_how_long_under_which_rules_and_by_which_run() -> None:
    view = history({YESTERDAY: 10}, [built(YESTERDAY)], [run(1, "done", YESTERDAY)])
    found = day_of(view)
    assert (found.state, found.pings, found.size_bytes, found.rows) == ("made", 10, 1000, 7)
    assert (found.made_at, found.duration_s, found.rules, found.run_id) == (
        NOW - 9 * MINUTE,
        2.5,
        "default",
        1,
    )
    assert [n.text for n in view.notices] == [f"All archived days up to {YESTERDAY} are made."]
    assert view.made_until == YESTERDAY


def test_a_day_whose_archive_grew_since_is_older_and_can_be_made_again() -> None:
    view = history({YESTERDAY: 12}, [built(YESTERDAY)])
    assert (day_of(view).state, day_of(view).note) == ("older", "2 pings came since.")
    [todo] = notices(view, "todo")
    assert str(YESTERDAY) in todo.text and (todo.first, todo.last) == (YESTERDAY, YESTERDAY)


def test_a_day_that_was_never_made_is_missing_and_says_until_when_all_is_made() -> None:
    days = [TODAY - timedelta(days=n) for n in range(1, 6)]
    view = history(dict.fromkeys(days, 10), [built(d) for d in days if d != BEFORE])
    assert day_of(view, BEFORE).state == "missing"
    assert [n.text for n in notices(view, "next")] == [f"{BEFORE} is made next."]
    assert not notices(view, "todo")
    assert view.made_until == BEFORE - timedelta(days=1)
    assert [n.text for n in notices(view, "fine")] == [
        f"All archived days up to {view.made_until} are made; later ones are not complete."
    ]


def test_the_day_that_is_not_over_is_neither_missing_nor_failed() -> None:
    view = history({TODAY: 3, YESTERDAY: 10}, [built(YESTERDAY)])
    assert day_of(view, TODAY).state == "arriving"
    assert not notices(view, "todo")


@pytest.mark.parametrize(("status", "state"), [("waiting", "waiting"), ("running", "running")])
def test_a_day_that_somebody_asked_for_is_waiting_and_then_under_way(status: Status, state: str) -> None:
    for made in ([], [built(YESTERDAY, at=NOW - timedelta(days=1))]):
        view = history(
            {YESTERDAY: 10},
            made,
            [run(1, "done", YESTERDAY, at=NOW - timedelta(days=1)), run(2, status, YESTERDAY)],
        )
        assert day_of(view).state == state
        assert notices(view, "busy")[0].run == 2


def test_days_that_a_long_run_has_made_already_are_made() -> None:
    going = run(5, "running", BEFORE, YESTERDAY)
    view = history({BEFORE: 10, YESTERDAY: 10}, [built(BEFORE, number=5)], [going])
    assert [d.state for d in view.days] == ["running", "made"]


def test_a_failed_day_says_why_and_how_often_and_can_be_retried() -> None:
    message = f"{YESTERDAY}: lake_file: part-1.parquet cannot be read."
    view = history({YESTERDAY: 10}, [], [run(4, "failed", YESTERDAY, message=message, attempts=3)])
    assert (day_of(view).state, day_of(view).note) == ("failed", "part-1.parquet cannot be read.")
    [failed] = notices(view, "failed")
    assert failed.text == f"crash_aggregates of {YESTERDAY} failed 3 times."
    assert failed.detail == "part-1.parquet cannot be read." and failed.retry == 4
    assert not notices(view, "fine")


def test_a_failure_of_the_schedule_says_that_it_is_tried_again_by_itself() -> None:
    for attempts, origin, expected in ((1, "schedule", True), (3, "schedule", False), (1, "command", False)):
        failed = run(4, "failed", YESTERDAY, message="disk_full: No room.", attempts=attempts, origin=origin)  # type: ignore[arg-type]
        [notice] = notices(history({YESTERDAY: 10}, [], [failed]), "failed")
        assert ("by itself" in notice.detail) is expected


def test_only_the_days_that_a_run_names_have_failed() -> None:
    message = f"{BEFORE}: lake_busy: Another process is rewriting {BEFORE} of crash_aggregates."
    failed = run(4, "failed", BEFORE, YESTERDAY, message=message)
    view = history({BEFORE: 10, YESTERDAY: 10}, [built(YESTERDAY, number=4)], [failed])
    assert [d.state for d in view.days] == ["made", "failed"]
    assert notices(view, "failed")[0].text == f"crash_aggregates of {BEFORE} failed."


def test_a_failure_leaves_what_was_made_before_and_says_so() -> None:
    earlier = built(YESTERDAY, at=NOW - timedelta(days=1))
    failed = run(4, "failed", YESTERDAY, message="disk_full: No room.")
    found = day_of(history({YESTERDAY: 10}, [earlier], [failed]))
    assert (found.state, found.rows) == ("failed", 7) and "made before stands" in found.note


def test_a_failure_is_no_longer_announced_once_the_day_was_made_since() -> None:
    failed = run(4, "failed", YESTERDAY, message=f"{YESTERDAY}: lake_file: x")
    for later in (
        run(5, "done", YESTERDAY),
        run(5, "done", BEFORE, YESTERDAY, tables=TABLES, origin="command"),
    ):
        view = history({YESTERDAY: 10}, [built(YESTERDAY, number=5)], [failed, later])
        assert day_of(view).state == "made" and not notices(view, "failed")
    other = run(5, "done", YESTERDAY, tables=["error_aggregates"])
    assert notices(history({YESTERDAY: 10}, [], [failed, other]), "failed")


def test_a_failure_that_is_being_retried_stays_until_it_is_made_and_has_no_second_button() -> None:
    failed = run(4, "failed", YESTERDAY, message=f"{YESTERDAY}: lake_file: x")
    [notice] = notices(history({YESTERDAY: 10}, [], [failed, run(5, "waiting", YESTERDAY)]), "failed")
    assert notice.retry is None and notice.run == 5 and "made again" in notice.detail


def test_failures_after_each_other_are_told_once_with_all_attempts() -> None:
    runs = [run(n, "failed", YESTERDAY, message=f"{YESTERDAY}: lake_file: x", attempts=2) for n in (4, 5)]
    [notice] = notices(history({YESTERDAY: 10}, [], runs), "failed")
    assert notice.text.endswith("failed 4 times.") and notice.retry == 5


def test_a_stopped_run_is_told_unless_somebody_stopped_a_command() -> None:
    for origin, expected in (("schedule", 1), ("page", 1), ("command", 0)):
        view = history({YESTERDAY: 10}, [], [run(4, "stopped", YESTERDAY, origin=origin)])  # type: ignore[arg-type]
        assert len(notices(view, "failed")) == expected
        assert day_of(view).state == ("failed" if expected else "missing")


def test_an_old_failure_is_in_the_table_and_no_longer_announced() -> None:
    failed = run(4, "failed", YESTERDAY, message=f"{YESTERDAY}: lake_file: x", at=NOW - timedelta(days=15))
    view = history({YESTERDAY: 10}, [], [failed])
    assert day_of(view).state == "failed" and not notices(view, "failed")


def test_a_day_in_which_there_is_nothing_to_make_is_not_missing_for_ever() -> None:
    view = history({YESTERDAY: 10}, [], [run(1, "done", YESTERDAY)])
    assert day_of(view).state == "nothing" and view.made_until == YESTERDAY
    late = history({YESTERDAY: 10}, [], [run(1, "done", YESTERDAY)], received=NOW)
    assert day_of(late).state == "missing"


def test_a_day_that_was_noted_without_rows_has_nothing_to_make() -> None:
    noted = msgspec.structs.replace(built(YESTERDAY), rows=0)
    found = day_of(history({YESTERDAY: 10}, [noted], [run(1, "done", YESTERDAY)], rows={}))
    assert (found.state, found.rows) == ("nothing", 0)
    kept = day_of(history({YESTERDAY: 10}, [noted], rows={YESTERDAY: 5}))
    assert (kept.state, kept.rows) == ("made", 5), "such a run leaves the day as it was"


def test_what_retention_took_away_is_told_and_the_day_stays_made() -> None:
    fewer = day_of(history({YESTERDAY: 4}, [built(YESTERDAY)]))
    assert (fewer.state, fewer.note) == ("made", "Of 10 pings; the archive holds only 4 of them now.")
    without_rows = day_of(history({YESTERDAY: 10}, [built(YESTERDAY)], rows={}))
    assert (without_rows.state, without_rows.rows) == ("made", None)
    assert without_rows.note == "Its rows are kept no longer."


def test_rows_that_nobody_noted_are_made_and_days_whose_archive_is_gone_are_shown() -> None:
    view = history({YESTERDAY: 10}, [built(BEFORE)], rows={YESTERDAY: 5, BEFORE: 7})
    assert [(d.state, d.pings, d.rows) for d in view.days] == [("made", 10, 5), ("made", 0, 7)]


def test_other_tables_made_again_are_listed_by_when() -> None:
    stream = [built(YESTERDAY, table=table) for table in TABLES[1:3]]
    found = day_of(history({YESTERDAY: 10}, [built(YESTERDAY), *stream]))
    assert [(a.tables, a.made_at) for a in found.also] == [(TABLES[1:3], NOW - 9 * MINUTE)]
    left = msgspec.structs.replace(stream[0], rows=0)
    assert day_of(history({YESTERDAY: 10}, [left])).also == ()


def test_nothing_archived_says_nothing_and_counts_nothing() -> None:
    view = history({})
    assert (view.days, view.notices, view.days_total, view.made_until) == ((), (), 0, None)


def test_sixty_days_are_shown_and_older_ones_follow() -> None:
    days = [TODAY - timedelta(days=n) for n in range(1, 151)]
    made = [built(d) for d in days]
    first = history(dict.fromkeys(days, 10), made)
    assert (len(first.days), first.days_total, first.older, first.newer) == (DAYS, 150, days[59], False)
    second = history(dict.fromkeys(days, 10), made, before=first.older)
    assert (second.days[0].day, second.newer) == (days[60], True)
    third = history(dict.fromkeys(days, 10), made, before=second.older)
    assert (len(third.days), third.older) == (30, None)
    assert history(dict.fromkeys(days, 10), made, before=date(1, 1, 1)).days == ()


def test_only_the_newest_run_of_the_same_can_be_retried() -> None:
    rows = run_rows([run(3, "waiting", YESTERDAY), run(2, "failed", YESTERDAY), run(1, "failed", BEFORE)])
    assert [row.can_retry for row in rows] == [False, False, True]
    assert [row.what for row in rows] == [f"crash_aggregates of {d}" for d in (YESTERDAY, YESTERDAY, BEFORE)]


def test_runs_of_other_jobs_are_listed_and_disturb_nothing() -> None:
    odd = [
        Run(n, job, text, "schedule", "failed", 1, NOW)
        for n, job, text in ((1, "other", "x"), (2, "backfill", "{"))
    ]
    assert [row.what for row in run_rows(odd)] == ["x", "{"]
    assert asked_of(odd) == [] and open_failures(asked_of(odd), NOW) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", {}),
        ("disk_full: No room.", {}),
        ("2026-13-45: lake_file: x", {}),
        (f"{BEFORE}: a_b: {BEFORE}: crash counts. {YESTERDAY}: c: d: e", {BEFORE: f"a_b: {BEFORE}: crash counts.", YESTERDAY: "c: d: e"}),
    ],
)  # fmt: skip
def test_the_days_that_a_message_names(message: str, expected: dict[date, str]) -> None:
    assert named_days(message) == expected


# ---- days that come by themselves, and those that do not


def test_the_day_that_is_made_next_is_told_apart_from_those_that_never_come_by_themselves() -> None:
    old = [date(2026, 11, day) for day in (3, 4, 5)]
    view = history(dict.fromkeys([YESTERDAY, *old], 10))
    assert [n.text for n in notices(view, "next")] == [f"{YESTERDAY} is made next."]
    [todo] = notices(view, "todo")
    assert todo.text == (
        "3 older days (2026-11-03 to 2026-11-05) are not made by themselves, as they are more than 7 days old."
    )
    assert (todo.first, todo.last) == (old[0], old[-1])
    [one] = notices(history({old[0]: 10}), "todo")
    assert one.text == "2026-11-03 is not made by itself, as it is more than 7 days old."
    assert [n.kind for n in history({TODAY - timedelta(days=7): 10}).notices] == ["next"]


def test_where_the_daily_batch_is_off_nothing_is_made_next() -> None:
    view = history({YESTERDAY: 10}, attempts=0)
    assert [n.text for n in notices(view, "todo")] == [
        f"{YESTERDAY} is not made yet, and the daily batch is off."
    ]


# ---- archives that are too little

LACKING = f"{YESTERDAY}: archive_incomplete: error_aggregates counts 9 pings, the archive holds 4 of them."


def test_a_day_whose_archive_is_too_little_is_not_retried_but_left_or_replaced() -> None:
    failed = run(4, "failed", YESTERDAY, tables=["error_aggregates"], message=LACKING, origin="page")
    [notice] = notices(history({YESTERDAY: 4}, [built(YESTERDAY, 4)], [failed]), "failed")
    assert (notice.retry, notice.leave) == (None, 4)
    assert notice.detail == (
        "error_aggregates counts 9 pings, the archive holds 4 of them. The others were never archived"
        " (`import aggregates`, `lake.archive = false`) or have left the archive."
    )
    assert notice.command == (
        f"missioncontrol backfill --table error_aggregates --min-submission-date {YESTERDAY}"
        f" --max-submission-date {YESTERDAY} --incomplete"
    )
    [row] = run_rows([failed])
    assert (row.can_retry, row.can_leave) == (False, True)


def test_a_day_that_was_left_is_no_longer_announced_and_has_the_state_of_before() -> None:
    message = LACKING.replace("error_aggregates", CRASHES)
    failed = run(4, "failed", YESTERDAY, message=message, left_at=NOW)
    earlier = built(YESTERDAY, at=NOW - timedelta(days=1))
    view = history({YESTERDAY: 10}, [earlier], [failed])
    assert day_of(view).state == "made" and not notices(view, "failed")
    assert not run_rows([failed])[0].can_leave
    assert day_of(history({YESTERDAY: 10}, [], [failed])).state == "missing"


def test_leaving_is_for_archives_only_and_other_failures_of_the_run_stay() -> None:
    both = f"{BEFORE}: lake_file: part-1.parquet cannot be read. {LACKING}"
    failed = run(4, "failed", BEFORE, YESTERDAY, message=both)
    found = notices(history({BEFORE: 10, YESTERDAY: 10}, [], [failed]), "failed")
    assert [(n.retry, n.leave) for n in found] == [(4, None), (None, 4)]
    left = msgspec.structs.replace(failed, left_at=NOW)
    [notice] = notices(history({BEFORE: 10, YESTERDAY: 10}, [], [left]), "failed")
    assert notice.retry == 4 and str(BEFORE) in notice.text


def test_the_commands_name_exactly_the_days_that_were_refused() -> None:
    days = [date(2026, 11, day) for day in (20, 21, 24)]
    message = " ".join(f"{day}: archive_incomplete: x." for day in days)
    failed = run(4, "failed", date(2026, 11, 18), YESTERDAY, message=message)
    [notice] = notices(history(dict.fromkeys(days, 10), [], [failed]), "failed")
    first, second = notice.command.splitlines()
    assert "--min-submission-date 2026-11-20 --max-submission-date 2026-11-21 --incomplete" in first
    assert "--min-submission-date 2026-11-24 --max-submission-date 2026-11-24 --incomplete" in second


# ---- rule sets


def ruled(day: date, rules: str) -> BuiltDay:
    return msgspec.structs.replace(built(day), rules=rules)


def test_days_under_other_rules_than_most_are_told_with_what_makes_them_alike() -> None:
    days = [TODAY - timedelta(days=n) for n in range(1, 6)]
    made = [ruled(day, "cra" if day in days[1:3] else "default") for day in days]
    view = history(dict.fromkeys(days, 10), made)
    assert view.rules == "default"
    [notice] = notices(view, "rules")
    assert notice.text == (
        f"{days[2]} and {days[1]} were made under the rules cra, the other 3 under default."
        " Days under different rules are not comparable."
    )
    assert (notice.first, notice.last, notice.rules) == (days[2], days[1], "default")


def test_days_under_the_same_rules_and_days_without_rows_are_not_mixed() -> None:
    empty = msgspec.structs.replace(ruled(BEFORE, "cra"), rows=0)
    assert not notices(history({YESTERDAY: 10, BEFORE: 10}, [ruled(YESTERDAY, "cav"), empty]), "rules")
    assert history({}).rules is None


def test_days_under_other_rules_whose_archive_is_gone_have_no_link() -> None:
    made = [ruled(YESTERDAY, "default"), ruled(BEFORE, "cra")]
    [notice] = notices(history({YESTERDAY: 10}, made), "rules")
    assert f"{BEFORE} was made under the rules cra, the other one under default." in notice.text
    assert notice.first is None


# ---- how far a run is


def test_a_run_says_how_far_it_is_and_whether_there_was_anything_to_make() -> None:
    going = run(5, "running", BEFORE, YESTERDAY, days=8, made=3)
    [busy] = notices(history({YESTERDAY: 10}, [], [going]), "busy")
    assert busy.text.endswith("is being made: 3 of 8 days.") and busy.run == 5
    rows = run_rows([run(n, "done", YESTERDAY, days=days, made=0) for n, days in ((3, 0), (2, 1), (1, None))])
    assert [row.made_nothing for row in rows] == [True, False, False]
