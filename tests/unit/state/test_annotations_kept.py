"""Annotations are kept in the state database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.annotations import LONGEST_TEXT, Annotation, Annotations
from missioncontrol.state.database import Database

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def kept(state_url: str) -> Annotations:
    return Annotations(Database(state_url))


def add(
    kept: Annotations, text: str, application: str | None = None, channel: str | None = None
) -> Annotation:
    return kept.add(NOW, text, application, channel, "olga", NOW)


def test_one_is_of_a_channel_of_an_application_or_of_everything(kept: Annotations) -> None:
    everywhere = add(kept, "  Outage\nof all ")
    assert everywhere == Annotation(1, NOW, "Outage of all", None, None, "olga", NOW)
    of_firefox, of_beta = add(kept, "a", "Firefox"), add(kept, "b", "Firefox", "beta")
    add(kept, "c", "Fennec", "beta")
    found = kept.list(application="Firefox", channel="beta")
    assert found == [everywhere, of_firefox, of_beta]
    assert kept.list(application="Firefox", channel="release") == [everywhere, of_firefox]


def test_a_range_ends_before_its_end_and_the_newest_are_listed(kept: Annotations) -> None:
    add(kept, "now")
    later = kept.add(NOW + timedelta(hours=1), "later", None, None, "olga", NOW)
    assert [one.text for one in kept.list(NOW, later.at)] == ["now"]
    assert [one.text for one in kept.list(NOW)] == ["now", "later"]
    assert kept.list(most=1) == [later]


def test_the_same_once_more_is_kept_once_and_can_be_removed_once(kept: Annotations) -> None:
    first = add(kept, "twice")
    assert add(kept, "twice") == first
    assert kept.remove(first.id) == first
    assert kept.list() == []
    for gone in (first.id, 0, -1, 2**40):
        with pytest.raises(NotFound):
            kept.remove(gone)


@pytest.mark.parametrize("text", ["", "  ", "x" * (LONGEST_TEXT + 1), "\x00", "bell\x07"])
def test_what_is_no_line_of_text_is_refused(kept: Annotations, text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        add(kept, text)
    assert refusal.value.code == "bad_text"


def test_names_and_times_that_nothing_has_are_refused(kept: Annotations) -> None:
    with pytest.raises(BadRequest) as refusal:
        add(kept, "a", "x" * 201)
    assert refusal.value.code == "bad_scope"
    with pytest.raises(BadRequest) as refusal:
        kept.add(datetime(1900, 1, 1, tzinfo=UTC), "a", None, None, "olga", NOW)
    assert refusal.value.code == "bad_time"
