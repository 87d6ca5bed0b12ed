"""The state copied to another database: what moves with it, and what is left."""

from __future__ import annotations

from pathlib import Path

from missioncontrol.moving.state import copy_state
from missioncontrol.spark.owner import LEASE
from missioncontrol.state.database import Database
from missioncontrol.state.leases import Leases


def test_whose_the_lake_is_moves_with_the_state_and_who_does_what_does_not(tmp_path: Path) -> None:
    old, new = (Database(f"sqlite:///{tmp_path / name}") for name in ("old", "new"))
    leases, copied = Leases(old), Leases(new)
    assert leases.take(LEASE, "12", 1e12) and leases.take("care", "somebody", 40.0)
    for _ in range(2):
        copy_state(old, new, iter(()))
        held = copied.holder(LEASE)
        assert held is not None and held.holder == "12" and held.left_s > 1e9
        assert copied.holder("care") is None
