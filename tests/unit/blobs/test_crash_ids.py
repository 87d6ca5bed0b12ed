"""Crash ids in the forms that clients are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.blobs.crash_keys import processed_key, raw_key, short_id
from missioncontrol.blobs.crash_objects import find_crash_id
from missioncontrol.blobs.local import LocalBlobs
from missioncontrol.errors import BadRequest, NotFound

ONE = "de1bb258-cbbf-4589-a673-34f800261126"
TWIN = "de1bb258-cb00-4000-8000-000000261126"
OTHER_DAY = "de1bb258-cbbf-4589-a673-34f800261127"


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    blobs = LocalBlobs(tmp_path)
    blobs.put(raw_key(ONE), b"{}")
    blobs.put(raw_key(OTHER_DAY), b"{}")
    return blobs


@pytest.mark.parametrize("form", [ONE, f"bp-{ONE}", ONE.replace("-", ""), f" {ONE.upper()} ", short_id(ONE)])
def test_every_form_leads_to_the_crash(blobs: LocalBlobs, form: str) -> None:
    assert find_crash_id(blobs, form) == ONE


def test_a_crash_whose_annotations_are_gone_is_found(blobs: LocalBlobs) -> None:
    blobs.put(processed_key(ONE), b"")
    blobs.delete(raw_key(ONE))
    assert find_crash_id(blobs, short_id(ONE)) == ONE


def test_what_is_not_there_or_there_twice_is_told(blobs: LocalBlobs) -> None:
    with pytest.raises(NotFound):
        find_crash_id(blobs, "0000000000261126")
    with pytest.raises(BadRequest, match="no crash id"):
        find_crash_id(blobs, "de1bb258cb269999")
    blobs.put(raw_key(TWIN), b"{}")
    with pytest.raises(BadRequest) as twice:
        find_crash_id(blobs, short_id(ONE))
    assert twice.value.code == "ambiguous_crash_id"
    assert ONE in twice.value.hint and TWIN in twice.value.hint
