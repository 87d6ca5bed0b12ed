"""The rules in order, and the function that runs them.

A rule that fails, or takes too long, is logged and noted, by its name and the class of the error (notes are public),
and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from missioncontrol.crashes.processing import dumps, firefox, java, memory, report, stack, system, times
from missioncontrol.crashes.processing.model import Crash, Processed, Settings, Walked
from missioncontrol.crashes.processing.time_limit import TookTooLong, time_limit
from missioncontrol.crashes.signature.lists import FIREFOX
from missioncontrol.crashes.signature.rules import FAILED

logger = structlog.get_logger()
Rule = Callable[[Crash], None]

BEFORE: tuple[Rule, ...] = (
    report.clean_annotations,
    report.list_keys,
    report.copy_metadata,
    report.copy_annotations,
    report.identify,
)
MOZILLA_VERSIONS: tuple[Rule, ...] = (
    firefox.rewrite_nightly_version,
    firefox.rewrite_esr_version,
    firefox.rewrite_beta_version,
    firefox.find_submitted_from,
)
GENERAL_RULES: tuple[Rule, ...] = (
    dumps.take_dumps,
    dumps.find_crashing_thread,
    stack.rate_bit_flips,
    stack.find_inconsistencies,
    stack.find_guard_page_access,
    report.find_major_version,
    report.find_channel,
    report.find_platform_version,
    report.default_process_type,
    times.date_report,
    times.reckon_times,
    report.read_breadcrumbs,
    java.publish_java_stack_trace,
    java.publish_java_exception,
    stack.take_mac_facts,
    report.find_report_type,
    system.find_cpu,
    system.find_os,
    system.name_os,
    stack.find_topmost_file,
    stack.list_modules_in_stack,
    stack.list_missing_symbols,
    stack.find_main_module,
    stack.keep_soft_errors,
    stack.count_threads,
)
MOZILLA_RULES: tuple[Rule, ...] = (
    firefox.find_accessibility,
    firefox.list_addons,
    firefox.find_theme,
    firefox.publish_crash_reason,
    firefox.list_utility_actors,
    firefox.find_hang,
    firefox.find_distribution,
    memory.measure_memory,
)


def process(
    raw: Mapping[str, Any],
    walked: Mapping[str, Walked],
    settings: Settings,
    *,
    processed_at: datetime,
    earlier: Mapping[str, Any] | None = None,
    memory_report: bytes | None = None,
) -> Processed:
    """The processed crash of a raw one. Never raises for what a client sent, and changes nothing that it is given.

    `walked` has the stackwalker's result for each dump by name; `earlier` is the document of the last processing, whose
    notes become history; `memory_report` is the file of that name as Firefox sends it.
    """
    crash = Crash(raw, walked, settings, processed_at, memory_report)
    crash.document["signature"] = FAILED
    _run(crash, BEFORE)
    mozilla = crash.profile == FIREFOX
    _run(crash, MOZILLA_VERSIONS if mozilla else ())
    _run(crash, GENERAL_RULES)
    _run(crash, MOZILLA_RULES if mozilla else ())
    _run(crash, (name_crash, *((firefox.blame_hung_thread,) if mozilla else ())))
    return _finish(crash, earlier)


def regenerate(document: Mapping[str, Any], settings: Settings, *, processed_at: datetime) -> Processed:
    """A processed crash with its signature made anew and nothing else: for other lists, or other rules of naming."""
    crash = Crash({}, {}, settings, processed_at)
    crash.document = dict(document)
    _run(crash, (name_crash,))
    crash.document["completed_datetime"] = processed_at.isoformat()
    return _finish(crash, document)


def name_crash(crash: Crash) -> None:
    """`signature` and `proto_signature`."""
    named = crash.settings.signatures.generate(crash.document, crash.profile)
    crash.document["signature"] = named.signature
    crash.document["proto_signature"] = named.proto_signature
    for note in named.notes:
        crash.note(note)


def _run(crash: Crash, rules: Sequence[Rule]) -> None:
    for rule in rules:
        try:
            with time_limit(crash.settings.rule_timeout_s):
                rule(crash)
        except TookTooLong:
            logger.error("crash_rule_given_up", rule=rule.__name__, uuid=str(crash.raw.get("uuid"))[:64])
            crash.note(f"{rule.__name__}: given up after {crash.settings.rule_timeout_s:g} s")
        except Exception as error:
            uuid = crash.raw.get("uuid")
            logger.exception("crash_rule_failed", rule=rule.__name__, uuid=str(uuid)[:64])
            crash.note(f"{rule.__name__}: failed: {type(error).__name__}")


def _finish(crash: Crash, earlier: Mapping[str, Any] | None) -> Processed:
    document, notes = crash.document, crash.notes
    document["processor_notes"] = "\n".join(notes)
    document["processor_history"] = _history(earlier)
    document["success"] = True
    return Processed(document, document["signature"], notes)


def _history(earlier: Mapping[str, Any] | None) -> list[str]:
    if earlier is None:
        return []
    known, last = earlier.get("processor_history"), earlier.get("processor_notes")
    history = [note for note in known if isinstance(note, str)] if isinstance(known, list) else []
    return [*history, last] if isinstance(last, str) and last else history
