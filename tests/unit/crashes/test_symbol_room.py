"""How much memory symbols need and may have."""

from __future__ import annotations

import pytest

from missioncontrol.crashes.symbols import room


@pytest.mark.parametrize(
    ("wanted_mb", "machine_mb", "limit_mb"),
    [(8192, 24_000, 8192), (8192, 4000, 3000), (0, 4000, 0), (8192, 0, 8192)],
)
def test_the_limit_is_as_set_and_never_most_of_the_machine(
    wanted_mb: int, machine_mb: int, limit_mb: int
) -> None:
    assert room.limit_mb(wanted_mb, machine_mb) == limit_mb


def test_this_machine_has_memory() -> None:
    assert room.memory_mb() > 256


def test_what_no_setting_can_mend_says_so() -> None:
    assert room.too_large(1 << 30, 0) == ""
    assert room.too_large(1 << 20, 100) == ""
    assert "set memory_limit_mb = 204 " in room.too_large(20 << 20, 100)
    assert room.too_large(20 << 20, 190) == ""
    assert "set memory_limit_mb = 204 " in room.too_large(20 << 20, 190, tried=True)
    assert "give the server more" in room.too_large(1 << 50, 100)
