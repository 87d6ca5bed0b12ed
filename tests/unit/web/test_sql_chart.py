"""The quick chart takes the right columns, and does not lie."""

from __future__ import annotations

from missioncontrol.web.sql.chart import Chart, quick_chart

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]


def chart(names: str, types: str, rows: list[list[object]]) -> Chart:
    found = quick_chart(names.split(), types.split(), rows)
    assert found is not None
    return found


def test_the_first_time_stands_against_the_numbers_in_order_of_time() -> None:
    rows = [[3, DAYS[2], 30.0], [1, DAYS[0], 10.0], [2, DAYS[1], 20.0]]
    found = chart("n day rate", "BIGINT DATE DOUBLE", rows)
    assert (found.x_title, found.time, [line.label for line in found.lines]) == ("day", True, ["n", "rate"])
    assert [dot.x for dot in found.lines[0].dots] == [0, 50, 100]
    assert [tick.label for tick in found.x_ticks][::2] == ["11-01 00:00", "11-02 00:00", "11-03 00:00"]
    assert found.lines[1].dots[0].says == "rate, 2026-11-01 00:00: 10"


def test_build_ids_and_days_as_text_are_times_and_other_text_is_not() -> None:
    assert chart("b n", "VARCHAR BIGINT", [["20261101000000", 1], ["20261102000000", 2]]).time
    assert chart("b n", "VARCHAR BIGINT", [["2026-11-01", 1], ["2026-11-02", 2]]).time
    assert quick_chart(["b", "n"], ["VARCHAR", "BIGINT"], [["release", 1], ["beta", 2]]) is None
    assert (
        quick_chart(["b", "n"], ["VARCHAR", "BIGINT"], [["20269901000000", 1], ["20261102000000", 2]]) is None
    )


def test_the_axis_starts_at_zero_and_goes_below_it_only_for_what_is_below() -> None:
    rows = [[DAYS[0], 100], [DAYS[1], 101]]
    assert chart("d n", "DATE BIGINT", rows).lines[0].dots[0].y < 2, "far from the lower edge"
    rows = [[DAYS[0], -5], [DAYS[1], 5]]
    assert [dot.y for dot in chart("d n", "DATE BIGINT", rows).lines[0].dots] == [100, 0]


def test_a_gap_is_a_gap() -> None:
    rows = [[DAYS[0], 1], [DAYS[1], None], [DAYS[2], 3]]
    found = chart("d n", "DATE BIGINT", rows).lines[0]
    assert found.path.count("M") == 2 and "L" not in found.path
    assert len(found.dots) == 2


def test_one_text_beside_the_time_makes_a_line_of_each_value() -> None:
    rows = [[day, channel, n] for n, day in enumerate(DAYS) for channel in ("beta", "release")]
    found = chart("d channel n", "DATE VARCHAR BIGINT", rows[:-1])
    assert [line.label for line in found.lines] == ["beta", "release"]
    assert (found.y_title, found.dotted) == ("n by channel", False)
    assert [len(line.dots) for line in found.lines] == [3, 2]


def test_several_rows_at_one_place_are_dots_without_a_line() -> None:
    found = chart("d n", "DATE BIGINT", [[DAYS[0], 1], [DAYS[0], 2], [DAYS[1], 3]])
    assert found.dotted and found.lines[0].path == "" and len(found.lines[0].dots) == 3


def test_what_cannot_be_drawn_has_no_chart() -> None:
    assert quick_chart(["n"], ["BIGINT"], [[1], [2]]) is None
    assert quick_chart(["d", "n"], ["DATE", "BIGINT"], [[DAYS[0], 1]]) is None
    assert quick_chart(["d", "n"], ["DATE", "BIGINT"], [[DAYS[0], None], [DAYS[1], None]]) is None
    assert quick_chart(["d", "n"], ["DATE", "BIGINT"], []) is None


def test_too_many_lines_are_left_out_and_said() -> None:
    rows = [[day, f"v{n}", n] for day in DAYS for n in range(15)]
    found = chart("d v n", "DATE VARCHAR BIGINT", rows)
    assert (len(found.lines), found.left_out) == (12, 3)


def test_two_numbers_stand_against_each_other() -> None:
    found = chart("age n", "DOUBLE BIGINT", [[0.5, 1], [2.0, 4]])
    assert (found.x_title, found.time) == ("age", False)


def test_a_column_without_a_value_is_no_line_and_not_in_the_title() -> None:
    found = chart("d a b", "DATE BIGINT BIGINT", [[DAYS[0], None, 1], [DAYS[1], None, 2]])
    assert ([line.label for line in found.lines], found.y_title) == (["b"], "b")


def test_dots_of_more_columns_than_can_be_told_apart_are_left_out() -> None:
    names, types = " ".join(["d", *(f"c{n}" for n in range(10))]), " ".join(["DATE", *["BIGINT"] * 10])
    found = chart(names, types, [[day, *range(10)] for day in (DAYS[0], DAYS[0], DAYS[1])])
    assert found.dotted and (len(found.lines), found.left_out) == (8, 2)


def test_numbers_too_far_apart_have_no_chart() -> None:
    far = [[1, 1e308], [2, -1e308]]
    assert quick_chart(["n", "v"], ["BIGINT", "DOUBLE"], far) is None
    assert quick_chart(["v", "n"], ["DOUBLE", "BIGINT"], [row[::-1] for row in far]) is None


def test_what_is_no_finite_number_is_a_gap() -> None:
    odd = [float("nan"), float("inf"), 10**400]
    found = chart("n v", "BIGINT DOUBLE", [*([n, value] for n, value in enumerate(odd)), [3, 1.0], [4, 2.0]])
    assert [dot.says for dot in found.lines[0].dots] == ["v, 3: 1", "v, 4: 2"]


def test_times_at_the_ends_of_the_calendar_are_none() -> None:
    ends = [
        "9999-12-31 23:59:59.999999",
        "0001-01-01T00:00+14:00",
        "1970-01-01 00:00:00",
        "1970-01-02 00:00:00",
    ]
    found = chart("d n", "TIMESTAMP BIGINT", [[text, n] for n, text in enumerate(ends)])
    assert [dot.says for dot in found.lines[0].dots] == ["n, 1970-01-01 00:00: 2", "n, 1970-01-02 00:00: 3"]
    edges = ["9998-12-31 23:59:59.999999", "0002-01-01T00:00+14:00"]
    assert (
        len(chart("d n", "TIMESTAMP BIGINT", [[text, n] for n, text in enumerate(edges)]).lines[0].dots) == 2
    )
