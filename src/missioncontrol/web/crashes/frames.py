"""Stacks as the report shows them: a line a function, inlined ones too, each with its source and how it was found.

Pure. Nothing of the stackwalker's JSON is taken for granted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from missioncontrol.crashes.processing.reading import integer_at, object_at, objects_at, text_at

TRUSTS = {
    "context": ("context", "The registers at the crash: certain."),
    "cfi": ("unwind info", "Found by the module's unwind information: reliable."),
    "frame_pointer": ("frame pointer", "Found by following frame pointers: mostly right."),
    "prewalked": ("given", "The stack came walked with the report."),
    "cfi_scan": ("scan, unwind info", "Found by scanning the stack, then by unwind information: doubtful."),
    "scan": ("scan", "Found by scanning the stack for addresses: a guess, may be a leftover."),
    "inline": ("inlined", "Inlined by the compiler into the function below."),
    "none": ("unknown", "Nobody knows how it was found."),
}
"""How a frame was found -> word and explanation."""
DOUBTFUL = frozenset({"scan", "cfi_scan", "none"})
MOST_FRAMES = 500
"""Of the crashing thread that are shown."""
MOST_FRAMES_ELSEWHERE = 60
"""Of each other thread."""
_MOST_LINES = 6000
_ROOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[A-Za-z0-9._~-]+)*")
_MOST_THREADS = 400


class FrameLine(msgspec.Struct, frozen=True):
    """One line of a stack."""

    number: str
    """Empty for inlined functions."""
    module: str
    function: str
    """Empty when it is not known."""
    where: str
    """The place in the module, or the address where there is no module."""
    file: str
    line: int | None
    href: str
    """Address of the source; empty when nobody knows it."""
    trust: str
    doubtful: bool
    explanation: str


class Thread(msgspec.Struct, frozen=True):
    """A stack."""

    index: int
    name: str
    thread_id: str
    crashing: bool
    lines: list[FrameLine]
    frames: int
    """All of its frames, also those that are not among the lines."""
    top: str
    """Its first function, as far as that is known."""
    shown: int
    """Frames that are among the lines."""

    @property
    def cut(self) -> bool:
        """Whether it has more frames than are shown."""
        return self.frames > self.shown


class SourceLinks(msgspec.Struct, frozen=True):
    """How the sources of one crash are linked."""

    template: str = ""
    version: str = ""
    build: str = ""

    def link(self, file: str, line: int | None) -> tuple[str, str]:
        """What is shown of a file, and its address (empty without one)."""
        parts = file.split(":")
        if len(parts) == 4 and parts[0] in ("hg", "git", "s3"):
            kind, root, path, revision = parts
            return path, self._repository(kind, root, path, revision, line)
        return file, self._own(file, "", line)

    def _repository(self, kind: str, root: str, path: str, revision: str, line: int | None) -> str:
        if not _ROOT.fullmatch(root) or ".." in path.split("/") or kind == "s3":
            return ""
        path, revision = quote(path.lstrip("/")), quote(revision, safe="")
        if kind == "hg":
            return f"https://{root}/file/{revision}/{path}" + (f"#l{line}" if line else "")
        anchor = f"#L{line}" if line else ""
        middle = "blob" if root.startswith("github.com/") else "-/blob" if "gitlab" in root else "src"
        return f"https://{root.removesuffix('.git')}/{middle}/{revision}/{path}{anchor}"

    def _own(self, file: str, revision: str, line: int | None) -> str:
        """By the product's template; relative to nothing, so `{path}` has no slash in front."""
        if not self.template.startswith(("https://", "http://")):
            return ""
        plain = file.replace("\\", "/")
        values = {
            "path": quote(plain.lstrip("/")),
            "file": quote(plain),
            "line": str(line or 1),
            "revision": quote(revision, safe=""),
            "version": quote(self.version, safe=""),
            "build": quote(self.build, safe=""),
        }
        return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), self.template)


