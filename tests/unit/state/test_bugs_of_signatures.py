"""Links of bugs and signatures are kept in the state database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.state.database import Database
from missioncontrol.state.signature_bugs import SignatureBug, SignatureBugs

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def bugs(state_url: str) -> SignatureBugs:
    return SignatureBugs(Database(state_url))


def add(bugs: SignatureBugs, signature: str, bug: str, title: str = "", who: str = "olga") -> SignatureBug:
    return bugs.add(signature, "bugzilla", bug, title, who, NOW)


def names(links: list[SignatureBug]) -> list[tuple[str, str]]:
    return [(link.signature, link.bug) for link in links]


def test_a_link_is_kept_once_with_who_and_when(bugs: SignatureBugs) -> None:
    first = add(bugs, " OOM | small ", "12", "Out  of\nmemory")
    assert first == SignatureBug(1, "OOM | small", "bugzilla", "12", "Out of memory", "olga", NOW)
    later = bugs.add("OOM | small", "bugzilla", "12", "", "pavel", NOW + timedelta(days=1))
    assert later == first
    renamed = bugs.add("OOM | small", "bugzilla", "12", "Better title", "pavel", NOW)
    assert (renamed.title, renamed.who) == ("Better title", "olga")
    other = bugs.add("OOM | small", "github", "12", "", "pavel", NOW)
    assert bugs.list() == [renamed, other]
    assert add(bugs, "another", "12").title == "Better title"
    assert add(bugs, "another", "13").title == ""


def test_links_are_found_by_signature_by_bug_and_by_what_shares_a_bug(bugs: SignatureBugs) -> None:
    for signature, bug in (("a", "1"), ("b", "1"), ("b", "2"), ("c", "2"), ("d", "3")):
        add(bugs, signature, bug)
    bugs.add("e", "github", "1", "", "olga", NOW)
    assert names(bugs.of_signatures(["b", "d", "nobody"])) == [("b", "1"), ("b", "2"), ("d", "3")]
    assert names(bugs.of_bugs(["1"])) == [("a", "1"), ("b", "1"), ("e", "1")]
    assert names(bugs.related(["a"])) == [("a", "1"), ("b", "1")], "another tracker's bug 1 is another bug"
    assert bugs.of_signatures([]) == bugs.of_bugs([]) == bugs.related([]) == []
    assert len(bugs.list(2)) == 2


def test_many_signatures_at_once(bugs: SignatureBugs) -> None:
    add(bugs, "s4999", "1")
    asked = [f"s{number}" for number in range(10_000)]
    assert names(bugs.of_signatures(asked)) == names(bugs.related(asked)) == [("s4999", "1")]


def test_a_link_is_taken_away_once(bugs: SignatureBugs) -> None:
    link = add(bugs, "a", "1")
    assert bugs.find(" a", "bugzilla", "1") == link
    assert bugs.remove(link.id) == link
    for unknown in (link.id, 0, -1, 2**70):
        with pytest.raises(NotFound) as refused:
            bugs.remove(unknown)
        assert refused.value.code == "unknown_link"
    assert bugs.find("a", "bugzilla", "1") is None
    assert add(bugs, "a", "1").id > link.id, "an old form takes nothing new away"


@pytest.mark.parametrize(
    ("signature", "title", "code"),
    [("", "", "bad_signature"), ("  ", "", "bad_signature"), ("a\x00b", "", "bad_signature"),
     ("a" * 1001, "", "bad_signature"), ("a", "x" * 301, "bad_title"), ("a", "x\x1by", "bad_title")],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(bugs: SignatureBugs, signature: str, title: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        add(bugs, signature, "1", title)
    assert refused.value.code == code and bugs.list() == []


def test_several_who_link_the_same_make_one_link(state_url: str) -> None:
    stores = [SignatureBugs(Database(state_url)) for _ in range(6)]
    found: list[SignatureBug] = []
    ready = threading.Barrier(len(stores))

    def link(store: SignatureBugs) -> None:
        store.list()
        ready.wait()
        for number in range(10):
            found.append(add(store, f"s{number}", "1"))

    threads = [threading.Thread(target=link, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 60 and len({one.id for one in found}) == len(stores[0].list()) == 10


def test_the_migration_makes_the_declared_table_and_goes_back(state_url: str) -> None:
    from alembic import command
    from alembic.config import Config

    from missioncontrol.state import database

    engine = Database(state_url).engine()
    made = {column["name"]: column["nullable"] for column in sa.inspect(engine).get_columns("signature_bugs")}
    assert made == {column.name: column.nullable for column in database.signature_bugs.columns}
    assert sa.inspect(engine).get_unique_constraints("signature_bugs")[0]["column_names"] == [
        "signature",
        "tracker",
        "bug",
    ]
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
    assert not sa.inspect(engine).has_table("signature_bugs")
