"""Times as elements, that a script can show in another zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from missioncontrol.web.rendering import TEMPLATES
from missioncontrol.web.times import FORMS, Form, ago, moment, timed

AT = datetime(2026, 1, 31, 14, 5, 9, tzinfo=UTC)


def test_a_moment_says_its_zone() -> None:
    assert moment(AT) == '<time datetime="2026-01-31T14:05:09Z" data-form="zoned">2026-01-31 14:05 UTC</time>'
    assert moment(None) == timed(None) == ago(None, AT) == "–"


@pytest.mark.parametrize(
    ("form", "text"),
    [("minute", "2026-01-31 14:05"), ("second", "2026-01-31 14:05:09"), ("clock", "14:05"),
     ("short", "01-31 14:05"), ("day", "2026-01-31")],
)  # fmt: skip
def test_a_time_is_written_in_utc_wherever_it_comes_from(form: Form, text: str) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=14)))
    assert timed(elsewhere, form) == f'<time datetime="2026-01-31T14:05:09Z" data-form="{form}">{text}</time>'
    assert form in FORMS


def test_an_age_has_its_time_at_the_pointer() -> None:
    assert 'title="2026-01-31 14:05 UTC">5 min ago</time>' in ago(AT, AT + timedelta(minutes=5))


def test_no_template_puts_an_element_into_an_attribute() -> None:
    """`moment_text` and `ago_text` are for attributes."""
    wrong = re.compile(r'="[^"<>]*\{\{[^}]*\|(moment|ago|timed)\b(?!_)')
    for template in TEMPLATES.glob("*.html"):
        assert not wrong.search(template.read_text(encoding="utf-8")), template.name
    assert wrong.search('title="since {{ x|moment }}"') and not wrong.search('title="{{ x|moment_text }}"')