def links_of(document: Mapping[str, Any], templates: Mapping[str, str]) -> SourceLinks:
    """The links of a processed crash, by its product's template."""
    product = text_at(document, "product")
    template = templates.get(product, templates.get("default", ""))
    return SourceLinks(template, text_at(document, "version"), text_at(document, "build"))


def threads_of(document: Mapping[str, Any], links: SourceLinks) -> list[Thread]:
    """All stacks, the crashing one first. What would make the page too long is left out from the last ones."""
    crashing = integer_at(document, "crashing_thread")
    threads = list(enumerate(objects_at(document, "json_dump", "threads")))[:_MOST_THREADS]
    room = _MOST_LINES
    found = []
    for index, thread in sorted(threads, key=lambda t: (t[0] != crashing, t[0])):
        most = MOST_FRAMES if index == crashing else min(MOST_FRAMES_ELSEWHERE, room)
        found.append(_thread(index, thread, index == crashing, links, most))
        room = max(0, room - len(found[-1].lines))
    return found


def registers_of(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of the registers at the crash; empty when they are not there, or not for this reader."""
    frames = objects_at(document, "json_dump", "crashing_thread", "frames")
    registers = object_at(frames[0], "registers") if frames else {}
    named = [(name, value) for name, value in registers.items() if isinstance(value, str)]
    return sorted(named, key=lambda pair: (len(re.sub(r"\D", "", pair[0])) > 0, _natural(pair[0])))


def _natural(name: str) -> tuple[str, int]:
    digits = re.sub(r"\D", "", name)
    return re.sub(r"\d", "", name), int(digits) if digits and len(digits) < 9 else 0


def _thread(index: int, thread: Mapping[str, Any], crashing: bool, links: SourceLinks, most: int) -> Thread:
    frames = objects_at(thread, "frames")
    lines = [line for n, frame in enumerate(frames[:most]) for line in _lines(n, frame, links)]
    names = (text_at(frame, "function") or text_at(frame, "module") for frame in frames[:40])
    named = next((name for name in names if name), "")
    thread_id = integer_at(thread, "thread_id")
    count = integer_at(thread, "frame_count") or len(frames)
    name = text_at(thread, "thread_name")
    return Thread(
        index,
        name,
        "" if thread_id is None else str(thread_id),
        crashing,
        lines,
        count,
        named,
        min(most, len(frames)),
    )


def _lines(position: int, frame: Mapping[str, Any], links: SourceLinks) -> list[FrameLine]:
    """The inlined functions of a frame, the innermost first, then its own."""
    number = integer_at(frame, "frame")
    module = text_at(frame, "module")
    inlined = [_line("", module, i, "inline", "", links) for i in objects_at(frame, "inlines")]
    own = str(position if number is None else number)
    return [*inlined, _line(own, module, frame, text_at(frame, "trust"), _where(frame), links)]


def _line(
    number: str, module: str, frame: Mapping[str, Any], trust: str, where: str, links: SourceLinks
) -> FrameLine:
    line = integer_at(frame, "line")
    file = text_at(frame, "file")
    shown, href = links.link(file, line) if file else ("", "")
    word, explanation = TRUSTS.get(trust, TRUSTS["none"])
    return FrameLine(
        number, module or _unloaded(frame), text_at(frame, "function"), where, shown, line, href, word,
        trust in DOUBTFUL or trust not in TRUSTS, explanation,
    )  # fmt: skip


def _where(frame: Mapping[str, Any]) -> str:
    offset = text_at(frame, "module_offset") if text_at(frame, "module") else text_at(frame, "offset")
    return re.sub(r"^0x0+(?=[0-9a-f])", "0x", offset)


def _unloaded(frame: Mapping[str, Any]) -> str:
    names = [text_at(m, "module") for m in objects_at(frame, "unloaded_modules")]
    return f"unloaded {names[0]}" if names and names[0] else ""
