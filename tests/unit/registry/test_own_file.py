"""The user's own registry file: changed by commands, taken up by running processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.registry.test_load import GC_PAUSES

from missioncontrol.errors import BadRequest, ConfigError
from missioncontrol.registry.edit import add_blocks, add_text, remove_block
from missioncontrol.registry.load import SourceFile
from missioncontrol.registry.watch import RegistryWatcher


@pytest.fixture
def block(tmp_path: Path) -> Path:
    path = tmp_path / "block.toml"
    path.write_text(GC_PAUSES)
    return path


def test_blocks_are_added_and_removed_and_comments_stay(tmp_path: Path, block: Path) -> None:
    own = tmp_path / "data" / "registry.toml"
    assert add_blocks([own], block) == ["measure.gc_long_pauses"]
    assert "# count of samples in buckets >= 150" in own.read_text()
    remove_block([own], "gc_long_pauses")
    assert "gc_long_pauses" not in own.read_text()


def test_nothing_is_written_when_the_result_would_be_wrong(tmp_path: Path, block: Path) -> None:
    own = tmp_path / "registry.toml"
    add_blocks([own], block)
    before = own.read_bytes()
    block.write_text('[measure.other]\nfrom = "nowhere"\n')
    with pytest.raises(ConfigError, match=r"block\.toml:2"):
        add_blocks([own], block)
    assert own.read_bytes() == before


def test_a_block_that_is_not_the_users_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="declares no `main_crashes`"):
        remove_block([tmp_path / "registry.toml"], "main_crashes")


def test_a_removal_that_others_depend_on_is_refused(tmp_path: Path, block: Path) -> None:
    own = tmp_path / "registry.toml"
    add_blocks([own], block)
    block.write_text('[measure.share]\nfrom = "main"\nper = "gc_long_pauses"\n')
    add_blocks([own], block)
    with pytest.raises(ConfigError, match="gc_long_pauses"):
        remove_block([own], "gc_long_pauses")


def test_a_running_process_takes_up_changes_and_keeps_the_last_good_registry(
    tmp_path: Path, block: Path
) -> None:
    own = tmp_path / "registry.toml"
    watcher = RegistryWatcher([own])
    assert "gc_long_pauses" not in watcher().measures
    add_blocks([own], block)
    assert "gc_long_pauses" in watcher().measures
    own.write_text("[measure.broken]\n")
    assert "gc_long_pauses" in watcher().measures
    assert watcher.error is not None
    assert "registry.toml:1" in watcher.error.message
    own.unlink()
    assert "gc_long_pauses" not in watcher().measures
    assert watcher.error is None


def test_those_who_add_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    own = tmp_path / "registry.toml"

    def add(number: int) -> None:
        add_text([own], SourceFile("form", f'[measure.m{number}]\nfrom = "main"\n'), is_new=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))
    assert all(f"[measure.m{number}]" in own.read_text() for number in range(16))


def test_of_two_that_are_new_under_one_name_the_second_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "registry.toml"
    given = SourceFile("form", '[measure.twice]\nfrom = "main"\n')
    add_text([own], given, is_new=True)
    before = own.read_bytes()
    with pytest.raises(BadRequest) as refused:
        add_text([own], SourceFile("form", '[measure.twice]\nfrom = "crash"\n'), is_new=True)
    assert (refused.value.code, own.read_bytes()) == ("registry_declared", before)
    add_text([own], given)
