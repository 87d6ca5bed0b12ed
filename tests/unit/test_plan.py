"""The arithmetic of the plan past one machine, and that its page is what follows from the benchmarks' pages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from bench import plan

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ROUND = {
    "body": 10_000, "edge_s": 1e-4, "broker_s": 5e-5, "stream_s": 5e-4, "id_rate": 10_000, "id_bytes": 100,
    "archived": 10_000, "sealed": 0.1, "seal": 1_000, "row": 10, "merge": 100_000, "question_s": 0.02, "task_files": 8, "file_log": 400,
    "file_s": 1e-4, "place_s": 1e-4, "commit_s": 0.05, "walk_s": 0.02, "accepted": 1_000,
}  # fmt: skip


def test_formulas_give_what_a_calculator_gives() -> None:
    found = plan.computed(ROUND, 10)
    mean = 1e10 / 86_400
    assert found["mean"] == pytest.approx(115_740.7, rel=1e-6)
    assert found["inflow"] == pytest.approx(2 * mean * 10_000)
    assert found["streams"] == pytest.approx(2 * mean / 2_000 / 0.6)
    assert found["partitions"] == 193
    assert found["topic"] == pytest.approx(1e10 * 10_000 * 3 * 3)
    assert found["stretch"] == pytest.approx(6710.8864), "64 MiB of bodies"
    assert found["files"] == pytest.approx(2 * mean * 10 / 6710.8864 * 8)
    assert found["stores"] == math.ceil(2 * mean / 10_000)
    assert found["packed"] == pytest.approx(1e13)
    assert found["driver_s"] == pytest.approx(7 * (0.05 + 193 * 1e-4) + found["files"] * 1e-4)


@pytest.mark.parametrize("pings", [1, 50, 3_000, 4e6])
def test_keys_that_arrive_are_counted_as_by_drawing_them(pings: float) -> None:
    keys = 20_000
    shares = 1 / np.arange(1, keys + 1)
    shares /= shares.sum()
    assert plan.distinct(pings, keys) == pytest.approx(-np.expm1(-pings * shares).sum(), rel=2e-3)


def test_rows_of_sums_grow_with_keys_and_not_with_pings() -> None:
    few, many = plan.computed(ROUND, 10), plan.computed(ROUND, 1000)
    assert many["rows"] < 1.1 * few["rows"] < 1.1 * 288 * 300_000
    assert many["fresh"] == pytest.approx(100 * few["fresh"])


def test_a_limit_bends_where_need_reaches_what_there_is() -> None:
    limit = plan.Limit("ids", "top", "id_rate")
    assert plan.bends_at(limit, ROUND) == pytest.approx(10_000 / (2e9 / 86_400))
    assert plan.bends_at(plan.Limit("never", "sums", "1e30"), ROUND) == math.inf


def test_what_follows_from_nothing_measured_says_so() -> None:
    known = plan.computed({**ROUND, "stream_s": math.nan}, 10)
    assert plan.short(known["partitions"]) == plan.short(known["files"]) == plan.LACKS
    assert known["ids_held"] == plan.computed(ROUND, 10)["ids_held"]
    assert math.isnan(
        plan.bends_at(plan.Limit("files", "files", "puts_prefix"), {**ROUND, "stream_s": math.nan})
    )


def test_a_figure_is_read_by_the_words_before_it() -> None:
    page = (
        "| a POST | 12,684 POSTs/s | 11,076 to 14,891 POSTs/s |\n| share | 0.0749x |  |\n| a POST | 1 s | |\n"
    )
    assert plan.figures_of(page) == {"a POST": 12_684, "share": 0.0749}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (4.2e-5, "s", "4.2e-05 s"),
        (123.4, "", "123"),
        (23_148, "", "23 k"),
        (9.96e11, "B", "1 TB"),
    ],
)
def test_numbers_have_two_digits(value: float, unit: str, text: str) -> None:
    assert plan.short(value, unit) == text


def test_the_page_is_what_follows_from_the_pages_of_the_benchmarks() -> None:
    made = plan.page_of(plan.PROSE.read_text(), REFERENCE)
    assert (REFERENCE / plan.PAGE).read_text() == made, "python bench/plan.py"
