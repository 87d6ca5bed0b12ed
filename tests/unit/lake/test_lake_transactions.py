"""What is known of applications' transactions, followed through other writers' commits."""

from __future__ import annotations

import random

import pytest

from missioncontrol.lake.writer import LakeWriter

TABLE = "error_aggregates"
APPS = [f"stream:t-{partition}" for partition in range(8)]


@pytest.mark.parametrize(
    "gaps", [(0, 3), (45, 55)], ids=["few commits between", "about as many as are followed"]
)
def test_what_was_followed_is_what_a_new_look_finds(lake, gaps):
    rng, versions = random.Random(7), dict.fromkeys(APPS, 0)
    other = LakeWriter(lake.place)

    def commit(writer):
        app = rng.choice(APPS)
        versions[app] += rng.randrange(1, 5)
        assert writer.commit(TABLE, [], app, versions[app])

    for _ in range(12 if gaps[0] == 0 else 3):
        for _ in range(rng.randint(*gaps)):
            commit(other)
        asked = rng.sample(APPS, rng.randint(1, len(APPS)))
        expected = [versions[app] for app in asked]
        assert lake.writer.committed_each(TABLE, asked) == expected
        assert lake.reader.committed(TABLE, asked) == expected
        assert LakeWriter(lake.place).committed_each(TABLE, asked) == expected
        commit(lake.writer)


def test_where_the_log_was_cleaned_meanwhile_all_is_looked_up_anew(lake):
    log = lake.root / TABLE / "_delta_log"
    for version in range(1, 31):
        lake.writer.commit(TABLE, [], "ab"[version % 2], version)
        if version == 5:
            assert lake.reader.committed(TABLE, ["a", "b"]) == [4, 5]
        if version == 20:
            lake.opened(TABLE).create_checkpoint()
            for cleaned in range(16):
                (log / f"{cleaned:020}.json").unlink()
    assert lake.reader.committed(TABLE, ["a", "b"]) == [30, 29]
