"""The first page as plain text, to paste into a message. One line for each thing; no line is longer than it must be.

Names come from clients: signs that are not printable are replaced, so that a name cannot start a line of its own.
"""

from __future__ import annotations

from missioncontrol.web.home.cards import SPANS, Card, age_words
from missioncontrol.web.home.said import Said
from missioncontrol.web.home.view import Home
from missioncontrol.web.numerals import amount, percent, percents, rate


def home_text(home: Home, address: str) -> str:
    """The page; `address` leads to it."""
    lines = [f"Mission Control, {home.now:%Y-%m-%d %H:%M} UTC"]
    if home.attention:
        lines += [f"{point.mark.sign} {point.text}" for point in home.attention]
    else:
        lines.append(home.calm)
    lines += home.notes
    for section in home.sections:
        lines += ["", section.title]
        for card in section.cards:
            lines += _card(card)
    return "\n".join([*(plain(line) for line in lines), "", address, ""])


def _card(card: Card) -> list[str]:
    age = f", out {age_words(card.age_hours)}" if card.age_hours is not None else ""
    share = (
        f", {percent(card.share)} of the {'reports' if card.reports else 'usage'}"
        if card.share is not None
        else ""
    )
    lines = [f"  {card.platform_title}: {version_title(card.version)}{age}{share}"]
    lines += [
        f"    {one.mark.sign} {one.title}: {one.mark.word.lower()}, {one.words}{carried_words(one)}"
        for one in card.said
    ]
    lines += [
        f"    {one.mark.sign} {one.version} {one.title}: worse, {one.words}{carried_words(one)}"
        for one in card.earlier
    ]
    if card.rate is not None:
        before = f" ({card.before}: {rate(card.rate_before)})" if card.before else ""
        within = f" {SPANS[card.span]}" if card.span != "life" else ""
        lately = f"; {rate(card.rate_day)} in the last day" if card.span == "first" else ""
        lines.append(
            f"    {card.measure_title}: {rate(card.rate)} per 1,000 usage hours{within}{before}{lately}"
        )
    if card.crash_free:
        bounds = percents(card.crash_free.low, card.crash_free.high)
        lines.append(
            f"    Crash-free users of the last day: {percent(card.crash_free.share)}{f' ({bounds})' if bounds else ''}"
        )
    if card.reports_day:
        lines.append(f"    Crash reports of the last day: {amount(card.reports_day)}")
    return lines


def carried_words(said: Said) -> str:
    """`; carried by signature a::b (98 %)`; empty where it is not known."""
    told = [
        (one.signature or "(no signature)") + (f" ({one.share:.0%})" if one.share is not None else "")
        for one in said.carried
    ]
    return f"; carried by signature {' and '.join(told)}" if told else ""


def version_title(version: str | None) -> str:
    """What a version is called."""
    return "unknown version" if version is None else version or "(empty)"


def plain(line: str) -> str:
    """The line without signs that would break it or change how it is read."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
