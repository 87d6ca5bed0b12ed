"""Numbers say how they were computed, and the SQL that they link to gives the number that is shown."""

from __future__ import annotations

import gzip
import html
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support import crash_rows
from tests.support.build_days import experiment_rows, nightly_rows, write_rows
from tests.support.release_trains import STRATA_TABLE, tell
from tests.support.server import COMMAND, SOURCES, RunningServer, running_server
from tests.support.signature_reports import NEWEST, fill, reports
from tests.support.small_channel import SmallChannel

from missioncontrol.simulate.trains.export import write_train
from missioncontrol.web import numerals

HOURS = 30
_COMPUTED = re.compile(
    r'(?P<before>[^<>]*)(?:</b>)?<details class="computed" data-sample="computed (?P<of>[^"]*)">(?P<inside>.*?)</details>', re.S
)  # fmt: skip
_LINK = re.compile(r'href="(/sql\?[^"]*)" data-computed-sql')
_INPUT = re.compile(r'href="(/sql\?[^"]*)" data-computed-input>([^<]*)<')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Simulated pings of some clients, a train of releases with a bad one, builds of two weeks, an experiment, and some
    hundred crash reports.
    """
    folder = tmp_path_factory.mktemp("computed")
    crash_rows.write(folder / "data", crash_rows.crashes(datetime.now(UTC), 400))
    with running_server(folder) as running:
        corpus = folder / "pings.ndjson"
        _simulate(corpus)
        running.run("import", "pings", str(corpus))
        story = tell(releases=3, clients=20_000, weight=20).worse(3.0)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        now -= timedelta(minutes=now.minute % 5)
        start = now - timedelta(hours=HOURS, minutes=5 * story.candidate.published)
        releases = [*story.predecessors, story.candidate]
        written = write_train(folder / "train", releases, story.channel, STRATA_TABLE, start, name="esr")
        running.run("import", "aggregates", str(written.aggregates))
        running.run("import", "aggregates", "--table", "usage_by_activity", str(written.activity))
        running.run("import", "releases", str(written.releases))
        nightly = nightly_rows(now, 15, {1: 3.0}, missing=[4])
        running.run("import", "aggregates", str(write_rows(folder / "nightly.ndjson", nightly)))
        tried = experiment_rows(now, {"control": 1.0, "treatment": 2.0}, days=3)
        file = str(write_rows(folder / "tried.ndjson", tried))
        running.run("import", "aggregates", "--table", "experiment_aggregates", file)
        running.run("release", "infer")  # or the server would do it between two pages that are compared
        yield running


@pytest.fixture(scope="module")
def signatures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Releases with crash reports: of the newest there are too many, of one signature, on Linux."""
    folder = tmp_path_factory.mktemp("computed-signatures")
    channel = SmallChannel(folder)
    found = [one for nth in range(NEWEST + 1) for one in reports(nth, "old", 2.0)]
    found += [one for nth in range(NEWEST) for one in reports(nth, "bad's", 1.0)]
    found += reports(NEWEST, "bad's", 8.0, os_name="Linux")
    fill(channel, found, ratio=3.0)
    channel.services.releases.put(channel.releases)
    channel.services.close()
    running = RunningServer(folder, {})
    running.only = "web"
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _simulate(corpus: Path) -> None:
    command = [*COMMAND, "simulate", "corpus", str(corpus), "--light", "--count", "6000"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    subprocess.run(command, env=environment, check=True, capture_output=True)


class Shown:
    """A number of a page, with what is said of it."""

    def __init__(self, match: re.Match[str]) -> None:
        self.number = html.unescape(match["before"]).strip()
        self.of = html.unescape(match["of"])
        self.inside = html.unescape(match["inside"])
        link = _LINK.search(match["inside"])
        self.query = _query(link[1]) if link else ""
        self._inputs = {html.unescape(title): _query(href) for href, title in _INPUT.findall(match["inside"])}

    def input(self, title: str) -> str:
        """The SQL of one of the inputs."""
        return self._inputs[title]


def _query(href: str) -> str:
    return parse_qs(urlsplit(html.unescape(href)).query)["query"][0]


def numbers(server: RunningServer, path: str) -> list[Shown]:
    page = httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200, page.text[:500]
    return [Shown(match) for match in _COMPUTED.finditer(page.text)]


def only_row(server: RunningServer, one: Shown) -> dict[str, float]:
    assert one.query, one.inside
    rows = server.sql(one.query)
    assert len(rows) == 1
    return rows[0]


def test_every_number_of_a_card(server: RunningServer) -> None:
    kinds = {
        "per 1,000 usage hours": "per_1000",
        "share of the usage": "share",
        "usage in the field": "total",
        "usage of all versions": "total",
        "crash-free users": "crash_free_users",
    }

    def printed(number: float, end: str) -> str:
        if kinds[end] == "total":
            return numerals.amount(round(number)) + (" h" if end.startswith("usage") else "")
        return numerals.rate(number) if kinds[end] == "per_1000" else numerals.percent(number)

    seen: dict[str, int] = {}
    wrong: list[object] = []

    # The first page was prepared when the server began: what was imported since comes a few seconds later, part by part.
    def complete() -> bool:
        found = numbers(server, "/")
        seen.update(dict.fromkeys(kinds, 0))
        wrong.clear()
        for one in found:
            end = next(end for end in kinds if one.of.endswith(end))
            row = only_row(server, one)
            if printed(row[kinds[end]], end) != one.number or not row["rows"]:
                wrong.append((one.of, one.number, row, one.query))
            seen[end] += 1
        return not wrong and seen["crash-free users"] >= 2 and any("nightly" in one.of for one in found)

    try:
        server.wait_until(complete)
    except AssertionError:
        assert wrong == []  # which says more
        raise
    assert all(count >= 2 for count in seen.values()), seen


def test_what_a_verdict_has_seen(server: RunningServer) -> None:
    as_of = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%dT%H:%MZ}"
    found = {one.of: one for one in numbers(server, f"/verdict/Firefox/esr/102.0/main_crashes?as_of={as_of}")}
    assert sorted(found) == ["95 % interval", "expected", "ratio", "seen"]
    ratio, seen, expected = found["ratio"], found["seen"], found["expected"]
    assert "Seen ÷ expected" in ratio.inside and not ratio.query
    assert f"= {expected.number.removeprefix('expected ')}" in expected.inside and not expected.query
    assert "101.0, 100.0" in expected.inside
    interval = found["95 % interval"]
    assert interval.number.rpartition(": ")[2] in interval.inside
    row = only_row(server, seen)
    assert numerals.amount(row["seen"]) == seen.number and row["seen"] > 20


