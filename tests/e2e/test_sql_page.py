"""The SQL page at a running server: run, save, open, delete, stop, download, and what is refused."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.support.server import RunningServer, running_server
from tests.support.signing_in import add_user, bearer, browser, make_token, sign_in

from missioncontrol.web.sql.examples import EXAMPLES, Example

PAGE = {"accept": "text/html"}
ENDLESS = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"
RUN = "0123456789abcdef"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Anybody may read; olga and pavel may sign in, and ada is an administrator."""
    with running_server(tmp_path_factory.mktemp("sql")) as server:
        add_user(server, "olga", "read")
        add_user(server, "pavel", "read", "protected")
        add_user(server, "ada", "admin")
        yield server


@contextmanager
def client(server: RunningServer, name: str = "") -> Iterator[httpx.Client]:
    """A browser, of somebody who has signed in if a name is given."""
    with browser(server) as made:
        if name:
            assert sign_in(made, name).status_code == 303
        made.headers["origin"] = server.url
        yield made


@pytest.fixture
def anybody(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server) as made:
        yield made


@pytest.fixture
def olga(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server, "olga") as made:
        yield made


@pytest.fixture
def pavel(server: RunningServer) -> Iterator[httpx.Client]:
    with client(server, "pavel") as made:
        yield made


def code_of(answer: httpx.Response) -> str:
    found = re.search(r'data-code="(\w+)"', answer.text)
    return found[1] if found else ""


def cells(answer: httpx.Response) -> list[str]:
    return [
        html.unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", answer.text)
    ]


def test_a_query_is_answered_as_a_table_without_markup_of_its_own(anybody: httpx.Client) -> None:
    answer = anybody.post(
        "/sql", data={"query": "SELECT '<b>' || {{a}} AS \"<i>\", NULL AS n", "p_a": "it's"}
    )
    assert answer.status_code == 200
    assert cells(answer) == ["<b>it's", "null"]
    assert "<b>it" not in answer.text and ">&lt;i&gt;</th>" in answer.text
    assert "query=SELECT" in answer.text, "it has a link"
    assert 'id="history"' not in answer.text, "nobody's queries are kept"


def test_dialects_are_those_of_the_api(anybody: httpx.Client) -> None:
    query = "SELECT date_format(TIMESTAMP '2026-01-02 00:00:00', '%Y/%m/%d')"
    assert cells(anybody.post("/sql", data={"query": query, "dialect": "presto"})) == ["2026/01/02"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_queries_to_begin_with_run_as_they_are_offered(anybody: httpx.Client, example: Example) -> None:
    assert html.escape(example.form.link) in anybody.get("/sql").text
    assert html.escape(example.title) in anybody.get("/sql").text
    form = example.form
    values = {f"p_{name}": value for name, value in form.values.items()}
    answer = anybody.post("/sql", data={"query": form.query, "dialect": form.dialect, **values})
    assert (answer.status_code, code_of(answer)) == (200, "")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"query": ""}, 400, "sql_invalid"),
        ({"query": "SELEKT 1"}, 400, "sql_invalid"),
        ({"query": "DROP TABLE pings"}, 400, "sql_refused"),
        ({"query": "SELECT getenv('HOME')"}, 400, "sql_refused"),
        ({"query": "SELECT 1 FROM error_agregates"}, 400, "unknown_table"),
        ({"query": "SELECT nothing FROM error_aggregates"}, 400, "sql_failed"),
        ({"query": "SELECT body FROM pings"}, 400, "sql_failed"),
        ({"query": "SELECT 1", "dialect": "mysql"}, 400, "unknown_dialect"),
        ({"query": "SELECT {{a}}"}, 400, "missing_parameter"),
        ({"query": "SELECT {{a:number}}", "p_a": "one"}, 400, "bad_parameter"),
        ({"query": "SELECT repeat('x', 20000) FROM range(1000)"}, 400, "answer_too_large"),
    ],
)
def test_what_is_refused_has_a_code_and_keeps_the_query(
    anybody: httpx.Client, fields: dict[str, str], status: int, code: str
) -> None:
    answer = anybody.post("/sql", data=fields)
    assert (answer.status_code, code_of(answer)) == (status, code)
    kept = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.DOTALL)
    assert kept and html.unescape(kept[1]) == fields["query"]
    plain = anybody.post("/sql", data=fields, headers={"accept": "application/json"})
    assert (plain.status_code, plain.json()["code"]) == (status, code)


