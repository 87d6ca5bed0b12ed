"""Stacks as a report shows them: sources linked, inlined functions, how far a frame can be trusted."""

from __future__ import annotations

import pytest
from tests.support.crash_stacks import document, frame, frames, state

from missioncontrol.web.crashes.frames import SourceLinks, links_of, registers_of, threads_of

HG = "hg:hg.example.org/repo/main:dom/Node.cpp:0123abcd"
OWN = "https://code.example.com/{version}/{path}#L{line}"


@pytest.mark.parametrize(
    ("file", "line", "shown", "href"),
    [
        (HG, 12, "dom/Node.cpp", "https://hg.example.org/repo/main/file/0123abcd/dom/Node.cpp#l12"),
        (HG, None, "dom/Node.cpp", "https://hg.example.org/repo/main/file/0123abcd/dom/Node.cpp"),
        (
            "git:github.com/org/repo:src/a b.rs:v1",
            3,
            "src/a b.rs",
            "https://github.com/org/repo/blob/v1/src/a%20b.rs#L3",
        ),
        ("git:gitlab.example.org/g/r:a.c:1f", 3, "a.c", "https://gitlab.example.org/g/r/-/blob/1f/a.c#L3"),
        ("git:code.example.org/r.git:a.c:1f", 3, "a.c", "https://code.example.org/r/src/1f/a.c#L3"),
        ("s3:bucket:0a1b/generated.cpp:", 3, "0a1b/generated.cpp", ""),
        ("/build/src/a.c", 3, "/build/src/a.c", ""),
        ("C:\\build\\a.cpp", 3, "C:\\build\\a.cpp", ""),
        ("hg:javascript:alert(1)//:x", 3, "alert(1)//", "https://javascript/file/x/alert%281%29//#l3"),
        ('git:x" onclick="y:a.c:1', 3, "a.c", ""),
        ("git:github.com/org/repo:../../etc:1", 3, "../../etc", ""),
    ],
)
def test_a_source_leads_to_its_repository(file: str, line: int | None, shown: str, href: str) -> None:
    assert SourceLinks().link(file, line) == (shown, href)


def test_a_plain_path_follows_the_products_template() -> None:
    found = {"product": "Otter", "version": "3.4 beta", "build": "1"}
    links = links_of(found, {"Otter": OWN})
    assert links.link("/src/den.cpp", 7)[1] == "https://code.example.com/3.4%20beta/src/den.cpp#L7"
    assert links.link("C:\\src\\den.cpp", 7)[1] == "https://code.example.com/3.4%20beta/C%3A/src/den.cpp#L7"
    assert links_of({**found, "product": "Badger"}, {"default": OWN}).template == OWN
    assert links_of(found, {"Otter": "javascript:alert({line})"}).link("a.c", 1)[1] == ""
    assert (
        links_of(found, {"Otter": "https://x/{nonsense}/{line}"}).link("a.c", 1)[1]
        == "https://x/{nonsense}/1"
    )


def test_inlined_functions_stand_before_the_one_they_are_in() -> None:
    inlines = [
        {"function": "leaf", "file": "leaf.h", "line": 1},
        {"function": "twig", "file": "leaf.h", "line": 2},
    ]
    crash = {"crashing_thread": 0, "json_dump": state([frame("branch", inlines=inlines, trust="cfi")])}
    [thread] = threads_of(crash, SourceLinks())
    assert [(line.function, line.number, line.trust) for line in thread.lines] == [
        ("leaf", "", "inlined"),
        ("twig", "", "inlined"),
        ("branch", "0", "unwind info"),
    ]
    assert thread.frames == 1


def test_trust_is_said_in_words_and_guesses_are_marked() -> None:
    trusts = ["context", "cfi", "frame_pointer", "cfi_scan", "scan", "prewalked", "none", "surprise"]
    crash = {"crashing_thread": 0, "json_dump": state([frame("f", trust=trust) for trust in trusts])}
    [thread] = threads_of(crash, SourceLinks())
    words = [line.trust for line in thread.lines]
    assert len(set(words[:7])) == 7
    assert [line.doubtful for line in thread.lines] == [False, False, False, True, True, False, True, True]
    assert all(line.explanation for line in thread.lines)


def test_a_frame_without_a_function_says_where_in_its_module_it_is() -> None:
    known = frame(None, module_offset="0x0000000000001f00")
    crash = {
        "crashing_thread": 0,
        "json_dump": state([known, frame(None, module=None, offset="0x0000000000000000")]),
    }
    [thread] = threads_of(crash, SourceLinks())
    assert [(line.module, line.where) for line in thread.lines] == [("otter", "0x1f00"), ("", "0x0")]


def test_the_crashing_thread_comes_first() -> None:
    crash = {"crashing_thread": 1, "json_dump": state(frames("idle"), frames("boom"), crashing_thread=1)}
    threads = threads_of(crash, SourceLinks())
    assert [(t.index, t.crashing, t.top) for t in threads] == [(1, True, "boom"), (0, False, "idle")]


def test_a_page_is_bounded_however_many_threads_and_frames_there_are() -> None:
    many = state(*(frames(*["f"] * 700) for _ in range(300)), crashing_thread=2)
    threads = threads_of({"crashing_thread": 2, "json_dump": many}, SourceLinks())
    assert (len(threads), threads[0].shown, threads[1].shown, threads[-1].shown) == (300, 500, 60, 0)
    assert sum(len(t.lines) for t in threads) <= 6000
    assert all(t.cut and t.top == "f" for t in threads)


def test_registers_are_those_of_the_first_frame_in_order() -> None:
    registers = {"r10": "0x1", "rip": "0x2", "r9": "0x3", "rax": "0x4", "odd": 5}
    crash = {
        "json_dump": {
            "crashing_thread": {"frames": [{"registers": registers}, {"registers": {"rip": "0x9"}}]}
        }
    }
    assert [name for name, _ in registers_of(crash)] == ["rax", "rip", "r9", "r10"]


@pytest.mark.parametrize(
    "dump",
    [
        None,
        7,
        [],
        {"threads": 5},
        {"threads": [None, {"frames": [3, {"inlines": [1], "line": "x", "file": 9}]}]},
    ],
)
def test_whatever_a_dump_gave_is_shown_or_left_out(dump: object) -> None:
    crash = {"crashing_thread": "0", "json_dump": dump}
    for thread in threads_of(crash, SourceLinks()):
        assert all(isinstance(line.function, str) for line in thread.lines)
    assert registers_of(crash) == []


def test_a_document_of_one_stack_has_one_thread() -> None:
    assert [t.top for t in threads_of(document("a", "b"), SourceLinks())] == ["a"]
