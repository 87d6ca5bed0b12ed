"""Commands with a progress bar run on a terminal, show thousands as people read them, and end at Ctrl-C in a sentence."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import pytest
from tests.e2e.test_backfill_commands import DAY, Installation, many_days
from tests.support.pings import main_ping
from tests.support.terminal import Terminal

LAST = "2016-04-30"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = Installation(tmp_path_factory.mktemp("bars"))
    found.take(*many_days(3), *({**main_ping(), "meta": _meta(n)} for n in range(1200)))
    return found


def _meta(number: int) -> dict[str, object]:
    return {
        "Timestamp": (1457950000 + number) * 10**9, "submissionDate": f"{DAY:%Y%m%d}", "docType": "main",
        "documentId": f"many-{number}", "geoCountry": "DE", "normalizedChannel": "release", "appName": "Firefox",
    }  # fmt: skip


def on_terminal(installation: Installation, *arguments: str) -> tuple[int, str]:
    return Terminal(list(arguments), installation.environment, installation.folder).finish()


def test_an_import_on_a_terminal(installation: Installation) -> None:
    file = installation.folder / "more.ndjson"
    file.write_text(json.dumps({**main_ping(), "meta": {**_meta(1), "documentId": "another"}}) + "\n")
    code, shown = on_terminal(installation, "import", "pings", str(file))
    assert code == 0 and "Importing" in shown and "1 lines" in shown and "Traceback" not in shown, shown


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_backfill_on_a_terminal(installation: Installation, options: tuple[str, ...]) -> None:
    days = ("--min-submission-date", str(DAY), "--max-submission-date", LAST)
    code, shown = on_terminal(installation, "backfill", *days, *options)
    assert code == 0 and "Traceback" not in shown, shown
    assert "Backfill" in shown and " of 1,3" in shown, "numbers of the bar are written as those below it"
    assert f"{DAY}: 1,2" in shown
    assert "45 days have no archived pings and stay as they are: 2016-03-17 to 2016-04-30." in shown


def test_a_backfill_of_a_measure_on_a_terminal(installation: Installation) -> None:
    days = ("--since", str(DAY), "--until", LAST)
    code, shown = on_terminal(installation, "registry", "backfill", "main_crashes", *days)
    assert code == 0 and "Backfill" in shown and "error_aggregates" in shown, shown


def test_ctrl_c_stops_a_backfill_in_a_sentence_and_it_goes_on_afterwards(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.take(*many_days(20))
    days = ["--min-submission-date", str(DAY), "--max-submission-date", LAST]
    terminal = Terminal(["backfill", "--workers", "2", *days], installation.environment, tmp_path)
    terminal.wait_for(f"{date(2016, 3, 15)}: ")
    terminal.interrupt()
    code, shown = terminal.finish()
    said = next(line for line in shown.splitlines() if "Stopped by Ctrl-C; " in line)
    assert said.split("; ")[1].endswith(
        " of 20 days are made. Start it again with the same options to go on."
    )
    assert code == 1 and "Traceback" not in shown and "KeyboardInterrupt" not in shown, shown
    [run] = json.loads(installation.run("jobs", "list", "--json")[0])
    assert (run["status"], run["message"]) == ("stopped", said.strip())
    assert (run["days"], f"; {run['made']} of 20" in said) == (20, True)
    done = installation.backfill(*days)
    assert done["made_before"] == run["made"] >= 1 and len(done["days"]) == 20 - run["made"]


def test_ctrl_c_before_the_workers_listen_shows_no_traceback(installation: Installation) -> None:
    days = ["--min-submission-date", str(DAY), "--max-submission-date", str(DAY), "--table", "all"]
    terminal = Terminal(["backfill", "--workers", "8", *days], installation.environment, installation.folder)
    terminal.wait_for("Backfill")
    terminal.interrupt()
    code, shown = terminal.finish()
    assert code == 1 and "Stopped" in shown and "Traceback" not in shown, shown


def test_without_a_terminal_there_is_no_bar(installation: Installation) -> None:
    _, talk = installation.run("backfill", "--min-submission-date", str(DAY), "--max-submission-date", LAST)
    assert "━" not in talk and "Backfill" not in talk
    assert os.environ.get("FORCE_COLOR") is None