def test_an_error_says_where_it_is_here_and_in_the_api(server: RunningServer, anybody: httpx.Client) -> None:
    query = "SELECT channel,\n  sum(main_crashs)\nFROM error_aggregates GROUP BY 1"
    answer = anybody.post("/sql", data={"query": query})
    assert 'data-line="2" data-column="7"' in answer.text and "main_crashes" in answer.text
    refusal = httpx.post(f"{server.url}/api/v1/sql", json={"query": query}).json()
    assert refusal["message"].endswith("(line 2, column 7)")
    presto = httpx.post(f"{server.url}/api/v1/sql", json={"query": query, "dialect": "presto"}).json()
    assert "(line" not in presto["message"], "it would be of the translation"


@pytest.mark.parametrize(
    ("kind", "begins"), [("csv", b"a\r\n1\r\n"), ("json", b'{"columns":[{"name":"a"'), ("parquet", b"PAR1")]
)
def test_downloads_are_files(anybody: httpx.Client, kind: str, begins: bytes) -> None:
    answer = anybody.post("/sql/download", data={"query": "SELECT 1 AS a", "format": kind})
    assert answer.content.startswith(begins)
    assert answer.headers["content-disposition"] == f'attachment; filename="missioncontrol.{kind}"'


def test_a_refused_download_is_the_page_with_the_reason(anybody: httpx.Client) -> None:
    assert code_of(anybody.post("/sql/download", data={"query": "SELECT x", "format": "csv"})) == "sql_failed"
    answer = anybody.post("/sql/download", data={"query": "SELECT 1", "format": "xlsx"})
    assert code_of(answer) == "unknown_format"


def test_a_query_is_saved_opened_by_others_and_deleted_by_its_owner(
    server: RunningServer, anybody: httpx.Client, olga: httpx.Client, pavel: httpx.Client
) -> None:
    fields = {
        "query": "SELECT {{a}}",
        "dialect": "presto",
        "name": "Mine & <yours>",
        "p_a": "x",
        "p_other": "y",
    }
    saved = olga.post("/sql/saved", data=fields)
    assert saved.status_code == 303
    where = saved.headers["location"]
    opened = anybody.get(where)
    assert "Mine &amp; &lt;yours&gt;" in opened.text and 'name="p_a" value="x"' in opened.text
    assert "<option selected>presto</option>" in opened.text and "by somebody else" in opened.text
    assert 'value="y"' in anybody.get(f"{where}&p_a=y").text, "the address has the last word"
    assert "by olga" in pavel.get("/sql").text
    assert code_of(pavel.post("/sql/saved", data=fields)) == "name_taken"
    number = where.rpartition("=")[2]
    refused = pavel.post(f"/sql/saved/{number}/remove")
    assert refused.status_code == 403 and "not_yours" in refused.text
    assert olga.post(f"/sql/saved/{number}/remove").status_code == 303
    gone = anybody.get(where)
    assert (gone.status_code, code_of(gone)) == (404, "unknown_query")


