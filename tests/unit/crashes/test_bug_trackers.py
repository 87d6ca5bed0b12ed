"""Bug trackers: what readers may call a bug, its address, and what a new one is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.config import BugTracker
from missioncontrol.crashes.bug_trackers import BugRef, BugTrackers, NewBug
from missioncontrol.errors import BadRequest, ConfigError

BUGZILLA = BugTracker(
    "https://bugs.example.com/show_bug.cgi?id={id}",
    "https://bugs.example.com/enter_bug.cgi?short_desc={title}&comment={body}&cf_crash_signature=[@%20{signature}]",
)
GITHUB = BugTracker("https://github.com/example/notes/issues/{id}")
BOTH = BugTrackers({"bugzilla": BUGZILLA, "github": GITHUB})
ONE = BugTrackers({"jira": BugTracker("https://jira.example.com/browse/{id}")})
NONE = BugTrackers({})


@pytest.mark.parametrize(
    ("trackers", "text", "ref"),
    [
        (BOTH, "bugzilla:1234567", BugRef("bugzilla", "1234567")),
        (BOTH, " github:#12 ", BugRef("github", "12")),
        (BOTH, "https://bugs.example.com/show_bug.cgi?id=77", BugRef("bugzilla", "77")),
        (BOTH, "https://bugs.example.com/show_bug.cgi?id=77#c4", BugRef("bugzilla", "77")),
        (BOTH, "https://github.com/example/notes/issues/12?x=y", BugRef("github", "12")),
        (BOTH, "https://github.com/other/notes/issues/12", BugRef("", "https://github.com/other/notes/issues/12")),
        (ONE, "NOTES-12", BugRef("jira", "NOTES-12")),
        (NONE, "https://tracker.example.org/t/9", BugRef("", "https://tracker.example.org/t/9")),
    ],
)  # fmt: skip
def test_a_bug_is_an_id_with_its_tracker_an_id_or_an_address(
    trackers: BugTrackers, text: str, ref: BugRef
) -> None:
    assert trackers.read(text) == ref


@pytest.mark.parametrize(
    ("trackers", "text", "says"),
    [
        (BOTH, "1234567", "Which tracker's bug is 1234567?"),
        (BOTH, "gitlab:1", "There is no tracker 'gitlab'."),
        (NONE, "12", "Which tracker's bug is 12?"),
        (BOTH, "", "is no bug"),
        (BOTH, "bugzilla:", "is no bug"),
        (ONE, "two words", "is no bug"),
        (ONE, "../../etc", "is no bug"),
        (ONE, "javascript://x.example/%0aalert(1)", "is no address"),
        (ONE, "https://user:secret@bugs.example.com/1", "is no address"),
        (ONE, "https:///path", "is no address"),
        (ONE, 'https://bugs.example.com/"><b>', "is no address"),
        (ONE, "https://bugs.example.com/" + "1" * 3000, "is no address"),
    ],
)
def test_what_is_no_bug_is_refused_with_what_would_be_one(
    trackers: BugTrackers, text: str, says: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        trackers.read(text)
    assert refused.value.code == "bad_bug" and says in refused.value.message
    assert "address" in refused.value.hint


def test_addresses_and_labels() -> None:
    assert BOTH.url(BugRef("github", "12")) == "https://github.com/example/notes/issues/12"
    assert BOTH.label(BugRef("bugzilla", "7")) == "bugzilla 7"
    assert BOTH.url(BugRef("", "https://x.example/1")) == "https://x.example/1"
    assert BOTH.label(BugRef("", "https://x.example/1")) == "x.example/1"
    assert BOTH.label(BugRef("", "https://x.example/a/b/issues/1/")) == "x.example/…/1"
    assert BOTH.url(BugRef("gone", "12")) == ""


_WORDS = st.text(st.characters(codec="utf-8"), max_size=40) | st.from_regex(
    r"[A-Za-z0-9_.#%/-]{1,9}", fullmatch=True
)
_BEGINNINGS = st.sampled_from(
    ["", "bugzilla:", "github:", "https://", "HTTP://", "https://bugs.example.com/show_bug.cgi?id=",
     "https://github.com/example/notes/issues/", "javascript://", "https://jira.example.com/browse/"]
)  # fmt: skip


@given(st.builds(str.__add__, _BEGINNINGS, _WORDS))
def test_whatever_is_read_has_an_address_that_a_browser_opens_as_a_page(text: str) -> None:
    for trackers in (BOTH, ONE):
        try:
            ref = trackers.read(text)
        except BadRequest:
            continue
        parts = urlsplit(trackers.url(ref))
        assert parts.scheme in ("http", "https") and parts.hostname
        assert trackers.read(trackers.url(ref)) == ref


def test_a_new_bug_is_filled_in_and_nothing_can_leave_its_place() -> None:
    told = NewBug(
        "OOM | a&b=c #d", "Notes", "2.3", "de1b", "https://mc.example/report/de1b", ("poke  w.c:1", "main")
    )
    urls = BOTH.new_bug_urls(told)
    assert list(urls) == ["bugzilla"] and BOTH.files_new and not ONE.files_new
    parts = urlsplit(urls["bugzilla"])
    assert (parts.hostname, parts.path, parts.fragment) == ("bugs.example.com", "/enter_bug.cgi", "")
    assert parse_qs(parts.query) == {
        "short_desc": ["Crash in OOM | a&b=c #d"],
        "comment": [
            "Crash: https://mc.example/report/de1b\nProduct: Notes 2.3\nSignature: OOM | a&b=c #d\n"
            "\nTop frames of the crashing thread:\n0  poke  w.c:1\n1  main\n"
        ],
        "cf_crash_signature": ["[@ OOM | a&b=c #d]"],
    }


def test_a_new_bugs_address_stays_short_enough_for_servers() -> None:
    told = NewBug("s" * 9000, "p" * 9000, "v" * 9000, "c", "r" * 9000, ("\u00fc" * 500,) * 100)
    assert len(BOTH.new_bug_urls(told)["bugzilla"]) < 16_000


def test_a_new_bug_of_a_signature_alone() -> None:
    body = parse_qs(urlsplit(BOTH.new_bug_urls(NewBug("poke"))["bugzilla"]).query)["comment"]
    assert body == ["Signature: poke"]


@pytest.mark.parametrize(
    ("name", "tracker"),
    [
        ("my tracker", GITHUB),
        ("", GITHUB),
        ("a:b", GITHUB),
        ("x", BugTracker("https://bugs.example.com/")),
        ("x", BugTracker("https://bugs.example.com/{id}/{id}")),
        ("x", BugTracker("https://bugs.example.com/{id}/{version}")),
        ("x", BugTracker("javascript:{id}")),
        ("x", BugTracker("bugs.example.com/{id}")),
        ("x", BugTracker("https://bugs.example.com/{id}", "https://bugs.example.com/new?t={titel}")),
        ("x", BugTracker("https://bugs.example.com/{id}", "mailto:team@example.com?subject={title}")),
    ],
)
def test_wrong_settings_name_the_tracker(name: str, tracker: BugTracker) -> None:
    with pytest.raises(ConfigError) as refused:
        BugTrackers({name: tracker})
    assert refused.value.code == "bug_tracker_invalid"
    assert f"crashes.bug_trackers.{name}" in refused.value.message


def test_the_examples_of_the_reference_are_trackers() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "crash-signatures.md").read_text()
    lines = page.split("## Bugs")[1].split("A bug is")[0].splitlines()
    settings = tomllib.loads("\n".join(line.strip() for line in lines if line.startswith("    ")))
    trackers = msgspec.convert(settings["crashes"]["bug_trackers"], dict[str, BugTracker])
    known = BugTrackers(trackers)
    assert known.names == ["bugzilla", "github", "gitlab", "jira"]
    for name, url in known.new_bug_urls(NewBug("OOM | small", frames=("poke",))).items():
        assert "OOM%20%7C%20small" in url and "poke" in url, name
        assert known.read(known.url(BugRef(name, "12"))) == BugRef(name, "12")
