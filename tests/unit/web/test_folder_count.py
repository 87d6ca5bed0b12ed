"""The size of a folder is that of all files that stay, whatever goes away meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from missioncontrol.web.pipeline.disk import count_folder


def test_a_file_that_goes_away_meanwhile_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = [tmp_path / f"going-{n}" for n in range(500)]
    for path in (*going, *(tmp_path / f"staying-{n}" for n in range(500))):
        path.write_bytes(b"0123456789")

    def delete(_: float) -> None:
        for path in going:
            path.unlink(missing_ok=True)

    monkeypatch.setattr(time, "sleep", delete)  # it is called between two files
    assert count_folder(tmp_path).size_bytes >= 5000
    assert count_folder(tmp_path).size_bytes == 5000