@pytest.mark.parametrize(
    "path",
    [
        "/signature?signature=otter::Tail::wag&days=28",
        "/search?product=Otter&version=4.0b&os=Windows+NT",
        "/search?contains=%27%22%3B--&days=3",
        "/signature?signature=otter::Tail::wag&weighted=1&by=build",
    ],
)
def test_counts_of_crashes(server: RunningServer, path: str) -> None:
    found = numbers(server, path)
    if "--" in path:
        assert found == []  # nothing fits, so there is no number
        return
    row = only_row(server, found[0])
    assert found[0].number.split(" ")[0] == numerals.amount(row["crashes"])


def test_the_ranking_of_signatures(server: RunningServer) -> None:
    listed = server.get("/topcrashers", product="Otter", format="json").json()
    (how,) = numbers(server, "/topcrashers?product=Otter")
    rows = server.sql(how.query)
    assert [(row["signature"], row["crashes"]) for row in rows] == [
        (row["signature"], row["count"]) for row in listed["rows"][: len(rows)]
    ]
    assert rows[0]["share"] == pytest.approx(listed["rows"][0]["share"]) and len(rows) > 5


def test_the_link_runs_on_the_sql_page(server: RunningServer) -> None:
    one = next(one for one in numbers(server, "/") if one.of.endswith("usage hours"))
    link = _LINK.search(httpx.get(server.url + "/", headers={"accept": "text/html"}, timeout=60).text)
    assert link is not None and one.query
    page = httpx.get(server.url + html.unescape(link[1]), headers={"accept": "text/html"}, timeout=60)
    assert page.status_code == 200 and "FROM error_aggregates" in page.text


