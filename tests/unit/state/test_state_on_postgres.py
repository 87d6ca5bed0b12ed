"""What is PostgreSQL's own: its errors in the house's words, its deadlocks, its order of texts, its rights."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.support.disk import fill, small_disk
from tests.support.postgres import PASSWORD, Postgres, running_postgres

from missioncontrol.errors import MissionControlError, StorageError, StorageFull
from missioncontrol.state.access_log import AccessLog, Seen
from missioncontrol.state.crash_jobs import Upload
from missioncontrol.state.crash_queue import CrashQueue
from missioncontrol.state.database import Database, crash_queue, once_more, users
from missioncontrol.state.symbol_changes import SymbolChanges
from missioncontrol.state.users import Users

pytestmark = pytest.mark.apt

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_state()


def with_settings(url: str, **settings: str) -> str:
    return f"{url}?options={quote(' '.join(f'-c {name}={value}' for name, value in settings.items()))}"


def refusal(database: Database) -> MissionControlError:
    with pytest.raises(MissionControlError) as refused:
        Users(database).add("ada", ["read"], NOW)
    assert PASSWORD not in str(refused.value.as_dict())
    return refused.value


def test_sessions_are_named_and_in_utc_and_wait_for_no_lock_for_ever(url: str) -> None:
    with Database(url).engine().connect() as connection:
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("application_name", "timezone", "lock_timeout", "transaction_isolation")
        ]
    assert shown == ["missioncontrol", "UTC", "30s", "read committed"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"password": "another"}, "password authentication failed"),
        ({"database": "none"}, "does not exist"),
        ({"port": 1}, "refused"),
        ({"query": {"nonsense": PASSWORD}}, "nonsense"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_the_password(
    url: str, wrong: dict[str, Any], says: str
) -> None:
    address = sa.make_url(url).set(**wrong).render_as_string(hide_password=False)
    refused = refusal(Database(address))
    assert (refused.code, says in refused.message) == ("state_unavailable", True), refused.message


def test_what_another_session_holds_is_busy(url: str) -> None:
    store = Database(url)
    store.engine()
    with store.engine().begin() as other:
        other.exec_driver_sql("LOCK TABLE users IN EXCLUSIVE MODE")
        assert refusal(Database(with_settings(url, lock_timeout="100ms"))).code == "state_busy"
    Users(store).add("ada", ["read"], NOW)


def test_a_standby_and_a_role_without_rights_are_told(postgres: Postgres, url: str) -> None:
    Database(url).engine()
    read_only = with_settings(url, default_transaction_read_only="on")
    assert refusal(Database(read_only)).code == "state_read_only"
    postgres.execute(postgres.dsn(), "CREATE ROLE guest LOGIN PASSWORD 'x'")
    guest = sa.make_url(url).set(username="guest", password="x").render_as_string(hide_password=False)
    assert refusal(Database(guest)).code == "state_forbidden"
    other = sa.make_url(postgres.new_state()).set(username="guest", password="x")
    assert refusal(Database(other.render_as_string(hide_password=False))).code == "state_forbidden"


def test_a_full_disk_is_told(postgres: Postgres) -> None:
    with small_disk(postgres.folder / "small", 24) as disk:
        if postgres.owner:
            shutil.chown(disk, postgres.owner, postgres.owner)
        postgres.execute(postgres.dsn(), f"CREATE TABLESPACE small LOCATION '{disk}'")
        name = postgres.new_state("TABLESPACE small")
        store = Database(name)
        log = AccessLog(store)
        log.add(Seen(NOW, "ada", "session", "sample", "x", ""))
        fill(disk)
        with pytest.raises(StorageFull) as refused:
            for _ in range(2000):
                log.add(Seen(NOW, "ada", "session", "sample", "x" * 500, ""))
        assert refused.value.code == "state_full"
        (disk / "filler").unlink()
        log.add(Seen(NOW, "ada", "session", "sample", "y", ""))
        assert log.list(1)[0].thing == "y"
        store.engine().dispose()
        postgres.execute(
            postgres.dsn(), f"DROP DATABASE {sa.make_url(name).database}", "DROP TABLESPACE small"
        )


def test_of_two_that_wait_for_each_other_both_are_done(url: str) -> None:
    store = Database(url)
    for name in ("ada", "grace"):
        Users(store).add(name, ["read"], NOW)
    meeting = threading.Barrier(2, timeout=30)
    begun: list[str] = []

    @once_more
    def disable(first: str, second: str) -> None:
        begun.append(first)
        with store.engine().begin() as connection:
            connection.execute(sa.update(users).where(users.c.name == first).values(disabled=True))
            if len(begun) <= 2:
                meeting.wait()
            connection.execute(sa.update(users).where(users.c.name == second).values(scopes=first))

    threads = [threading.Thread(target=disable, args=names) for names in (("ada", "grace"), ("grace", "ada"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(begun) > 2, "one was begun anew"
    assert [(user.name, user.disabled, user.scopes) for user in Users(store).list()] == [
        ("ada", True, ("grace",)), ("grace", True, ("ada",))
    ]  # fmt: skip


def test_a_crash_that_is_wanted_while_others_change_its_row_is_in_the_queue(url: str) -> None:
    store = Database(url)
    queue = CrashQueue(store)
    others: list[sa.Executable] = [
        sa.insert(crash_queue).values(  # an upload that is accepted
            crash_id="id-a", priority=1, wanted_at=NOW, due_at=NOW, attempts=0, holder="", again=False,
            set_aside=False, reason="",
        ),
        sa.delete(crash_queue),  # a worker that is done
    ]  # fmt: skip
    with ThreadPoolExecutor(1) as thread:
        for other in others:
            with store.engine().begin() as connection:
                connection.execute(other)
                wanted = thread.submit(queue.want, ["id-a"], 1, NOW)
                with pytest.raises(TimeoutError):
                    wanted.result(0.5)
            wanted.result(30)
            assert queue.place("id-a") == 0


def test_the_rights_that_the_guide_names_are_enough(postgres: Postgres) -> None:
    postgres.execute(
        postgres.dsn(),
        "CREATE ROLE keeper LOGIN PASSWORD 'x'",
        "CREATE DATABASE kept OWNER keeper ENCODING 'UTF8' TEMPLATE template0",
    )
    shared = postgres.new_database()
    name = sa.make_url(shared).database
    postgres.execute(
        shared,
        "CREATE TABLE public.users (name text)",
        "CREATE SCHEMA keeper AUTHORIZATION keeper",
        f"ALTER ROLE keeper IN DATABASE {name} SET search_path = keeper",
    )
    for database in ("kept", name):
        address = sa.make_url(shared).set(
            drivername="postgresql+psycopg", username="keeper", password="x", database=database
        )
        store = Database(address.render_as_string(hide_password=False))
        Users(store).add("ada", ["read"], NOW)
        CrashQueue(store).accept([Upload(b"a", "id-a")], NOW)
        CrashQueue(store).want(["id-a"], 1, NOW)
        assert [crash.crash_id for crash in CrashQueue(store).lease("w", 1, 60, NOW)] == ["id-a"]
    assert postgres.rows(shared, "SELECT count(*) FROM public.users") == [(0,)]


def test_texts_have_one_order_whatever_the_language_of_the_database(postgres: Postgres) -> None:
    icu = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    store = Users(Database(postgres.new_state(icu)))
    for name in ("b", "B", "a", "_", "Z"):
        store.add(name, ["read"], NOW)
    assert [user.name for user in store.list()] == ["B", "Z", "_", "a", "b"]


def test_a_text_that_postgresql_cannot_keep_is_kept_without_its_nul(url: str) -> None:
    log = AccessLog(Database(url))
    log.add(Seen(NOW, "ada", "session", "sample", "a\0b", ""))
    assert log.list()[0].thing == "a\ufffdb"


def test_uploads_are_counted_in_the_second_in_which_they_came(url: str) -> None:
    queue = CrashQueue(Database(url))
    queue.accept([Upload(b"a", "id-a")], NOW + timedelta(seconds=59.9))
    assert queue.received_by(60, NOW) == {int(NOW.timestamp()) // 60: 1}


def test_a_smaller_number_never_appears_after_a_greater_one(url: str) -> None:
    writers = [SymbolChanges(Database(url)) for _ in range(4)]
    writers[0].newest()
    reader, last = SymbolChanges(Database(url)), 0
    seen: set[tuple[str, str]] = set()

    def write(number: int) -> None:
        for n in range(50):
            writers[number].add([(f"file-{number}-{n}", "id")], NOW)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    writing = True
    while writing:
        writing = any(thread.is_alive() for thread in threads)
        changes = reader.since(last)
        seen |= set(changes.symbols)
        last = changes.upto
    assert len(seen) == 200


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


def test_a_server_that_was_restarted_is_used_again(own_server: Postgres) -> None:
    store = Users(Database(own_server.new_state()))
    store.add("ada", ["read"], NOW)
    own_server.stop()
    with pytest.raises(StorageError) as away:
        store.list()
    assert away.value.code == "state_unavailable"
    own_server.start()
    assert [user.name for user in store.list()] == ["ada"]
