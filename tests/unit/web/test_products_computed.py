"""How the numbers of the page of crashes were computed: its SQL gives them."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fastapi.testclient import TestClient
from tests.support import crash_rows
from tests.support.form import config_of, installed

from missioncontrol.services import Services
from missioncontrol.web.app import create_app


def test_the_sql_behind_the_products_gives_their_numbers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    crash_rows.write(data, crash_rows.crashes(datetime.now(UTC), 200))
    services = Services(config_of(installed(data)))
    services.writer.ensure(services.registry())
    with TestClient(create_app(services), base_url="http://localhost") as client:
        page = client.get("/crashes", headers={"accept": "text/html"}).text
        (link,) = re.findall(r'href="(/sql\?[^"]*)" data-computed-sql', page)
        (asked,) = parse_qs(urlsplit(html.unescape(link)).query)["query"]
        rows = client.post("/api/v1/sql", json={"query": asked}).json()["results"]
        shown = client.get("/crashes?format=json").json()["products"]
    services.close()
    told = [(row["product"], row["reports"], row["last_day"], row["signatures"]) for row in rows]
    assert told and told == [
        (one["product"], one["reports"], one["reports_last_day"], one["signatures"]) for one in shown
    ]