def test_saving_needs_somebody_who_is_known_and_a_name(
    server: RunningServer, anybody: httpx.Client, olga: httpx.Client
) -> None:
    refused = anybody.post("/sql/saved", data={"query": "SELECT 1", "name": "n"})
    assert (refused.status_code, code_of(refused)) == (401, "sign_in")
    assert "SELECT 1</textarea>" in refused.text, "what was written stays"
    assert anybody.post("/sql/saved/1/remove", headers={"accept": "*/*"}).json()["code"] == "sign_in"
    assert code_of(olga.post("/sql/saved", data={"query": "SELECT 1", "name": " "})) == "bad_name"
    assert code_of(olga.post("/sql/saved", data={"query": " ", "name": "n"})) == "sql_invalid"
    forged = olga.post(
        "/sql/saved", data={"query": "SELECT 1", "name": "n"}, headers={"origin": "http://x.test"}
    )
    assert forged.status_code == 403
    token = bearer(make_token(server, "ingest")["token"])
    assert httpx.get(f"{server.url}/sql", headers=token).json()["code"] == "missing_scope"


def test_a_history_is_ones_own(olga: httpx.Client, pavel: httpx.Client) -> None:
    olga.post("/sql", data={"query": "SELECT 'of olga' AS x"})
    olga.post("/sql", data={"query": "SELECT wrong"})
    listed = olga.get("/sql").text
    assert "1 row</small>" in listed and "✕ sql_failed" in listed
    numbers = re.findall(r"/sql\?history=(\d+)", listed)
    assert "of olga" in olga.get(f"/sql?history={numbers[1]}").text
    other = pavel.get(f"/sql?history={numbers[1]}")
    assert (other.status_code, code_of(other)) == (404, "unknown_query")
    assert "of olga" not in other.text
    for wrong in ("x", "-1", "9" * 30, "٣"):
        assert code_of(olga.get("/sql", params={"saved": wrong})) == "unknown_query"


@pytest.mark.parametrize("stopper", ["olga", "ada"])
def test_a_running_query_is_seen_and_stopped_by_its_reader_and_by_administrators_alone(
    server: RunningServer, olga: httpx.Client, pavel: httpx.Client, stopper: str
) -> None:
    ended: list[httpx.Response] = []
    fields = {"query": ENDLESS, "run": RUN}
    asking = threading.Thread(target=lambda: ended.append(olga.post("/sql", data=fields)))
    asking.start()
    with client(server, stopper) as other:
        server.wait_until(lambda: f'data-run-id="{RUN}"' in other.get("/sql").text)
        assert RUN not in pavel.get("/sql").text
        assert pavel.post("/sql/stop", data={"run": RUN}).status_code == 404
        server.wait_until(lambda: ", runs," in other.get("/sql").text)
        assert other.post("/sql/stop", data={"run": RUN}).status_code == 303
        asking.join(10)
        assert ended
        gone = other.post("/sql/stop", data={"run": RUN}, headers={"accept": "*/*"})
        assert gone.json()["code"] == "not_running"
    assert (ended[0].status_code, code_of(ended[0])) == (400, "query_stopped")
    assert cells(olga.post("/sql", data={"query": "SELECT 7"})) == ["7"], "the turns are free again"
    assert "✕ query_stopped" in olga.get("/sql").text


def test_a_query_of_the_api_is_stopped_too_also_while_it_waits(
    server: RunningServer, olga: httpx.Client
) -> None:
    with client(server, "ada") as ada:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(f"{server.url}/api/v1/sql", json={"query": ENDLESS}, timeout=60))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for one in asking:
            one.start()

        def listed() -> list[str]:
            return re.findall(r'data-run-id="(\w+)"', ada.get("/sql").text)

        server.wait_until(lambda: len(listed()) == 3)
        assert ", waits," in ada.get("/sql").text
        for number in listed():
            ada.post("/sql/stop", data={"run": number})
        for one in asking:
            one.join(20)
        assert [answer.json()["code"] for answer in answers] == ["query_stopped"] * 3


def test_a_body_that_is_no_form_or_too_large_is_refused(anybody: httpx.Client) -> None:
    answer = anybody.post("/sql", data={"query": "x" * 70_000}, headers={"accept": "*/*"})
    assert (answer.status_code, answer.json()["code"]) == (400, "body_too_large")
