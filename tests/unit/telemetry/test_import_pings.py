"""An import that meets a broken file keeps what came before it, and loses nothing when it is run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.config import Config, load_config
from missioncontrol.errors import BadRequest
from missioncontrol.services import Services
from missioncontrol.simulate.corpus import make_corpus

NOW_NS = 1_763_000_000 * 10**9


def counted(services: Services) -> int:
    return sum(
        row[0] for row in services.engine.over("error_aggregates", "SELECT sum(count) FROM {relation}")
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path / "data", environ={})


def test_pings_before_a_broken_file_are_counted_once_and_the_mended_file_adds_the_rest(
    tmp_path: Path, config: Config
) -> None:
    first, second = tmp_path / "first.ndjson", tmp_path / "second.ndjson.gz"
    make_corpus(first, 700, seed=1, now_ns=NOW_NS)
    second.write_bytes(b"no gzip")
    services = Services(config)
    with pytest.raises(BadRequest, match=r"second\.ndjson\.gz"):
        services.ping_import().run([first, second])
    kept = counted(services)
    make_corpus(second, 50, seed=2, now_ns=NOW_NS)
    report = services.ping_import().run([first, second])
    services.close()
    services = Services(config)
    assert counted(services) == 750
    assert kept > 0
    assert report.counted == 750 - kept
    services.close()
