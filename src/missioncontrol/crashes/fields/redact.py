"""Reduce a document to the paths that are public.

A tree is grown once from paths such as `json_dump.threads[].frames[].registers`; pruning then costs as much as what it
keeps, since a part without exceptions is taken over as it is. A document that was given is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

EACH = "[]"


class Tree(msgspec.Struct):
    """What holds at one place: `keep` for it and all below that no child speaks of."""

    keep: bool = False
    children: dict[str, Tree] = msgspec.field(default_factory=dict)


def grow(public: Iterable[str], protected: Iterable[str]) -> Tree:
    """The tree of public paths and of the protected ones inside (or outside) of them; the deeper path counts."""
    root = Tree()
    marks = [(p, True) for p in public] + [(p, False) for p in protected]
    for path, keep in sorted(marks, key=lambda mark: len(split(mark[0]))):
        _node(root, split(path)).keep = keep
    return root


def split(path: str) -> list[str]:
    """Steps of a path; `a[].b` is `a`, `[]`, `b`, and `{}` stands for any key."""
    steps: list[str] = []
    for part in path.split("."):
        each = part.endswith(EACH)
        steps.extend([part[: -len(EACH)], EACH] if each else [part])
    return steps


def _node(root: Tree, steps: list[str]) -> Tree:
    node = root
    for step in steps:
        node = node.children.setdefault(step, Tree(keep=node.keep))
    return node


def prune(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """A copy of the document that holds what the tree keeps."""
    kept = _prune(document, tree)
    return kept if isinstance(kept, dict) else {}


def _prune(value: Any, tree: Tree) -> Any:
    if not tree.children:
        return value if tree.keep else None
    # A list where an object was declared (and the reverse) is not what the declaration spoke of: it is left out.
    each = tree.children.get(EACH)
    if isinstance(value, Mapping):
        return _prune_object(value, tree) if each is None else None
    if isinstance(value, list):
        return [_prune(item, each) for item in value] if each is not None else None
    return value if tree.keep else None


def _prune_object(value: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    any_key = tree.children.get("{}")
    for key, item in value.items():
        child = tree.children.get(key, any_key)
        if child is None:
            if tree.keep:
                kept[key] = item
        elif child.children or child.keep:
            reduced = _prune(item, child)
            if reduced is not None or item is None:
                kept[key] = reduced
    return kept