# ---- tables: one ƒ at a head says it of all numbers of its column

NIGHTLY = "/builds/Firefox/nightly"
MEASURE = "/measure/Firefox/nightly/main_crashes"
EXPERIMENT = "/experiments/pref-flip-tabs"
Table = dict[str, list[str]]


def page(server: RunningServer, path: str) -> str:
    found = httpx.get(server.url + path, headers={"accept": "text/html"}, timeout=60)
    assert found.status_code == 200, found.text[:500]
    return found.text


def table(text: str, name: str) -> Table:
    """The rows of the table of that class or mark: text of the head of each row -> texts of its other cells."""
    inside = re.search(rf"<table [^>]*\b{name}\b[^>]*>(.*?)</table>", text, re.S)
    assert inside is not None, name
    bodies = re.sub(
        r"<thead>.*?</thead>|<details class=\"computed\".*?</details>|<small.*?</small>",
        "",
        inside[1],
        flags=re.S,
    )
    found: Table = {}
    for row in re.findall(r"<tr\b.*?</tr>", bodies, re.S):
        cells = [
            " ".join(html.unescape(re.sub("<[^>]*>", "", one)).split())
            for one in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.S)
        ]
        found[next((cell for cell in cells if cell), "")] = cells
    return found


def how(server: RunningServer, path: str, of: str) -> Shown:
    there = {one.of: one for one in numbers(server, path)}
    assert of in there, (path, of, list(there))
    return there[of]


def is_printed(text: str, value: float, write: Callable[[float], str]) -> bool:
    """Whether a text is how a number is printed, to the twenty-thousandth to which courses are read."""
    return text in {write(value * factor) for factor in (1 - 5e-5, 1, 1 + 5e-5)}


def rows_of(server: RunningServer, query: str, *keys: str) -> dict[tuple[str, ...], dict[str, float]]:
    rows = server.sql(query)
    assert rows, query
    return {tuple(str(row[key]) for key in keys): row for row in rows}


@pytest.mark.parametrize(
    "query",
    [
        "?range=14d&interval=day", "?group=build_id&range=14d&interval=day", "?os_name=Linux&range=7d",
        "?os_name=Linux&os_name=Darwin&os_name=Haiku&range=7d&smooth=3h", "?version=100.0&version=160.0&range=14d",
        "?range=14d&group=build_id&build_id=2020&build_id=2100", "?time=release&range=7d", "?time=release&range=7d&skip=24h&group=build_id",
        "?range=7d&show=count",
    ],
)  # fmt: skip
def test_every_line_of_a_measure(server: RunningServer, query: str) -> None:
    path = MEASURE + query
    text = page(server, path)
    found = rows_of(
        server,
        how(server, path, "rates and sums in the range").query,
        "build_id" if "group=build_id" in query else "version",
    )
    drawn = 0
    for name, cells in table(text, "legend").items():
        at = cells.index(name)
        if "–" in cells[at + 3 : at + 6]:
            assert "time=release" in query  # one that is not drawn
            continue
        row = found[(name,)]
        rate, count, usage = cells[at + 3 : at + 6]
        assert is_printed(rate, row["per_1000"], numerals.rate), (name, cells, row)
        assert count == numerals.amount(row["numerator"])
        assert is_printed(usage, row["denominator"], numerals.amount), (name, cells, row)
        drawn += 1
    assert drawn


@pytest.mark.parametrize(
    "query", ["?range=24h", "?range=14d&interval=day&group=build_id", "?time=release&range=7d&skip=24h"]
)
def test_every_interval_of_a_measure(server: RunningServer, query: str) -> None:
    path = MEASURE + query
    text, one = page(server, path), how(server, path, "numbers of the intervals")
    group = "build_id" if "build_id" in query else "version"
    drawn = re.findall(r'<th scope="colgroup".*?</svg>(.*?)</th>', text, re.S)
    by_age = "release" in query
    found = rows_of(server, one.query, "age_s" if by_age else "start", group)
    seen = 0
    for label, cells in table(text, "data-numbers").items():
        days, _, clock = label.removeprefix("+").rpartition(" d ")
        at = str(int(days or 0) * 86_400 + int(clock[:2]) * 3600 + int(clock[3:5]) * 60) if by_age else label
        for n, name in enumerate(drawn):
            if cells[1 + 2 * n] == "–":
                continue
            row = next(
                row
                for (place, of), row in found.items()
                if of == name and (place == at if by_age else place.replace("T", " ").startswith(at))
            )
            rate, usage = cells[1 + 2 * n : 3 + 2 * n]
            assert is_printed(rate, row["per_1000"], numerals.rate), (label, cells, row)
            assert is_printed(usage, row["denominator"], numerals.amount), (label, cells, row)
            seen += 1
    assert seen > 5


