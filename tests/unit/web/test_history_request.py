"""What may be asked for, and from where."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from starlette.requests import Request

from missioncontrol.errors import BadRequest, Forbidden
from missioncontrol.telemetry.backfill_plan import CRASHES, TABLES, Plan, arguments, command_line, plan_of
from missioncontrol.web.history.model import read_plan
from missioncontrol.web.same_origin import refuse_cross_site

TODAY = date(2026, 11, 26)
HOST = "mc.example:8000"


@pytest.mark.parametrize(
    ("tables", "first", "last", "rules", "code"),
    [
        ([CRASHES], "2026-11-20", "2026-11-19", "", "days_out_of_order"),
        ([CRASHES], "2026-11-20", "2026-11-27", "", "day_in_future"),
        ([CRASHES], "", "", "", "bad_day"),
        ([CRASHES], "2026-02-30", "", "", "bad_day"),
        ([CRASHES], "2026-W01-1", "", "", "bad_day"),
        ([CRASHES], "٢٠٢٦-١١-٢٠", "", "", "bad_day"),
        ([CRASHES], "2026-11-20' OR 1=1", "", "", "bad_day"),
        ([CRASHES], "2026-11-20", "x" * 10_000, "", "bad_day"),
        (["pings"], "2026-11-20", "", "", "unknown_table"),
        (["x" * 10_000], "2026-11-20", "", "", "unknown_table"),
        ([CRASHES], "2026-11-20", "", "cra; DROP TABLE runs", "unknown_rules"),
        (["error_aggregates"], "2026-11-20", "", "cra", "rules_without_crashes"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tables: list[str], first: str, last: str, rules: str, code: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_plan(tables, first, last, rules, TODAY)
    assert caught.value.code == code and len(caught.value.message) < 200


def test_what_is_left_out_is_the_usual_and_all_means_all() -> None:
    assert read_plan([], "20261126", "", "", TODAY) == Plan((CRASHES,), TODAY, TODAY, "default")
    assert read_plan(["all"], "2026-11-20", "2026-11-26", "cra", TODAY).tables == TABLES
    assert read_plan([*TABLES[::-1]], "2026-11-20", "", "", TODAY).tables == TABLES


def test_a_plan_survives_as_arguments_and_is_told_in_words_and_as_a_command() -> None:
    plan = Plan(TABLES, date(2016, 3, 14), date(2016, 3, 15), "cra", True)
    assert plan_of(arguments(plan)) == plan
    assert plan.words == "all tables of 2016-03-14 to 2016-03-15, rules cra, also incomplete days"
    assert command_line(plan) == (
        "missioncontrol backfill --table all --min-submission-date 2016-03-14 --max-submission-date 2016-03-15"
        " --rules cra --incomplete"
    )
    one = Plan((CRASHES,), TODAY, TODAY)
    assert command_line(one).count("--") == 2 and one.words == f"crash_aggregates of {TODAY}"


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": ""}, True),
        ({"origin": f"https://{HOST.upper()}"}, False),
        ({"origin": "http://mc.example"}, True),
        ({"origin": "http://evil.example:8000"}, True),
        ({"origin": "http://evil.example/?" + HOST}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://[::1"}, True),
        ({"origin": "https://mc.example", "host": "mc.example:443"}, False),
        ({"origin": "http://mc.example:80", "host": "mc.example"}, False),
        ({"origin": "http://mc.example:443", "host": "mc.example"}, True),
    ],
)
def test_only_pages_of_this_server_and_programs_may_change_something(
    headers: dict[str, str], refused: bool
) -> None:
    given = {"host": HOST, **headers}
    request = Request({"type": "http", "headers": [(n.encode(), v.encode()) for n, v in given.items()]})
    if not refused:
        return refuse_cross_site(request)
    with pytest.raises(Forbidden) as caught:
        refuse_cross_site(request)
    assert (caught.value.code, caught.value.status) == ("cross_site", 403)


def test_a_server_that_nobody_asks_has_not_loaded_the_state_database(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from missioncontrol.config import Config
from missioncontrol.services import Services
from missioncontrol.web.app import create_app
create_app(Services(Config(data=Path({str(tmp_path)!r}))))
print({{"sqlalchemy", "alembic", "pyarrow", "duckdb"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_requests_while_the_state_database_is_being_loaded_are_answered(tmp_path: Path) -> None:
    """Python breaks up two threads that wait for each other's half of a package; both then have half of it, for ever."""
    script = f"""
import sys, threading, time
from importlib.machinery import PathFinder
from pathlib import Path
from missioncontrol.config import Config
from missioncontrol.services import Services
from missioncontrol.web.app import create_app
from starlette.testclient import TestClient

begun, part_alone = threading.Event(), threading.Event()

class Halting:
    "Halts whoever loads SQLAlchemy at its beginning, until another thread, which loads a part of it alone, waits for the whole."
    halts = {{
        "sqlalchemy": lambda: (begun.set(), part_alone.wait(2) and time.sleep(0.5)),
        "sqlalchemy.util.langhelpers": lambda: part_alone.set(),
    }}
    def find_spec(self, name, path=None, target=None):
        if name in self.halts:
            spec = PathFinder.find_spec(name, path)
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (self.halts[name](), load(module))
            return spec

services = Services(Config(data=Path({str(tmp_path)!r})))
app = create_app(services)
sys.meta_path.insert(0, Halting())
listed = []
thread = threading.Thread(target=lambda: listed.append(services.releases.list()))
thread.start()
begun.wait()
status = TestClient(app, raise_server_exceptions=False).get("/releases").status_code
thread.join()
print(status, listed)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "200 [[]]", done.stderr
