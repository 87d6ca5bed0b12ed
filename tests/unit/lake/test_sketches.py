"""Sketches of ids: as many as there are, whatever order and parts they came in, with bounds that hold."""

from __future__ import annotations

import random

import pytest
from datasketches import hll_sketch
from hypothesis import given, settings
from hypothesis import strategies as st

from missioncontrol.lake.sketches import NONE, estimate, sketch, union, without

QUICK = settings(max_examples=60, deadline=None)


def ids(count: int, seed: int) -> list[str]:
    return [f"{random.Random(f'{seed}/{n}').getrandbits(128):032x}" for n in range(count)]


def test_nobody() -> None:
    assert estimate([]) == estimate([None]) == estimate([sketch([])]) == NONE
    assert union([]) is None
    assert union([None, None]) is None
    assert without([], []) is None


@pytest.mark.parametrize("count", [1, 7, 8, 100, 191, 250])
def test_few_ids_are_counted_exactly(count: int) -> None:
    found = estimate([sketch(ids(count, 1))])
    assert (found.low, found.value) == (count, count)
    assert count <= found.high < count + 0.5


@QUICK
@given(st.integers(0, 6000), st.integers(1, 6), st.integers(0, 10**6))
def test_order_and_parts_do_not_show(count: int, parts: int, seed: int) -> None:
    made = ids(count, seed)
    whole = sketch(made)
    random.Random(seed).shuffle(made)
    cut = [sketch(made[start::parts]) for start in range(parts)]
    assert sketch(made + made[: count // 3]) == whole
    assert union(cut) == whole
    assert union([union(cut[:1]), union(cut[1:]), None]) == whole
    assert estimate(cut) == estimate([whole])


def test_the_bounds_hold_as_often_as_two_standard_errors_say() -> None:
    """95.4 % expected; of 200 sketches, fewer than 180 would happen once in ten thousand times."""
    held = sum(
        found.low <= 5000 <= found.high for found in (estimate([sketch(ids(5000, s))]) for s in range(200))
    )
    assert held >= 180


def test_the_share_without_lies_within_its_bounds() -> None:
    everyone = ids(20_000, 3)
    found = without([sketch(everyone[:12_000]), sketch(everyone[8000:])], [sketch(everyone[:700])])
    assert found is not None
    assert found.low <= 1 - 700 / 20_000 <= found.high
    assert found.high - found.low < 0.01


def test_nobody_affected_is_all_of_them_and_everybody_none() -> None:
    crowd = sketch(ids(900, 4))
    assert without([crowd], []) == without([crowd], [None])
    found = without([crowd], [])
    assert found is not None
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)
    none = without([crowd], [crowd])
    assert none is not None
    assert none.value == 0.0


def test_any_reader_of_the_format_understands_them() -> None:
    for count in (5, 150, 9000):
        read = hll_sketch.deserialize(sketch(ids(count, 5)))
        assert read.lg_config_k == 12
        assert read.get_estimate() == pytest.approx(count, rel=0.05)


def test_other_bytes_are_refused() -> None:
    for odd in (b"", b"x", b"\x00" * 40, sketch(ids(5000, 1))[:100]):
        with pytest.raises(ValueError, match="no HLL sketch"):
            estimate([odd])
