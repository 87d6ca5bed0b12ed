"""The made-up program that crashes in a simulation: its functions, where they lie, and its symbols.

Each build for each operating system is one large library and a small program that starts it, for x86-64. A function is
as large as every other, and every frame of it takes the same room on the stack, so that a dump can be written without a
compiler; the symbols say so, and a walker finds the way by them.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import NamedTuple

FUNCTION_BYTES = 0x400
FRAME_BYTES = 0x40
LIBRARY_BASE, PROGRAM_BASE = 0x7FF8_1000_0000, 0x7FF6_4000_0000
_FIRST = 0x1000
_LINE = 40


class Stack(NamedTuple):
    """A way to crash: functions of the library, innermost first, and how often it is the way."""

    share: float
    functions: tuple[str, ...]


_LOOP = ("event::Loop::RunOnce", "event::Loop::Run", "app::Start")
STACKS = (
    Stack(0.24, ("gfx::TextureCache::Evict", "gfx::Compositor::Paint", "ui::Window::Refresh", *_LOOP)),
    Stack(0.19, ("js::Heap::MarkChildren", "js::Heap::Collect", "js::Heap::Trim", *_LOOP)),
    Stack(0.15, ("net::Channel::OnData", "net::Socket::Poll", *_LOOP)),
    Stack(0.13, ("layout::FlowTree::Reflow", "layout::Document::Flush", "ui::Window::Refresh", *_LOOP)),
    Stack(0.11, ("ipc::Pipe::Send", "ipc::Router::Forward", *_LOOP)),
    Stack(0.10, ("storage::Cache::Commit", "storage::Queue::Run", *_LOOP)),
    Stack(0.08, ("a11y::Tree::Announce", "ui::Window::Focus", *_LOOP)),
)
REGRESSION = Stack(0.0, ("media::FrameQueue::Drop", "media::Decoder::Flush", "media::Element::Seek", *_LOOP))
"""What a release with a regression crashes in, beyond the others."""

_FUNCTIONS = tuple(dict.fromkeys(name for stack in (*STACKS, REGRESSION) for name in stack.functions))
_LIBRARIES = {
    "Windows_NT": ("xul.dll", "xul.pdb"),
    "Darwin": ("XUL", "XUL"),
    "Linux": ("libxul.so", "libxul.so"),
}
_PROGRAMS = {
    "Windows_NT": ("firefox.exe", "firefox.pdb"),
    "Darwin": ("firefox", "firefox"),
    "Linux": ("firefox", "firefox"),
}
_SYM_NAMES = {"Windows_NT": "windows", "Darwin": "mac", "Linux": "Linux"}


class Module(NamedTuple):
    """A library or program of a build, as a dump names it."""

    file: str
    debug_file: str
    guid: uuid.UUID
    base: int
    size: int

    @property
    def debug_id(self) -> str:
        """33 hexadecimal digits: the GUID, and age 1."""
        return f"{self.guid.hex.upper()}1"


def modules(build_id: str, os_name: str) -> tuple[Module, Module]:
    """Library and program of a build."""
    library, program = _LIBRARIES[os_name], _PROGRAMS[os_name]
    size = _FIRST + FUNCTION_BYTES * (len(_FUNCTIONS) + 1)
    return (
        Module(*library, _guid(build_id, os_name, "library"), LIBRARY_BASE, size),
        Module(*program, _guid(build_id, os_name, "program"), PROGRAM_BASE, 0x2000),
    )


def address(function: str) -> int:
    """Of a function, in the library."""
    return _FIRST + FUNCTION_BYTES * _FUNCTIONS.index(function)


def symbols(build_id: str, os_name: str) -> bytes:
    """The library's symbols in Breakpad's text form: functions, lines, and how to unwind."""
    library, _ = modules(build_id, os_name)
    name = library.debug_file
    lines = [f"MODULE {_SYM_NAMES[os_name]} x86_64 {library.debug_id} {name}"]
    lines += [f"FILE {n} {_source(function)}" for n, function in enumerate(_FUNCTIONS)]
    for n, function in enumerate(_FUNCTIONS):
        lines.append(f"FUNC {address(function):x} {FUNCTION_BYTES:x} 0 {function}")
        first = _LINE + 7 * n
        lines += [
            f"{address(function) + 0x100 * k:x} 100 {first + k} {n}" for k in range(FUNCTION_BYTES // 0x100)
        ]
    lines += [
        f"STACK CFI INIT {address(function):x} {FUNCTION_BYTES:x} .cfa: $rsp {FRAME_BYTES} + .ra: .cfa -8 + ^"
        for function in _FUNCTIONS
    ]
    return ("\n".join(lines) + "\n").encode()


def _source(function: str) -> str:
    folder, owner, _ = function.split("::") if function.count("::") == 2 else (*function.split("::"), "")
    return f"src/{folder}/{owner}.cpp"


def _guid(*what: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256("\0".join(what).encode()).digest()[:16])