def test_two_selections_of_a_measure(server: RunningServer) -> None:
    for path in (
        f"{MEASURE}?range=7d&a.os_name=Linux&b.os_name=Darwin",
        "/measure/Firefox/beta/main_crashes?range=48h&a.experiment_id=pref-flip-tabs&a.experiment_branch=treatment&b.experiment_id=pref-flip-tabs&b.experiment_branch=control",
        f"{MEASURE}?range=24h&a.os_name=Linux&b.os_name=Linux&b.start={datetime.now(UTC) - timedelta(days=4):%Y-%m-%d}",
    ):  # fmt: skip
        found = rows_of(server, how(server, path, "rates and sums in the range").query, "selection")
        shown = {name[0]: cells for name, cells in table(page(server, path), "legend").items()}
        assert shown.keys() == {"A", "B"}
        for (name,), row in found.items():
            assert is_printed(shown[name][3], row["per_1000"], numerals.rate)
            assert shown[name][4] == numerals.amount(row["numerator"])
        ratio = how(server, path, "ratio of A to B")
        quotient = found[("A",)]["per_1000"] / found[("B",)]["per_1000"]
        assert (
            f"Rate of A ÷ rate of B = {quotient:.2f}" in ratio.inside
            and "data-computed-input" in ratio.inside
        )
        assert rows_of(
            server, how(server, path + "&interval=hour", "numbers of the intervals").query, "selection"
        )


def test_small_charts_of_a_measure(server: RunningServer) -> None:
    path = f"{MEASURE}?range=7d&split=os_name"
    found = rows_of(server, how(server, path, "sums by value").query, "os_name", "version")
    text = page(server, path)
    shown = table(text[text.index('class="small-charts"') :], "by-line")
    assert shown.keys() == {"Windows_NT", "Darwin", "Linux"}
    for (system, _), row in found.items():
        assert is_printed(shown[system][1], row["per_1000"], numerals.rate)


@pytest.mark.parametrize(
    "query", ["", "?age=all", "?columns=points&platform=Linux", "?columns=majors&show=count", "?q=crashes"]
)
@pytest.mark.parametrize("channel", ["esr", "nightly"])
def test_every_column_of_a_channel(server: RunningServer, channel: str, query: str) -> None:
    path = f"/channel/Firefox/{channel}{query}"
    told = httpx.get(f"{server.url}{path}{'&' if query else '?'}format=json", timeout=60).json()
    text = page(server, path)
    shown = {row["title"]: row for group in told["table"]["groups"] for row in group["rows"]}
    printed = table(text, "channel-table")
    compared = 0
    for n, head in enumerate(told["table"]["heads"]):
        found = rows_of(server, how(server, path, f"numbers of {head['name']}").query, "measure")
        for title, row in shown.items():
            if title not in printed:
                continue
            sums = found[(row["measure"],)]
            value = sums["per_1000"] if told["show"] == "rate" and row["per"] else sums["count"]
            cell = printed[title][1 + n].split(" ")[0]
            rate = told["show"] == "rate" and row["per"]
            if cell != "–":
                assert (numerals.rate(value) if rate else numerals.amount(round(value))) == cell, (
                    title,
                    head["name"],
                    sums,
                )
                compared += 1
    assert compared >= 2


