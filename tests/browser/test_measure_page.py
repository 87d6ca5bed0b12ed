"""The page of a measure over time."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fleet
import pytest
from conftest import MEASURE, Server
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.apt

PER_61 = f"{1000 * fleet.CRASHES['61.0'] / fleet.USAGE_HOURS:.0f}"
PER_60 = f"{1000 * fleet.CRASHES['60.0'] / fleet.USAGE_HOURS:.0f}"


def show(page: Page, server: Server, query: str = "", path: str = MEASURE) -> None:
    page.goto(server.url + path + (f"?{query}" if query else ""))
    expect(page.locator("html.scripted")).to_be_attached()


def choose(page: Page, label: str) -> None:
    with page.expect_response(lambda answer: answer.url.startswith(page.url.split("?")[0])):
        page.locator(".segmented label", has_text=re.compile(f"^{label}$")).click()


def chart(page: Page) -> dict[str, Any]:
    """The data of the charts, with what is drawn of it."""
    sent: dict[str, Any] = page.evaluate("JSON.parse(document.querySelector('#chart-data').textContent)")
    for series in sent["series"]:
        pairs = zip(series["value"], series["per"], strict=True)
        series["shown"] = [
            (None if value is None or not per else 1000 * value / per) if sent["rate"] else value
            for value, per in pairs
        ]
    sent["x"] = [sent["x0"] + n * sent["interval_s"] for n in range(sent["count"])]
    return sent


def legend(page: Page) -> dict[str, list[str]]:
    """Version -> cells of its row."""
    rows = page.locator("[data-lines] tbody tr").all()
    return {row.locator("label").inner_text().strip(): row.locator("td").all_inner_texts() for row in rows}


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def hover(page: Page, share: float) -> None:
    box = page.locator('[data-plot="shown"] .u-over').bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def drag(page: Page, first: float, last: float) -> None:
    hover(page, first)
    page.mouse.down()
    hover(page, (first + last) / 2)
    hover(page, last)
    page.mouse.up()


def row_of(page: Page, age_hours: int) -> list[str]:
    """Cells of the hour that started so long before this one: shown and usage of 61.0, then of 60.0."""
    at = fleet.THIS_HOUR - timedelta(hours=age_hours)
    row = page.locator(f'[data-numbers] tr:has(time[datetime="{at:%Y-%m-%dT%H:%M:%SZ}"])')
    return row.locator("td").all_inner_texts()


def ink(page: Page, field: str) -> int:
    """How many pixels of a chart are drawn on, once it is there."""
    expect(page.locator(f'[data-plot="{field}"] canvas')).to_be_visible()
    count: int = page.evaluate(
        """field => {
          const canvas = document.querySelector(`[data-plot="${field}"] canvas`);
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          let drawn = 0;
          for (let i = 3; i < pixels.length; i += 4) drawn += pixels[i] > 0;
          return drawn;
        }""",
        field,
    )
    return count


def test_two_versions_are_drawn_newest_first_with_rates_per_thousand_hours(
    page: Page, server: Server
) -> None:
    show(page, server)
    data = chart(page)
    assert [series["label"] for series in data["series"]] == ["61.0", "60.0"]
    assert row_of(page, 10) == [PER_61, "10", PER_60, "10"]
    assert set(filter(None, data["series"][0]["per"][:-2])) == {fleet.USAGE_HOURS}
    assert ink(page, "shown") > 5000 and ink(page, "per") > 5000


def test_pings_posted_over_http_appear_without_a_reload(page: Page, server: Server) -> None:
    beta = "/measure/Firefox/nightly/main_crashes"
    show(page, server, path=beta)
    expect(page.locator(".nothing")).to_be_visible()
    for version in ("63.0a1", "62.0a1"):
        ping = fleet.line(fleet.main_ping(version, channel="nightly"), "main", version, "nightly", fleet.NOW)
        server.post(fleet.address("main", version, "nightly"), ping)
    expect(page.locator("[data-lines] tbody tr")).to_have_count(2, timeout=20_000)
    assert list(legend(page)) == ["63.0a1", "62.0a1"]


def test_a_live_update_keeps_the_zoom_and_the_focus(page: Page, server: Server) -> None:
    show(page, server)
    drag(page, 0.3, 0.6)
    page.wait_for_url(re.compile("zoom="))
    before = page.url
    page.locator("#value-all").fill("half a wo")
    server.post(
        fleet.address("main", "61.0"),
        fleet.line(fleet.main_ping("61.0"), "main", "61.0", "release", fleet.NOW),
    )
    expect(page.locator("[data-numbers] tbody tr").first).to_contain_text("so far", timeout=20_000)
    assert page.url == before
    expect(page.locator("[data-reset-zoom]")).to_be_visible()
    expect(page.locator("#value-all")).to_be_focused()
    expect(page.locator("#value-all")).to_have_value("half a wo")


def test_the_toggle_shows_counts_and_the_address_keeps_it(page: Page, server: Server) -> None:
    show(page, server)
    choose(page, "Count")
    expect(page.locator("figcaption").first).to_contain_text("Crashes")
    assert parameters(page) == {"show": ["count"]}
    assert row_of(page, 10) == ["2", "10", "1", "10"]
    page.reload()
    assert row_of(page, 10) == ["2", "10", "1", "10"]


def test_back_returns_to_the_view_before(page: Page, server: Server) -> None:
    show(page, server)
    choose(page, "Count")
    expect(page).to_have_url(re.compile("show=count"))
    page.go_back()
    expect(page.locator("figcaption").first).to_contain_text("per 1,000 usage hours")


def test_longer_intervals_add_up_and_ranges_reach_further(page: Page, server: Server) -> None:
    show(page, server, "show=count")
    choose(page, "Day")
    expect(page.locator("[data-numbers] time").first).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d$"))
    choose(page, "7 d")
    expect(page).to_have_url(re.compile("range=7d"))
    crashes = sum(value or 0 for value in chart(page)["series"][0]["shown"])
    assert crashes == fleet.HOURS * fleet.CRASHES["61.0"]
    assert parameters(page) == {"show": ["count"], "interval": ["day"], "range": ["7d"]}


def test_five_minutes_of_custom_dates_show_exactly_that_span(page: Page, server: Server) -> None:
    start = fleet.THIS_HOUR - timedelta(hours=3)
    end = start + timedelta(hours=2)
    show(page, server, f"interval=5min&range=custom&start={start:%Y-%m-%dT%H:%M}&end={end:%Y-%m-%dT%H:%M}")
    data = chart(page)
    assert (data["x"][0], len(data["x"])) == (start.timestamp(), 24)
    assert page.locator("[data-numbers] tbody tr").count() == 2
    expect(page.get_by_label("From", exact=True)).to_have_value(f"{start:%Y-%m-%dT%H:%M}")


def test_hours_without_data_are_gaps_and_not_zero(page: Page, server: Server) -> None:
    show(page, server)
    for age in fleet.GAP:
        assert row_of(page, age)[2:] == ["–", "–"]
    places = [int((fleet.THIS_HOUR - timedelta(hours=age)).timestamp()) for age in fleet.GAP]
    data = chart(page)
    assert {data["series"][1]["shown"][data["x"].index(at)] for at in places} == {None}


def test_an_event_that_did_not_happen_is_zero_but_a_probe_that_nobody_sent_is_unknown(
    page: Page, server: Server
) -> None:
    show(page, server, path="/measure/Firefox/release/content_crashes")
    assert row_of(page, 10) == ["0.00", "10", "0.00", "10"]
    show(page, server, path="/measure/Firefox/release/gpu_crashes")
    assert row_of(page, 10) == ["–", "10", "–", "10"]


def test_time_since_release_starts_at_the_known_release_or_else_at_the_first_data(
    page: Page, server: Server
) -> None:
    show(page, server, "show=count")
    choose(page, "Since release")
    expect(page.locator("[data-lines]")).to_contain_text("(first data)")
    rows = legend(page)
    assert "(release)" in rows["61.0"][-1] and "(first data)" in rows["60.0"][-1]
    data = chart(page)
    assert data["x"][:2] == [0, 3600]
    assert page.locator("[data-numbers] tbody th").first.inner_text() == "+00:00"
    # 61.0 sent data for 10 hours before its release, which do not count.
    counted = sum(value or 0 for value in data["series"][0]["shown"])
    assert counted in ((40 - 1) * fleet.CRASHES["61.0"], 40 * fleet.CRASHES["61.0"])
    assert parameters(page) == {"show": ["count"], "time": ["release"]}


def test_a_filter_narrows_the_numbers_and_can_be_taken_off(page: Page, server: Server) -> None:
    show(page, server, "show=count")
    page.locator("#dimension-all").select_option("os_name")
    page.locator("#value-all").focus()
    expect(page.locator("#values option")).to_have_count(2)
    page.locator("#value-all").fill("Windows_NT")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".chip")).to_contain_text("Windows_NT")
    assert parameters(page) == {"show": ["count"], "os_name": ["Windows_NT"]}
    assert row_of(page, 10) == ["1"]  # no usage of theirs that hour: numbers only
    page.get_by_role("link", name="Remove the filter").click()
    expect(page.locator(".chip")).to_have_count(0)
    assert row_of(page, 10) == ["2", "10", "1", "10"]


def test_lines_can_be_build_ids(page: Page, server: Server) -> None:
    show(page, server)
    choose(page, "Build id")
    expect(page.locator("[data-lines] thead")).to_contain_text("Build id")
    assert list(legend(page)) == [fleet.BUILD_ID]


def test_the_newest_five_versions_are_drawn_and_boxes_choose_others(page: Page, server: Server) -> None:
    show(page, server, path="/measure/Firefox/beta/usage_hours")
    assert [series["label"] for series in chart(page)["series"]] == [f"61.0b{n}" for n in (12, 11, 10, 9, 8)]
    assert list(legend(page)) == fleet.BETAS[::-1]
    page.get_by_label("61.0b2", exact=True).check()
    expect(page.locator("tr[data-line]")).to_have_count(6)
    assert "61.0b2" in [series["label"] for series in chart(page)["series"]]
    expect(page.get_by_label("61.0b2", exact=True)).to_be_focused()
    page.get_by_label("61.0b2", exact=True).uncheck()
    expect(page.locator("tr[data-line]")).to_have_count(5)
    assert "series" not in parameters(page)


def test_a_reload_of_the_address_gives_the_same_view(page: Page, server: Server) -> None:
    query = "show=count&interval=5min&range=24h&group=build_id&os_name=Linux&country=DE"
    show(page, server, query)
    first = page.locator("[data-numbers]").inner_text()
    chosen = page.locator(".segmented input:checked").evaluate_all("boxes => boxes.map(box => box.value)")
    assert chosen == ["count", "5min", "24h", "clock", "build_id"]
    page.reload()
    assert page.locator("[data-numbers]").inner_text() == first


def test_hovering_shows_the_values_of_that_hour(page: Page, server: Server) -> None:
    show(page, server)
    assert page.locator("[data-cursor-head]").inner_text() == "Latest"
    hover(page, 0.25)
    expect(page.locator("[data-cursor-head]")).to_have_text("At cursor")
    expect(page.locator("[data-at]")).to_have_text(re.compile(r"^\d{4} \w{3} \d+ \d\d:00 UTC$"))
    # The interval of 2 crashes in 10 hours, by the count alone.
    assert legend(page)["61.0"][1:3] == [f"{PER_61} (22–720)", "10"]
    assert legend(page)["60.0"][1:3] == [f"{PER_60} (1.30–560)", "10"]


def _hour(page: Page) -> datetime:
    """Where the cursor is."""
    text = page.locator("[data-at]").inner_text()
    return datetime.strptime(text, "%Y %b %d %H:%M UTC").replace(tzinfo=UTC)


def test_arrow_keys_move_the_cursor(page: Page, server: Server) -> None:
    show(page, server)
    expect(page.locator('[data-plot="shown"] canvas')).to_be_visible()
    page.locator('[data-plot="shown"]').focus()
    page.keyboard.press("ArrowLeft")
    first = page.locator("[data-at]").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-at]").inner_text() not in ("", first)
    while (
        page.locator("[data-at]").inner_text() > f"{fleet.THIS_HOUR - timedelta(hours=1):%Y %b %-d %H:%M} UTC"
    ):
        page.keyboard.press("ArrowLeft")  # an hour that began since has nothing to tell
    said = page.locator("[data-cursor-said]")
    expect(said).to_contain_text(page.locator("[data-at]").inner_text())
    expect(said).to_contain_text(f"61.0 {PER_61} (22–720), 10")
    before = said.inner_text()
    hover(page, 0.25)
    expect(page.locator("[data-at]")).not_to_have_text(before.split(";")[0])
    assert said.inner_text() == before  # a pointer says nothing aloud


def test_dragging_zooms_both_charts_and_reset_undoes_it(page: Page, server: Server) -> None:
    show(page, server)
    button = page.locator("[data-reset-zoom]")
    expect(button).to_be_hidden()
    drag(page, 0.25, 0.5)
    page.wait_for_url(re.compile("zoom="))
    expect(button).to_be_visible()
    first, last = (int(end) for end in parameters(page)["zoom"][0].split("_"))
    x = chart(page)["x"]
    assert x[0] < first < last < x[-1]
    page.reload()
    expect(button).to_be_visible()
    button.click()
    expect(button).to_be_hidden()
    expect(page).not_to_have_url(re.compile("zoom="))


def test_the_csv_has_the_numbers_of_the_page(page: Page, server: Server) -> None:
    show(page, server, "os_name=Linux&show=count")
    with page.expect_download() as download:
        page.locator("[data-csv]").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    data = chart(page)
    assert {row["version"] for row in rows} == {"61.0", "60.0"}
    for series in data["series"]:
        crashes = sum(int(row["main_crashes"] or 0) for row in rows if row["version"] == series["label"])
        assert crashes == sum(value or 0 for value in series["shown"])
        hours = sum(float(row["usage_hours"] or 0) for row in rows if row["version"] == series["label"])
        assert hours == sum(value or 0 for value in series["per"])


def test_the_csv_of_two_chosen_versions_holds_no_version_between_them(page: Page, server: Server) -> None:
    show(page, server, "series=61.0b3&series=61.0b8", path="/measure/Firefox/beta/usage_hours")
    rows = csv.DictReader(io.StringIO(server_get(server, page)))
    assert {row["version"] for row in rows} == {"61.0b3", "61.0b8"}


def server_get(server: Server, page: Page) -> str:
    return server.get(page.locator("[data-csv]").get_attribute("href") or "").text


def test_the_selectors_lead_to_another_measure_and_keep_the_view(page: Page, server: Server) -> None:
    show(page, server, "range=24h&interval=5min")
    page.locator("select[name=measure]").select_option("startup_crashes")
    expect(page).to_have_url(f"{server.url}/measure/Firefox/release/startup_crashes?interval=5min&range=24h")
    expect(page.locator("h1")).to_contain_text("Startup crashes")
    page.locator("select[name=channel]").select_option("beta")
    expect(page.locator("h1")).to_contain_text("Firefox beta")


def add_to(page: Page, side: str, dimension: str, value: str) -> None:
    form = page.get_by_role("form", name=f"Narrow {side}")
    form.get_by_role("combobox", name="dimension").select_option(dimension)
    form.get_by_label("value").fill(value)
    form.get_by_role("button").click()
    expect(page.locator(".compare .chip")).to_contain_text([value])


def test_two_selections_are_compared_by_forms_and_the_ratio_is_told(page: Page, server: Server) -> None:
    show(page, server)
    page.get_by_text("Compare two selections").click()
    add_to(page, "A", "version", "61.0")
    form = page.get_by_role("form", name="Narrow B")
    form.get_by_role("combobox", name="dimension").select_option("version")
    form.get_by_label("value").fill("60.0")
    form.get_by_role("button").click()
    expect(page.locator(".ratio")).to_contain_text("Rate of A is 2.00 times that of B")
    assert parameters(page) == {"a.version": ["61.0"], "b.version": ["60.0"]}
    assert [series["label"] for series in chart(page)["series"]] == ["A: version 61.0", "B: version 60.0"]
    page.get_by_role("link", name="End the comparison").click()
    expect(page.locator(".ratio")).to_have_count(0)
    assert parameters(page) == {}


def test_menus_smooth_and_split_and_the_address_stays_short(page: Page, server: Server) -> None:
    show(page, server)
    page.get_by_label("Smooth", exact=True).select_option("3h")
    expect(page.locator("figcaption").first).to_contain_text("smoothed over 3 h")
    assert parameters(page) == {"smooth": ["3h"]}
    page.get_by_label("Smooth", exact=True).select_option("off")
    expect(page.locator("figcaption").first).not_to_contain_text("smoothed")
    page.get_by_label("Small charts by", exact=True).select_option("country")
    expect(page.locator(".small-charts li").first).to_be_visible()
    assert parameters(page) == {"split": ["country"]}
    assert page.locator(".small-charts path").first.bounding_box()


def test_an_annotation_is_added_drawn_and_removed_where_the_reader_is(page: Page, server: Server) -> None:
    query = "show=count&range=24h"
    show(page, server, query)
    before = ink(page, "shown")
    page.get_by_text("Add an annotation").click()
    page.get_by_label("Time (UTC)").fill(f"{fleet.THIS_HOUR - timedelta(hours=5):%Y-%m-%dT%H:%M}")
    page.get_by_label("Text", exact=True).fill("<i>Outage</i> & more")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".marks li")).to_contain_text(["<i>Outage</i> & more"])
    assert page.url.endswith(f"{MEASURE}?{query}")
    page.wait_for_function("document.querySelector('[data-plot=shown] canvas')")
    assert ink(page, "shown") != before
    page.get_by_role("button", name="Remove the annotation").click()
    expect(page.locator(".marks li", has_text="Outage")).to_have_count(0)


def test_the_picture_has_both_charts_and_their_names(page: Page, server: Server) -> None:
    show(page, server)
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    picture = download.value.path().read_bytes()
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    charts = page.evaluate(
        "[...document.querySelectorAll('.plot canvas')].map(one => [one.width, one.height])"
    )
    assert picture.startswith(b"\x89PNG") and download.value.suggested_filename.endswith(".png")
    assert width > charts[0][0] and height > charts[0][1] + charts[1][1] + 60


def test_the_permalink_is_copied_and_shows_the_same_dates(open_page: Any, server: Server) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    show(page, server)
    page.locator(".share button").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    before = chart(page)
    page.goto(copied)
    after = chart(page)
    assert (after["x0"], after["count"]) == (before["x0"], before["count"])
    assert [one["key"] for one in after["series"]] == [one["key"] for one in before["series"]]
