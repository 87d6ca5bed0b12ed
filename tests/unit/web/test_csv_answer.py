"""Files of pages: a sheet opens them without running what a client wrote."""

from __future__ import annotations

import csv

import pytest

from missioncontrol.web.crashes.answers import csv_answer


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "-[NSView frame]", "-1 =", "-٣"],
)  # fmt: skip
def test_a_formula_becomes_text(text: str) -> None:
    body = bytes(csv_answer([[text]], "crashes").body).decode()
    assert body.removeprefix('"').startswith("'")


@pytest.mark.parametrize(
    "value", ["-5", "+0.25", "-1,234.5", "-1e-05", "+5 %", "a=1", "", "61.0", -5.5, 3, None]
)
def test_figures_and_other_text_stay(value: object) -> None:
    body = bytes(csv_answer([[value, "end"]], "crashes").body).decode()
    assert next(csv.reader([body]))[0] == ("" if value is None else str(value))
