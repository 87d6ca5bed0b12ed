"""The first page: order, sentences, text, odd values and names of any kind."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.health.model import Account, Course, Crossing, Explanation, SliceLook
from missioncontrol.query.hour_sums import HourSum
from missioncontrol.registry.load import load_registry
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Release, group
from missioncontrol.web.home.cards import Card, CrashFree, Facts
from missioncontrol.web.home.numbers import Place, add_further, hour_of, numbers_of, pieces_of
from missioncontrol.web.home.pages import HomeWanted, filtered, read_home_wanted
from missioncontrol.web.home.plots import adoption_spark, course_spark
from missioncontrol.web.home.said import said_of
from missioncontrol.web.home.source import made_of, people_of
from missioncontrol.web.home.text import home_text
from missioncontrol.web.home.view import Home

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
HOUR = hour_of(NOW)
LONG = "9" * 189 + "<b>bold</b>"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def version(name: str, days_ago: float, channel: str = "release", **fixed: Any) -> Release:
    published = NOW - timedelta(days=days_ago)
    return Release("Firefox", channel, name, fixed.pop("build_id", f"b{name}"), published, **fixed)


def rows(
    name: str, system: str | None = "Windows_NT", channel: str = "release", hours: int = 48, **fixed: Any
) -> list[HourSum]:
    """Hours up to now: 100 usage hours and 2 crashes each, unless `values` says otherwise."""
    values = fixed.pop("values", (100.0, 2.0, None, 50.0))
    application = fixed.pop("application", "Firefox")
    key = (application, channel, system, name)
    ended = int(NOW.timestamp())
    return [HourSum(key, HOUR - n, min((HOUR - n + 1) * 3600, ended), values) for n in range(hours)]


def account(
    base: Account,
    verdict: str,
    name: str = "57.0",
    channel: str = "release",
    measure: str = "main_crashes",
    **look: Any,
) -> Account:
    """An account of the first release page that says `verdict` of everyone, unless `look` names a slice."""
    subject = msgspec.structs.replace(base.subject, version=name, channel=channel, measure=measure)
    since = NOW - timedelta(minutes=115) if verdict == "worse" else None
    changed = {
        "verdict": verdict,
        "slice": None,
        "reasons": [],
        "since": since,
        "ratio": 1.62,
        "low": 1.31,
        "high": 2.05,
    }
    return msgspec.structs.replace(
        base,
        subject=subject,
        look=msgspec.structs.replace(base.look, **{**changed, **look}),
        explanations=[],
        sentence=f"{name} {measure}: {verdict}.",
    )


def on_linux(base: Account) -> Account:
    """Worse on Linux alone."""
    worse = account(base, "worse", slice={"os_name": "Linux"}, ratio=1.1, low=0.9, high=1.2)
    slices = [
        SliceLook({"os_name": "Linux"}, 90, 30, 3.0, 2.0, 4.5, 0.1),
        SliceLook({"os_name": "Windows_NT"}, 200, 200, 1.0, 0.9, 1.1, 0.8),
    ]
    best = Explanation({"os_name": "Linux"}, 20.0, 3.1, 2.1, 4.4, 1.0, 0.9, 1.1, 0.9)
    return msgspec.structs.replace(worse, slices=slices, explanations=[best])


def home(
    registry: Registry, held: list[HourSum], releases: list[Release], accounts: list[Account], **facts: Any
) -> Home:
    known = group(releases)
    numbers = numbers_of([pieces_of(held)])
    return made_of(
        registry, Facts(numbers, known, accounts, facts.get("people", {}), facts.get("end", NOW)), NOW
    ).home


def cards(view: Home) -> list[Card]:
    return [card for section in view.sections for card in section.cards]


def test_the_worst_comes_first_and_is_named_at_the_top(registry: Registry, bad: Course) -> None:
    base = bad.account
    held = [
        *rows("57.0"),
        *rows("57.0", "Linux"),
        *rows("58.0", channel="beta", values=(9000.0, 1.0, None, 9.0)),
    ]
    releases = [version("56.0", 30), version("57.0", 2), version("58.0", 2, "beta")]
    accounts = [account(base, "same", "58.0", "beta"), on_linux(base)]
    view = home(registry, held, releases, accounts)
    assert [(c.channel, c.platform, c.need) for c in cards(view)] == [
        ("release", "linux", "worse"),
        ("release", "windows", "elsewhere"),
        ("beta", "windows", "same"),
    ]
    (point,) = view.attention
    assert (
        point.text
        == "Firefox release 57.0: main crashes worse on Linux since 12:35 UTC: 3.10× (2.10× to 4.40×)."
    )
    assert view.heading == "1 release needs attention" and view.calm == ""


def test_within_a_verdict_the_most_used_comes_first(registry: Registry) -> None:
    held = [*rows("57.0", "Linux"), *rows("57.0", values=(500.0, 1.0, None, 9.0))]
    assert [c.platform for c in cards(home(registry, held, [version("57.0", 2)], []))] == ["windows", "linux"]


def test_a_verdict_of_one_system_is_told_of_the_others_as_their_own_slice(bad: Course) -> None:
    def title(name: str) -> str:
        return "Main crashes"

    linux, windows, mac = (
        said_of(on_linux(bad.account), platform, title, NOW) for platform in ("linux", "windows", "mac")
    )
    assert (linux.mark.verdict, linux.ratio, linux.low) == ("worse", 3.1, 2.1)
    assert linux.words.endswith("on Linux since 12:35 UTC")
    assert (windows.mark.verdict, windows.ratio) == ("elsewhere", 1.0)
    assert windows.words == "worse on Linux; here 1.00× (0.90× to 1.10×)"
    assert mac.words == "worse on Linux; here not known" and mac.ratio is None


@pytest.mark.parametrize(
    ("verdict", "look", "words"),
    [
        ("same", {"ratio": 1.0, "low": 0.9, "high": 1.1}, r"1\.00× \(0\.90× to 1\.10×\) what 8 predecessors had at"),
        ("too-early", {"ratio": None, "low": None, "high": None}, r"nothing can be compared yet at"),
        ("too-early", {"ratio": 1.0, "low": 0.0, "high": 3.0}, r"^not decided; so far 1\.00× \(up to 3\.00×\)"),
        ("too-early", {"ratio": None, "reasons": ["no_history"]}, r"no accepted predecessor"),
        ("data-problem", {"reasons": ["pings_lost"]}, r"Pings were lost"),
        ("data-problem", {}, r"cannot be judged now"),
        ("worse", {"since": NOW - timedelta(days=2)}, r"since 18 November 14:30 UTC$"),
        ("better", {"ratio": float("nan")}, r"–"),
    ],
)  # fmt: skip
def test_sentences(bad: Course, verdict: str, look: dict[str, Any], words: str) -> None:
    said = said_of(account(bad.account, verdict, **look), "windows", lambda name: name, NOW)
    assert re.search(words, said.words), said.words


def test_a_worse_that_today_would_not_be_one_tells_what_was_seen_then(
    registry: Registry, bad: Course
) -> None:
    base = account(bad.account, "worse", ratio=1.1, low=0.9, high=1.3)
    known = msgspec.structs.replace(base, crossed=Crossing(1.8, 1.3, 2.4))
    view = home(registry, rows("57.0"), [version("57.0", 2)], [known])
    still = "since 12:35 UTC (then 1.80×, 1.30× to 2.40×); now 1.10× (0.90× to 1.30×)"
    assert view.attention[0].text == f"Firefox release 57.0: main crashes worse {still}."
    (said,) = cards(view)[0].said
    assert said.words.startswith(f"{still} what 8 predecessors had at") and said.mark.verdict == "worse"
    assert f"main crashes: worse, {still} what 8" in home_text(view, "http://x/").replace("Main", "main")
    unknown = said_of(base, "windows", lambda name: name, NOW)
    assert unknown.words.startswith("since 12:35 UTC, which stays until a person withdraws it; now 1.10×")
    linux = msgspec.structs.replace(
        on_linux(bad.account),
        slices=[SliceLook({"os_name": "Linux"}, 90, 80, 1.2, 0.8, 1.5, 0.1)],
        crossed=Crossing(3.2, 2.2, 4.6),
    )
    told = said_of(linux, "linux", lambda name: name, NOW)
    assert told.words.startswith(
        "on Linux since 12:35 UTC (then 3.20×, 2.20× to 4.60×); now 1.20× (0.80× to 1.50×)"
    )
    assert (told.ratio, told.low, told.high) == (1.2, 0.8, 1.5), "of today, not of the alarm"


def test_an_outage_is_told_once_for_the_measures_of_a_release_and_worse_by_itself(
    registry: Registry, bad: Course
) -> None:
    names = ["content_crashes", "startup_crashes", "gc_max_pause_main_150", "crash_reports"]
    lost: list[Account] = [
        account(bad.account, "data-problem", measure=name, reasons=["pings_lost", "after_gap"])
        for name in names
    ]
    worse = [account(bad.account, "worse", measure=name) for name in ("main_crashes", "main_crash_reports")]
    silent = account(bad.account, "data-problem", measure="usage_hours", reasons=["no_hours"])
    held = [*rows("57.0"), *rows("56.0"), *rows("57.0", "Linux")]
    before = [
        account(bad.account, "data-problem", "56.0", measure=name, reasons=["pings_lost"]) for name in names
    ]
    view = home(registry, held, [version("56.0", 9), version("57.0", 2)], [*before, *lost, *worse, silent])
    told = [(point.mark.verdict, point.text) for point in view.attention]
    assert [verdict for verdict, _ in told] == [
        "worse",
        "worse",
        "data-problem",
        "data-problem",
        "data-problem",
    ]
    assert all("1.62× (1.31× to 2.05×)" in text for _, text in told[:2])
    outages = {text for _, text in told[2:]}
    because = "Pings were lost within the last hour: far fewer came than at the same time a week before."
    assert f"Firefox release 56.0: none of its 4 measures can be judged. {because}" in outages
    titles = [registry.measures[name].title if name in registry.measures else name for name in names]
    lower = [title[:1].lower() + title[1:] for title in titles]
    assert (
        f"Firefox release 57.0: {', '.join(lower[:3])} and {lower[3]} cannot be judged. {because}" in outages
    )
    because_hours = "Crashes came while usage hours stopped coming: what was counted then is left out."
    assert f"Firefox release 57.0: usage hours cannot be judged. {because_hours}" in outages
    for card in cards(view):
        assert [one.mark.verdict for one in card.said].count("worse") == 2
        (several,) = (one for one in card.said if len(one.measures) > 1)
        assert several.measures == names and several.words == because
        assert several.href == "/verdicts?application=Firefox&channel=release&verdict=data-problem"
    assert home_text(view, "http://x/").count(because) == 2 + len(cards(view))
    assert view.heading == "1 release needs attention, 1 cannot be judged now"
    many = [*before, account(bad.account, "data-problem", "56.0", reasons=["short_history", "pings_lost"])]
    some = [*many, account(bad.account, "same", "56.0", measure="usage_hours")]
    assert home(registry, held, [], some).attention[0].text == (
        "Firefox release 56.0: content crashes, main crashes, startup crashes and 2 more measures cannot be judged. "
        + because
    )
    assert "56.0: none of its other 5 measures can be judged" in (
        home(registry, held, [], [*many, account(bad.account, "worse", "56.0", measure="x")])
        .attention[1]
        .text
    )
    calm = home(registry, held, [version("57.0", 2)], before)
    assert calm.heading == "1 release cannot be judged now"


def test_where_nothing_is_wrong_the_top_says_so(registry: Registry, bad: Course) -> None:
    accounts = [account(bad.account, "same"), account(bad.account, "too-early", measure="content_crashes")]
    view = home(registry, rows("57.0"), [version("57.0", 2)], accounts)
    assert view.heading == "Nothing needs attention" and view.attention == []
    assert view.calm == (
        "Nothing needs attention: 1 version judged, none worse than before; for 1 of 2 measures it is too early to say."
    )
    none = home(registry, rows("57.0"), [], [])
    assert none.heading == "No verdicts yet" and "nothing can be said" in none.calm


def test_a_release_that_just_went_out_is_noted_once_for_all_its_platforms(registry: Registry) -> None:
    held = [*rows("57.0", hours=5), *rows("57.0", "Linux", hours=5), *rows("56.0")]
    view = home(registry, held, [version("56.0", 30), version("57.0", 0.2)], [])
    (note,) = view.notes
    assert note.startswith(
        "Firefox for desktop release 57.0 went out 4 h ago and has 1,000 usage hours so far."
    )
    assert home(registry, rows("57.0"), [version("57.0", 1.1)], []).notes == []


def test_silence_is_told(registry: Registry) -> None:
    end = NOW - timedelta(hours=3)
    view = home(registry, rows("57.0"), [version("57.0", 2)], [], end=end)
    assert view.notes == ["Nothing has arrived since 2026-11-20 11:30 UTC; the numbers below end there."]


def test_the_newest_version_is_what_was_published_last_else_the_highest_that_is_not_stray(
    registry: Registry,
) -> None:
    held = [*rows("56.0"), *rows("57.0"), *rows("999.0", hours=1, values=(0.001, None, None, 1.0))]
    assert (
        cards(home(registry, held, [version("57.0", 9), version("56.0.1", 1), version("56.0", 3)], []))[
            0
        ].version
        == "56.0"
    )
    assert cards(home(registry, held, [], []))[0].version == "57.0"
    future = [version("57.0", 9), version("56.0", -3)]
    assert cards(home(registry, held, future, []))[0].version == "57.0", "not out yet"


def test_the_predecessor_is_drawn_at_the_same_age(registry: Registry) -> None:
    before = [
        HourSum(("Firefox", "release", "Windows_NT", "56.0"), hour_of(NOW - timedelta(days=30)) + n, 0, (100.0, 1.0, None, 1.0))
        for n in range(24 * 10)
    ]  # fmt: skip
    (card,) = cards(home(registry, [*rows("57.0"), *before], [version("56.0", 30), version("57.0", 2)], []))
    assert (card.before, card.rate, card.rate_before) == ("56.0", 20.0, 10.0)
    assert [age for age, _ in card.course] == [age for age, _ in card.course_before]
    assert {rate for _, rate in card.course_before} == {10.0}
    excluded = [version("56.0", 30, status="excluded"), version("57.0", 2)]
    assert cards(home(registry, [*rows("57.0"), *before], excluded, []))[0].before is None


def test_adoption_is_a_share_of_hours_with_gaps_where_there_are_none(registry: Registry) -> None:
    held = [*rows("57.0", hours=12), *rows("56.0", hours=24)]
    (card,) = cards(home(registry, held, [version("56.0", 30), version("57.0", 2)], []))
    assert len(card.adoption) == 56
    assert [share for _, share in card.adoption][-4:] == [0.0, 0.0, 0.5, 0.5]
    assert card.adoption[0][1] is None and card.share == pytest.approx(1 / 3)
    drawn = adoption_spark(card)
    assert "NaN" not in drawn.line and drawn.area.endswith("Z") and "now 33.3 %" in drawn.says


def test_a_spike_of_the_first_hours_does_not_flatten_the_rest(registry: Registry) -> None:
    spike = HourSum(("Firefox", "release", "Windows_NT", "57.0"), HOUR - 47, 0, (0.01, 9.0, None, 1.0))
    (card,) = cards(home(registry, [*rows("57.0", hours=45), spike], [version("57.0", 2)], []))
    drawn = course_spark(card)
    assert drawn.top.endswith("higher is cut off") and "higher points are cut off" in drawn.says


def test_crash_reports_alone_have_numbers_and_no_rates(registry: Registry) -> None:
    held = rows("2.3.1", None, "Other", application="Notes", values=(None, None, 3.0, None))
    (card,) = cards(home(registry, held, [], []))
    assert card.reports and card.reports_day == 72 and card.rate is None and card.share == 1.0
    assert card.href == "/measure/Notes/Other/crash_reports" and card.platform_title == "Other systems"
    assert {value for _, value in card.course if value} == {3.0}
    assert " an hour over the last 14 days" in course_spark(card).says


def test_names_of_any_kind_and_odd_values_make_a_page(registry: Registry, bad: Course) -> None:
    held = [
        *rows(LONG),
        *rows("1.0\nFirefox release: all is well", "Linux"),
        *rows("", "Darwin", ""),
        *rows("1.0", application=None),  # type: ignore[arg-type]
        HourSum(("X", None, None, None), HOUR + 900_000, 2**40, (None, None, None, None)),
        HourSum(("Y", "c", "\x00", "v"), HOUR, 0, (0.0, 5.0, 0.0, 0.0)),
    ]
    view = home(registry, held, [version(LONG, 2)], [account(bad.account, "worse", LONG)])
    text = home_text(view, "http://x/")
    assert LONG in text and "\nFirefox release: all is well" not in text
    assert msgspec.json.decode(msgspec.json.encode(view))["sections"]
    for card in cards(view):
        assert "nan" not in adoption_spark(card).line + course_spark(card).line
    assert {card.application for card in cards(view)} == {"Firefox", None}, (
        "without any number there is no card"
    )


def test_the_text_says_what_the_page_says(registry: Registry, bad: Course) -> None:
    held = [*rows("57.0"), *rows("57.0", "Linux")]
    people = {(Place("Firefox", "release", "linux"), "57.0"): CrashFree(0.987, 0.98, 0.99)}
    text = home_text(
        home(registry, held, [version("57.0", 2)], [on_linux(bad.account)], people=people), "http://x/"
    )
    assert text.splitlines()[:2] == [
        "Mission Control, 2026-11-20 14:30 UTC",
        "▲ Firefox release 57.0: main crashes worse on Linux since 12:35 UTC: 3.10× (2.10× to 4.40×).",
    ]
    assert "  Linux: 57.0, out 2 days, 100.0 % of the usage" in text
    assert "    Crash-free users of the last day: 98.7 % (98.0 to 99.0 %)\n" in text
    assert text.endswith("\n\nhttp://x/\n")


def test_a_filter_leaves_the_rest_out_of_all_parts(registry: Registry, bad: Course) -> None:
    held = [*rows("57.0"), *rows("58.0", channel="beta")]
    releases = [version("57.0", 2), version("58.0", 2, "beta")]
    known = group(releases)
    facts = Facts(numbers_of([pieces_of(held)]), known, [account(bad.account, "worse")], {}, NOW)
    made = made_of(registry, facts, NOW)
    beta = filtered(registry, made, HomeWanted(channel="beta"))
    assert [c.version for c in cards(beta)] == ["58.0"] and beta.attention == [] and beta.judged == 0
    assert filtered(registry, made, HomeWanted()) is made.home
    assert filtered(registry, made, HomeWanted(application="~")).sections == []


def test_a_filter_finds_what_the_whole_page_has_no_room_for(registry: Registry) -> None:
    held = [
        row
        for n in range(201)
        for row in rows("57.0", channel=f"c{n}", hours=2, values=(500.0 - n, 2.0, None, 50.0))
    ]
    made = made_of(registry, Facts(numbers_of([pieces_of(held)]), [], [], {}, NOW), NOW)
    assert len(cards(made.home)) == 200 and "c200" not in {c.channel for c in cards(made.home)}
    assert [c.channel for c in cards(filtered(registry, made, HomeWanted(channel="c200")))] == ["c200"]


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([("chanel", "beta")], "unknown_parameter"),
        ([("channel", "a"), ("channel", "b")], "repeated_parameter"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(pairs: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_home_wanted(pairs)
    assert refused.value.code == code
    assert read_home_wanted([("channel", "~e"), ("format", "text")]) == HomeWanted(channel="~e")
    assert HomeWanted(channel="a&b").url(format="text") == "/?channel=a%26b&format=text"


def test_pieces_that_are_joined_add_up_and_stay_as_they_are() -> None:
    one, other = pieces_of(rows("1.0", hours=2)), pieces_of([*rows("1.0", hours=3), *rows("2.0", hours=1)])
    (place,) = one
    numbers = numbers_of([one, other])
    add_further(numbers, [one, pieces_of(rows("1.0", channel="beta"))])
    (field,) = numbers.values()
    assert field.line("1.0").total(HOUR - 9, HOUR + 1).hours == 700
    assert field.whole().total(HOUR - 9, HOUR + 1).hours == 600, "days of before are of predecessors alone"
    assert {name: sums.hours for name, sums in field.totals().items()} == {"1.0": 500, "2.0": 100}
    assert one[place].lines["1.0"].total(HOUR - 9, HOUR + 1).hours == 200


def test_crash_free_users_of_several_systems_of_a_platform_are_joined_by_their_clients() -> None:
    found = people_of(
        [
            ("Firefox", "release", "57.0", "Windows_NT", 0.9, 0.8, 1.0, 300),
            ("Firefox", "release", "57.0", "Windows", 0.5, 0.4, 0.6, 100),
            ("Firefox", "release", "57.0", "Linux", None, None, None, 0),
        ]
    )
    assert found == {
        (Place("Firefox", "release", "windows"), "57.0"): CrashFree(
            0.8, pytest.approx(0.7), pytest.approx(0.9), 400
        )
    }


def test_a_version_before_that_is_worse_is_told_on_the_card_of_the_newest(
    registry: Registry, bad: Course
) -> None:
    held = [*rows("57.0"), *rows("56.0")]
    accounts = [account(bad.account, "worse", "56.0"), account(bad.account, "same", "57.0")]
    (card,) = cards(home(registry, held, [version("56.0", 30), version("57.0", 2)], accounts))
    assert (
        card.version == "57.0" and [one.version for one in card.earlier] == ["56.0"] and card.need == "worse"
    )
