"""A dimension that users declare, from pings posted to the edge to the pages and the API: the vendor of the graphics chip."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.declared_train import BLOCK
from tests.support.pings import crash_ping, main_ping
from tests.support.server import RunningServer, running_server

TODAY = time.strftime("%Y%m%d", time.gmtime()) + "093000"
VERSIONS = ("132.0", "133.0")
VENDOR = "environment__system__gfx__vendor"
USERS = {"0x8086": (12, 12), "0x10de": (8, 24), None: (6, 9)}
"""Vendor -> pings of an hour of use each, and crashes, of each version."""
PAGE = "/measure/Firefox/release/main_crashes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("vendors")
    block = folder / "gpu.toml"
    block.write_text(BLOCK)
    with running_server(folder, MC_STREAM__MIN_INTERVAL_S="0.1") as running:
        running.run("registry", "add", str(block))
        running.wait_until(lambda: "gpu_vendor" in running.get("/api/v1/registry").text)
        for version in VERSIONS:
            for vendor, (uses, crashes) in USERS.items():
                for _ in range(uses):
                    send(running, "main", main_ping(**environment(version, vendor)), version)
                for _ in range(crashes):
                    send(running, "crash", crash_ping(**environment(version, vendor)), version)
        running.settle()
        yield running


def environment(version: str, vendor: str | None) -> dict[str, Any]:
    chip = {} if vendor is None else {VENDOR: vendor}
    return {"environment__build__buildId": TODAY, "environment__build__version": version, **chip}


def send(server: RunningServer, kind: str, ping: dict[str, Any], version: str) -> None:
    path = f"/submit/telemetry/{uuid.uuid4()}/{kind}/Firefox/{version}/release/{TODAY}?v=4"
    answer = server.post(path, json.dumps(ping).encode())
    assert answer.status_code == 200, answer.text


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def page(server: RunningServer, path: str, **parameters: str) -> str:
    answer = httpx.get(server.url + path, params=parameters, headers={"accept": "text/html"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_api_has_the_sums_of_each_vendor(server: RunningServer) -> None:
    asked = {"measurements": ["main_crashes", "usage_hours"], "dimensions": ["version", "gpu_vendor"]}
    rows = rows_of(server.get("/api/v1/aggregates", **asked, format="csv"))
    found: dict[tuple[str, str | None], tuple[float, int]] = {}
    for row in rows:  # one for each window: the pings may have come in two
        key = (row["version"], row["gpu_vendor"] or None)
        hours, crashes = found.get(key, (0.0, 0))
        found[key] = (hours + float(row["usage_hours"] or 0), crashes + int(row["main_crashes"] or 0))
    assert found == {(version, vendor): sums for version in VERSIONS for vendor, sums in USERS.items()}
    values = server.get("/api/v1/values", dimension="gpu_vendor").json()
    assert (values["values"], values["has_null"]) == (["0x10de", "0x8086"], True)
    one = {"measurements": "usage_hours", "gpu_vendor": "0x10de", "format": "csv"}
    hours_of_one = sum(
        float(row["usage_hours"] or 0) for row in rows_of(server.get("/api/v1/aggregates", **one))
    )
    assert hours_of_one == 2 * USERS["0x10de"][0]


@pytest.mark.parametrize("time_axis", ["clock", "release"])
def test_the_page_of_a_measure_has_a_small_chart_of_each_vendor(
    server: RunningServer, time_axis: str
) -> None:
    text = page(server, PAGE, split="gpu_vendor", time=time_axis)
    assert "<h2>By graphics vendor</h2>" in text
    links = re.findall(r'<h3><a href="([^"]+)" data-swap>([^<]+)</a></h3>', text)
    # The most used first.
    assert [label for _, label in links] == ["0x8086", "0x10de", "unknown"]
    assert "gpu_vendor=0x8086" in links[0][0] and "gpu_vendor__isnull=true" in links[2][0]
    small = server.get(PAGE, split="gpu_vendor", time=time_axis, format="json").json()["small"]
    cells = {chart["label"]: chart["cells"] for chart in small["charts"]}
    for vendor, (hours, crashes) in USERS.items():
        for rate, per in cells[vendor or "unknown"]:
            assert per == pytest.approx(hours) and rate == pytest.approx(1000 * crashes / hours)
    rows = rows_of(server.get(PAGE, split="gpu_vendor", time=time_axis, format="csv"))
    told: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["gpu_vendor"], row["line"])
        told[key] = told.get(key, 0) + int(row["main_crashes"])
    assert told == {
        (vendor or "unknown", version): crashes
        for version in VERSIONS
        for vendor, (_, crashes) in USERS.items()
    }


def test_the_page_of_a_measure_is_narrowed_to_a_vendor_and_compares_two(server: RunningServer) -> None:
    of_one = server.get(PAGE, gpu_vendor="0x10de", format="json").json()
    assert [line["value"] for line in of_one["lines"]] == [24, 24]
    sides = {"a.gpu_vendor": "0x10de", "b.gpu_vendor": "0x8086", "format": "json"}
    ratio = server.get(PAGE, **sides).json()["ratio"]["ratio"]
    assert ratio == pytest.approx((24 / 8) / (12 / 12))


def test_the_page_of_a_channel_says_who_has_them_by_vendor(server: RunningServer) -> None:
    asked = {"by": "gpu_vendor", "measure": "main_crashes", "version": VERSIONS[1], "all": "1"}
    text = page(server, "/channel/Firefox/release", **asked)
    assert '<option value="gpu_vendor" selected>Graphics vendor</option>' in text
    table = text[text.index('class="dense channel-breakdown"') :]
    assert all(vendor in table for vendor in ("0x10de", "0x8086"))
    rows = rows_of(server.get("/channel/Firefox/release", **asked, format="csv"))
    found = {row["gpu_vendor"] or None: (float(row["per"]), float(row["count"])) for row in rows}
    assert found == {vendor: pytest.approx(sums) for vendor, sums in USERS.items()}
