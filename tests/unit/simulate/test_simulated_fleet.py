"""The fleet: the same from the same seed, continuous in time, and as crash-prone as its truth says."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import msgspec
import pytest

from missioncontrol.errors import BadRequest
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.releases import Regression
from missioncontrol.simulate.submission import Submission

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS


def decoded(submission: Submission) -> Any:
    return msgspec.json.decode(submission.body)


def test_the_same_seed_gives_the_same_bytes(fleet: Fleet, now_ns: int) -> None:
    again = Fleet(7, 600, now_ns)
    mine = list(fleet.history(now_ns - 6 * HOUR_NS, now_ns, light=False))
    assert mine == list(again.history(now_ns - 6 * HOUR_NS, now_ns, light=False))
    assert len(mine) > 50
    assert fleet.truth == again.truth
    assert list(islice(fleet.live(now_ns, 100.0), 50)) == list(islice(again.live(now_ns, 100.0), 50))


def test_another_seed_gives_other_pings(fleet: Fleet, now_ns: int) -> None:
    other = Fleet(8, 600, now_ns)
    mine = {s.document_id for s in fleet.history(now_ns - HOUR_NS * 6, now_ns)}
    assert mine.isdisjoint(s.document_id for s in other.history(now_ns - HOUR_NS * 6, now_ns))


def test_a_stretch_of_history_does_not_depend_on_how_it_is_cut(fleet: Fleet, now_ns: int) -> None:
    start, middle = now_ns - 20 * HOUR_NS, now_ns - 7 * HOUR_NS - 12_345
    whole = list(fleet.history(start, now_ns))
    parts = [*fleet.history(start, middle), *fleet.history(middle, now_ns)]
    assert whole == parts


def test_live_traffic_goes_on_where_history_ended(fleet: Fleet, now_ns: int) -> None:
    ahead = list(fleet.history(now_ns, now_ns + 3 * HOUR_NS, light=False))
    assert list(islice(fleet.live(now_ns), len(ahead))) == ahead


def test_submissions_come_in_the_order_of_receipt_within_the_asked_time(fleet: Fleet, now_ns: int) -> None:
    start = now_ns - 2 * DAY_NS
    times = [s.received_ns for s in fleet.history(start, now_ns)]
    assert times == sorted(times)
    assert start <= times[0] and times[-1] < now_ns


def test_document_ids_are_unique_and_all_kinds_of_pings_are_sent(fleet: Fleet, now_ns: int) -> None:
    history = list(fleet.history(now_ns - 8 * DAY_NS, now_ns))
    assert len({s.document_id for s in history}) == len(history)
    assert Counter(s.document_type for s in history).keys() == {"main", "crash", "baseline"}


def test_live_traffic_keeps_the_asked_rate(fleet: Fleet, now_ns: int) -> None:
    pings = list(islice(fleet.live(now_ns, 400.0, light=True), 8_000))
    times = [s.received_ns for s in pings]
    assert times == sorted(times)
    assert 8_000 / ((times[-1] - times[0]) / 1e9) == pytest.approx(400, rel=0.1)


def test_no_ping_arrives_before_what_it_tells_of_and_none_is_of_an_unpublished_version(
    fleet: Fleet, now_ns: int
) -> None:
    published = {r.build_id: r.published_ns for r in fleet.releases}
    for submission in fleet.history(now_ns - 2 * DAY_NS, now_ns):
        assert submission.received_ns > published[submission.build_id]
        if submission.document_type == "main":
            created = decoded(submission)["creationDate"]
            assert created <= str(msgspec.json.encode(_instant(submission.received_ns)), "ascii").strip('"')


def test_most_pings_are_prompt_and_a_few_are_a_day_late(fleet: Fleet, now_ns: int) -> None:
    delays_h = []
    for submission in fleet.history(now_ns - 4 * DAY_NS, now_ns):
        if (
            submission.document_type == "main"
            and decoded(submission)["payload"]["info"]["reason"] == "shutdown"
        ):
            created = msgspec.convert(decoded(submission)["creationDate"], type(_instant(0)))
            delays_h.append(submission.received_ns / HOUR_NS - created.timestamp() / 3600)
    prompt = sum(d < 0.5 for d in delays_h) / len(delays_h)
    day_late = sum(d > 20 for d in delays_h) / len(delays_h)
    assert 0.75 < prompt < 0.9
    assert 0.005 < day_late < 0.06


def test_a_session_past_local_midnight_is_reported_in_two_parts(fleet: Fleet, now_ns: int) -> None:
    sessions: dict[str, list[Any]] = {}
    for submission in fleet.history(now_ns - 4 * DAY_NS, now_ns):
        if submission.document_type == "main":
            info = decoded(submission)["payload"]["info"]
            sessions.setdefault(info["sessionId"], []).append(info)
    pairs = [sorted(s, key=lambda i: i["subsessionCounter"]) for s in sessions.values() if len(s) == 2]
    assert len(pairs) > 50
    for first, second in pairs:
        assert (first["subsessionCounter"], second["subsessionCounter"]) == (1, 2)
        assert (first["reason"], second["reason"]) == ("daily", "shutdown")
        assert "T00:00:00.0" in second["subsessionStartDate"]
        total = first["subsessionLength"] + second["subsessionLength"]
        assert total == second["sessionLength"]


def test_the_truth_names_the_worse_version_and_states_its_factor_exactly(fleet: Fleet) -> None:
    truth = fleet.truth
    assert truth.worse is not None and truth.predecessor is not None
    assert (truth.worse.version, truth.predecessor.version) == ("103.0", "102.0")
    for os_name, factor in (("Windows_NT", 3.0), ("Darwin", 1.0), ("Linux", 1.0)):
        worse = truth.slice("release", truth.worse.display_version, os_name)
        before = truth.slice("release", truth.predecessor.display_version, os_name)
        assert worse.main_crashes_per_1k_hours == pytest.approx(factor * before.main_crashes_per_1k_hours)
        assert worse.factor == pytest.approx(factor)


def test_without_a_regression_no_slice_is_worse(now_ns: int) -> None:
    truth = Fleet(7, 200, now_ns, regression=None).truth
    assert truth.worse is None
    assert {round(s.factor, 9) for s in truth.slices} == {1.0}


def test_crashes_and_hours_that_are_sent_agree_with_the_truth(now_ns: int) -> None:
    fleet = Fleet(3, 4_000, now_ns, main_per_1k_hours=20.0)
    hours: Counter[tuple[str, str]] = Counter()
    crashes: Counter[tuple[str, str]] = Counter()
    for submission in fleet.history(now_ns - 4 * DAY_NS, now_ns + 3 * DAY_NS):
        if submission.channel != "release" or submission.document_type == "baseline":
            continue
        ping = decoded(submission)
        key = (submission.version, ping["environment"]["system"]["os"]["name"])
        if submission.document_type == "main":
            hours[key] += ping["payload"]["info"]["subsessionLength"] / 3600
        elif ping["payload"].get("processType", "main") == "main":
            crashes[key] += 1
    worse, before = ("103.0", "Windows_NT"), ("102.0", "Windows_NT")
    assert crashes[worse] > 200 and crashes[before] > 500
    seen = {key: 1000 * crashes[key] / hours[key] for key in (worse, before)}
    for key in (worse, before):
        assert seen[key] == pytest.approx(
            fleet.truth.slice("release", *key).main_crashes_per_1k_hours, rel=0.2
        )
    assert seen[worse] / seen[before] == pytest.approx(3.0, rel=0.25)
    linux = [(version, "Linux") for version in ("103.0", "102.0")]
    assert (crashes[linux[0]] / hours[linux[0]]) / (crashes[linux[1]] / hours[linux[1]]) < 2


def test_a_few_clients_have_most_of_the_crashes(now_ns: int) -> None:
    fleet = Fleet(3, 1_000, now_ns, main_per_1k_hours=20.0)
    by_client: Counter[str] = Counter()
    for submission in fleet.history(now_ns - 6 * DAY_NS, now_ns):
        if submission.document_type == "crash":
            by_client[decoded(submission)["clientId"]] += 1
    top = sum(count for _, count in by_client.most_common(100))
    assert top > 0.5 * by_client.total()


def test_a_fleet_of_one_client_works(now_ns: int) -> None:
    fleet = Fleet(1, 1, now_ns, glean_share=0.0)
    clients = {decoded(s)["clientId"] for s in fleet.history(now_ns - 10 * DAY_NS, now_ns)}
    assert len(clients) == 1


def test_history_before_the_first_releases_is_refused(fleet: Fleet) -> None:
    with pytest.raises(BadRequest) as refused:
        fleet.history(fleet.earliest_ns - 1, fleet.earliest_ns + HOUR_NS)
    assert refused.value.code == "simulated_past"


@pytest.mark.parametrize(
    ("regression", "code"),
    [(Regression(channel="aurora"), "simulated_train"), (Regression(os_name="BeOS"), "simulated_os")],
)
def test_a_regression_where_nobody_is_is_refused(now_ns: int, regression: Regression, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Fleet(1, 10, now_ns, regression=regression)
    assert refused.value.code == code


def test_an_empty_fleet_and_a_rate_of_nothing_are_refused(fleet: Fleet, now_ns: int) -> None:
    with pytest.raises(BadRequest):
        Fleet(1, 0, now_ns)
    with pytest.raises(BadRequest):
        next(fleet.live(now_ns, 0.0))


def _instant(received_ns: int) -> Any:
    from missioncontrol.clock import utc

    return utc(received_ns)