def test_affected_users_of_a_channel(server: RunningServer) -> None:
    told = server.get("/channel/Firefox/release", format="json").json()
    seen = 0
    for n, head in enumerate(told["table"]["heads"]):
        one = how(server, "/channel/Firefox/release", f"numbers of {head['name']}")
        users = {
            row["measure"]: row["cells"][n]["users"]
            for group in told["table"]["groups"]
            for row in group["rows"]
        }
        counted = {name: had for name, had in users.items() if had and had["number"] >= 1}
        if not counted:
            continue
        (row,) = server.sql(one.input("Users by SQL"))
        for name, had in counted.items():
            assert row[name] == pytest.approx(had["number"]) and row["clients"] == pytest.approx(had["of"])
            seen += 1
    assert seen


@pytest.mark.parametrize("query", ["by=os_name", "by=os_version", "by=country&platform=Linux"])
def test_every_value_of_a_breakdown(server: RunningServer, query: str) -> None:
    path = f"/channel/Firefox/esr?{query}&measure=main_crashes&all=1"
    found = httpx.get(f"{server.url}{path}&format=json", timeout=60).json()["breakdown"]
    whole = how(server, path, "rate of all users")
    assert whole.number == "" or whole.number == numerals.rate(found["whole"]["rate"])
    assert numerals.rate(only_row(server, whole)["per_1000"]) == numerals.rate(found["whole"]["rate"])
    (before,) = server.sql(whole.input(f"{found['before']} by SQL"))
    assert numerals.rate(before["per_1000"]) == numerals.rate(found["whole"]["rate_before"])
    values = how(server, path, "rates by value")
    own = rows_of(server, values.query, *found["dimensions"])
    older = rows_of(server, values.input(f"{found['before']} by SQL"), *found["dimensions"])
    told = [one for one in found["values"] if one["values"]]
    assert told
    for one in told:
        key = tuple(str(value) for value in one["values"])
        assert own[key]["per_1000"] == pytest.approx(one["rate"]) and own[key]["numerator"] == one["count"]
        assert older[key]["per_1000"] == pytest.approx(one["rate_before"])
        assert own[key]["denominator"] / only_row(server, whole)["denominator"] == pytest.approx(one["share"])
    ratios = how(server, path, "ratios by value")
    assert (
        not ratios.query
        and "95 %, at every look" in ratios.inside
        and "/docs/reference/pages#a-channel" in ratios.inside
    )


@pytest.mark.parametrize("query", ["", "?platform=linux", "?measure=content_crashes"])
def test_every_build_day(server: RunningServer, query: str) -> None:
    path = NIGHTLY + query
    shown = httpx.get(f"{server.url}{path}{'&' if query else '?'}format=json", timeout=60).json()["days"]
    rates = how(server, path, "rates by build day")
    found = rows_of(server, rates.query, "day")
    printed = table(page(server, path), "data-build-days")
    assert len(shown) > 5 and len(found) == len(shown)
    for one, cells in zip(shown, [row for row in printed.values() if len(row) > 2], strict=True):
        row = found[(one["day"],)]
        assert numerals.rate(row["per_1000"]) == cells[5], (one, row)
        assert row["denominator"] == pytest.approx(one["hours"])
    builds = rows_of(server, rates.input("Each build by SQL"), "build_id")
    assert {name for (name,) in builds} == {build["build_id"] for one in shown for build in one["builds"]}


def test_what_a_ratio_of_build_days_rests_on(server: RunningServer) -> None:
    newest = server.get(NIGHTLY, format="json").json()["days"][0]
    ratios = how(server, NIGHTLY, "ratios between build days")
    assert not ratios.query and "/docs/reference/pages#builds-day-by-day" in ratios.inside
    rows = server.sql(ratios.input("Sums by hour of age by SQL"))
    ages = min(int(newest["age_hours"]) + 1, 168)
    for day, events, hours in (
        (newest["day"], newest["before"]["events"], newest["before"]["hours"]),
        (newest["before_day"], newest["before"]["base_events"], newest["before"]["base_hours"]),
    ):
        own = [row for row in rows if row["day"] == day and row["hour_of_age"] < ages]
        assert sum(row["numerator"] for row in own) == events
        assert sum(row["denominator"] for row in own) == pytest.approx(hours)


