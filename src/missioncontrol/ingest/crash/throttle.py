"""Throttle rules: which reports are stored, and at which rate, so that counts can be weighted back.

An ordered list in TOML; the first rule that decides wins. A rule may decide for a share of what it matches; the share
is drawn from the report's identity, so that a resend gets the answer of the first. Never stores, never answers.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from missioncontrol.errors import ConfigError

Result = Literal["accept", "reject", "fake_accept", "continue"]
ACCEPT_ALL = "accept_all"
MOZILLA = "mozilla"
_BUILD_ID = re.compile(r"20\d{12}")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class Condition(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"one_of": "in", "none_of": "not_in"}
):
    """What must be true of one annotation; all that is given must hold."""

    field: str
    at: str = ""
    """Keys joined by dots: what is asked about lies there in the annotation's JSON."""
    default: str = ""
    """What stands for an absent annotation."""
    present: bool | None = None
    """Whether it was sent at all, be it empty."""
    one_of: tuple[str, ...] | None = None
    none_of: tuple[str, ...] | None = None
    matches: str | None = None
    """A regular expression, searched for."""
    below: str | None = None
    """Texts are compared, as build ids can be; no text is below nothing."""
    at_most: int | None = None
    """Of a whole number."""
    build_older_than_days: int | None = None
    """For build ids of 14 digits; their first eight are the day, YYYYMMDD, and the rest does not count."""

    def holds(self, annotations: Mapping[str, str], now: datetime) -> bool:
        """Whether it is true of these annotations."""
        value = annotations.get(self.field, self.default)
        if self.at:
            value = _inside(value, self.at, self.default)
        tests = (
            self.present is None or self.present == (self.field in annotations),
            self.one_of is None or value in self.one_of,
            self.none_of is None or value not in self.none_of,
            self.matches is None or re.search(self.matches, value) is not None,
            self.below is None or "" < value < self.below,
            self.at_most is None or (_WHOLE.fullmatch(value) is not None and int(value) <= self.at_most),
            self.build_older_than_days is None or _older(value, self.build_older_than_days, now),
        )
        return all(tests)


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the list."""

    name: str
    result: Result
    when: tuple[Condition, ...] = ()
    percent: float = 100.0
    """Of the reports it matches, the share that gets `result`."""
    otherwise: Result = "reject"
    """What the rest gets."""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole list."""

    rule: tuple[Rule, ...] = ()
    no_match: Result = "reject"


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a report."""

    result: Literal["accept", "reject", "fake_accept"]
    rule: str
    percent: float
    """The share of reports like this one that are stored; 100 / percent is the weight of each."""


class Throttle:
    """Decides by a list of rules."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def decide(self, annotations: Mapping[str, str], identity: bytes, now: datetime) -> Decision:
        """The decision for a report; the same for the same identity."""
        share = 100.0
        for number, rule in enumerate(self._rules.rule):
            if not all(condition.holds(annotations, now) for condition in rule.when):
                continue
            drawn = _drawn(identity, number) < rule.percent
            result = rule.result if drawn else rule.otherwise
            # What is stored either way was not drawn for.
            if rule.percent < 100 and rule.otherwise in ("reject", "fake_accept"):
                share *= rule.percent / 100
            if result != "continue":
                return Decision(result, rule.name, share)
        last = self._rules.no_match
        return Decision("accept" if last == "continue" else last, "no_match", share)


def load_throttle(setting: str) -> Throttle:
    """The rules by name (`accept_all`, `mozilla`) or by the path of a TOML file; raises `ConfigError`."""
    if setting == ACCEPT_ALL:
        return Throttle(Rules((Rule(ACCEPT_ALL, "accept"),)))
    if setting == MOZILLA:
        text = (resources.files(__package__) / "throttle_mozilla.toml").read_text("utf-8")
        return Throttle(_parsed(text, MOZILLA))
    try:
        return Throttle(_parsed(Path(setting).read_text("utf-8"), setting))
    except (OSError, UnicodeDecodeError) as error:
        hint = f"Set ingest.throttle to {ACCEPT_ALL}, {MOZILLA} or a TOML file."
        raise ConfigError("throttle_unreadable", f"Throttle rules {setting!r}: {error}.", hint) from None


def _parsed(text: str, where: str) -> Rules:
    try:
        rules = msgspec.convert(tomllib.loads(text), Rules)
        for rule in rules.rule:
            _check(rule)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError, re.error) as error:
        raise ConfigError("throttle_invalid", f"Throttle rules {where}: {error}.") from None
    return rules


def _check(rule: Rule) -> None:
    if not re.fullmatch(r"[a-z0-9_]+", rule.name):
        raise ValueError(f"the name {rule.name!r} of a rule is not made of a-z, 0-9 and _")
    if not 0 <= rule.percent <= 100:
        raise ValueError(f"rule {rule.name}: percent is {rule.percent}")
    for condition in rule.when:
        re.compile(condition.matches or "")


def _older(build_id: str, days: int, now: datetime) -> bool:
    if not _BUILD_ID.fullmatch(build_id):
        return False
    try:
        built = datetime.strptime(build_id[:8], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - built > timedelta(days=days)


def _inside(text: str, path: str, default: str) -> str:
    """What lies at the path in a JSON text: a text as it is, anything else as JSON; `default` where nothing does."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return default
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        return default
    return found if isinstance(found, str) else json.dumps(found)


def _drawn(identity: bytes, rule: int) -> float:
    """A number from 0 to below 100, evenly spread over identities and independent between rules."""
    import hashlib

    digest = hashlib.blake2b(identity + rule.to_bytes(4, "big"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100
