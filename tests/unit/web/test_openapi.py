"""The description of the API: every operation has an id of its own."""

from __future__ import annotations

import warnings
from pathlib import Path

from missioncontrol.config import Config
from missioncontrol.services import Services
from missioncontrol.web.app import create_app


def test_every_operation_has_an_id_of_its_own(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # FastAPI warns of an id that two operations share
        schema = create_app(Services(Config(data=tmp_path))).openapi()
    ids = [o["operationId"] for methods in schema["paths"].values() for o in methods.values()]
    assert len(ids) == len(set(ids)) > 20
    path = "/symbols/{debug_file}/{debug_id}/{file}"
    assert {"get", "head", "put"} <= set(schema["paths"][path])