def test_every_branch_of_an_experiment(server: RunningServer) -> None:
    told = server.get(EXPERIMENT, format="json").json()
    names = [one["name"] for one in told["numbers"]["branches"]]
    text = page(server, EXPERIMENT)
    assert len(told["numbers"]["rows"]) >= 2
    for row in told["numbers"]["rows"]:
        title = {"main_crashes": "Main crashes", "content_crashes": "Content crashes"}[row["measure"]]
        found = rows_of(server, how(server, EXPERIMENT, f"{title} by branch").query, "experiment_branch")
        for name, cell in zip(names, row["cells"], strict=True):
            own = found[(name,)]
            assert own["numerator"] == cell["events"] and own["denominator"] == pytest.approx(cell["per"])
            assert f"<b>{numerals.rate(own['per_1000'])}</b>" in text
    ratios = how(server, EXPERIMENT, "ratios of branches")
    assert not ratios.query and "/docs/reference/pages#experiments" in ratios.inside
    slices = how(server, EXPERIMENT, "ratios by users")
    systems = rows_of(server, slices.input("Operating system by SQL"), "os_name", "experiment_branch")
    of_linux = next(one for one in told["numbers"]["slices"] if one["value"] == "Linux")
    assert sum(row["denominator"] for (name, _), row in systems.items() if name == "Linux") == pytest.approx(
        of_linux["per"]
    )


@pytest.mark.parametrize(
    ("path", "channel", "measure"),
    [
        ("/verdict/Firefox/esr/102.0/content_crashes", "esr", "content_crashes"),
        ("/carried/Firefox/esr/102.0/startup_crashes", "esr", "startup_crashes"),
        (f"{NIGHTLY}?measure=content_crashes", "nightly", "content_crashes"),
        ("/channel/Firefox/nightly", "nightly", "main_crashes"),
    ],
)
def test_the_bar_names_the_channel_and_measure_that_are_shown(
    server: RunningServer, path: str, channel: str, measure: str
) -> None:
    bar = page(server, path).split("data-selectors", 1)[1].split("</form>", 1)[0]
    assert re.findall(r'<option value="([^"]*)" selected>', bar) == ["Firefox", channel, measure]


def test_the_usage_of_experiments(server: RunningServer) -> None:
    listed = server.get("/experiments", format="json").json()
    query = how(server, "/experiments", "usage hours of branches").query
    found = rows_of(server, query, "experiment_id", "experiment_branch")
    for one in listed:
        for branch in one["branches"]:
            row = found[(one["experiment"], str(branch["name"]))]
            assert row["numerator"] == pytest.approx(branch["hours"])
    assert "pref-flip-tabs" in {one["experiment"] for one in listed}


def test_what_was_seen_and_expected_of_signatures(signatures: RunningServer) -> None:
    path = f"/carried/Firefox/release/{NEWEST + 1}.0/main_crashes"
    for system in ("", "?os=Linux"):
        told = httpx.get(
            f"{signatures.url}{path}{system or '?'}{'&' if system else ''}format=json", timeout=60
        ).json()
        found = rows_of(signatures, how(signatures, path + system, "seen").query, "signature")
        assert {(one["signature"],): one["observed"] for one in told["rows"]} == {
            key: pytest.approx(row["crashes"]) for key, row in found.items()
        }
        assert sum(row["reports"] for row in found.values()) == told["basis"]["reports"]
        expected = how(signatures, path + system, "expected")
        assert not expected.query and "/docs/reference/verdicts#crash-signatures" in expected.inside
        before = rows_of(
            signatures, expected.input("Crashes of the predecessors by SQL"), "version", "signature"
        )
        assert len({version for version, _ in before}) == told["basis"]["predecessors"] == NEWEST


@pytest.mark.parametrize("path", [f"{MEASURE}?range=14d", "/channel/Firefox/esr", NIGHTLY, EXPERIMENT])
def test_a_page_does_not_grow_by_half(server: RunningServer, path: str) -> None:
    text = page(server, path)
    without = re.sub(r'<details class="computed".*?</details>', "", text, flags=re.S)
    assert len(gzip.compress(text.encode())) < 1.5 * len(gzip.compress(without.encode()))
    assert len(text) < 1.5 * len(without), (len(text), len(without))
