"""From bytes of JSON to the values at declared paths, and nothing else of the ping.

The paths of a document type become nested msgspec Structs, so that whatever is not declared is skipped without being
built. When a ping does not fit them (a wrong type, an explicit null, a lone surrogate), the same paths are read from
a plain decode, where each value is judged by itself: one odd histogram never costs the rest of the ping.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from enum import Enum
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from missioncontrol.errors import ConfigError
from missioncontrol.registry.paths import split_path

MAX_COUNT = 2**40
"""Counts of one ping above this are refused: eight million such pings still add up within 64 bits."""

_BUCKET = re.compile(r"-?[0-9]{1,18}").fullmatch


class Shape(Enum):
    """What is expected at a path."""

    SCALAR = "scalar"
    """Text, number, boolean or null."""
    BUCKETS = "buckets"
    """Object of bucket (integer as text) -> count."""
    BRANCHES = "branches"
    """Object of experiment id -> {branch}."""
    ANY = "any"
    """Anything; taken as plain Python objects."""
    PRESENT = "present"
    """Only whether there is something other than null."""


class Wrong:
    """Stands in for a value of another type or range than its path declares."""

    def __repr__(self) -> str:
        return "WRONG"


WRONG: Final = Wrong()


class WrongCounts(Wrong):
    """Stands in for buckets of which some hold no possible count: a sum is wrong, another bucket is not."""

    def __init__(self, counts: dict[int, int | Wrong]) -> None:
        self.counts = counts


class NotJson(ValueError):
    """The body is no JSON object; the text says why."""


class TooDeep(ValueError):
    """The body nests deeper than any real ping."""


class Branch(msgspec.Struct, frozen=True):
    """An experiment as a ping lists it."""

    branch: str | None = None


_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
_TYPES: dict[Shape, Any] = {
    Shape.SCALAR: str | int | float | bool | None,
    Shape.BUCKETS: dict[int, _Count] | None,
    Shape.BRANCHES: dict[str, Branch] | None,
    Shape.ANY: Any,
    Shape.PRESENT: Any,
}


class Decoder:
    """Reads the values at `paths` from a body, in the order in which `leaf()` handed out their indexes."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._index: dict[tuple[str, ...], int] = {}
        self._decode: Callable[[bytes | memoryview], Any] | None = None
        self._leaves: Callable[[Any], tuple[Any, ...]] = lambda _: ()
        self._nodes: dict[int, Any] = {}

    def leaf(self, path: str | tuple[str, ...], shape: Shape) -> int:
        """Declare that the value at `path` is wanted; returns its index in the tuple of values."""
        keys = split_path(path) if isinstance(path, str) else path
        known = self._shapes.get(keys)
        if known in (None, Shape.PRESENT):
            self._shapes[keys] = shape
        elif shape not in (Shape.PRESENT, known):
            raise ConfigError(
                "registry_invalid", f"`{'.'.join(keys)}` is declared both as {known} and as {shape}."
            )
        return self._index.setdefault(keys, len(self._index))

    def compile(self) -> None:
        """Build the Structs; call once, after the last `leaf()`."""
        tree: dict[str, Any] = {}
        for keys in self._shapes:
            node = tree
            for key in keys:
                node = node.setdefault(key, {})
        root, attributes = self._struct((), tree)
        self._decode = msgspec.json.Decoder(root).decode
        # Two names more than needed: attrgetter gives a tuple only for two and more.
        self._leaves = attrgetter("__class__", "__class__", *[attributes[keys] for keys in self._index])

    def values(self, body: bytes | memoryview) -> tuple[Any, ...]:
        """The values at the declared paths: None where absent or null, WRONG where they do not fit.

        Raises NotJson or TooDeep when the body as a whole cannot be read.
        """
        assert self._decode is not None
        try:
            values = self._leaves(self._decode(body))[2:]
        except msgspec.DecodeError:
            return self._lenient(body)
        except RecursionError:
            raise TooDeep("nested too deeply") from None
        if self._nodes:
            return tuple(
                (None if v is self._nodes[i] else v) if i in self._nodes else v for i, v in enumerate(values)
            )
        return values

    def _struct(
        self, prefix: tuple[str, ...], tree: dict[str, Any]
    ) -> tuple[Any, dict[tuple[str, ...], str]]:
        """A Struct for the children of a node, and the attribute path of every declared path below it."""
        fields: list[Any] = []
        names: dict[str, str] = {}
        attributes: dict[tuple[str, ...], str] = {}
        for number, (key, children) in enumerate(tree.items()):
            keys, attribute = (*prefix, key), f"f{number}"
            names[attribute] = key
            if not children:
                fields.append((attribute, _TYPES[self._shapes[keys]], None))
                attributes[keys] = attribute
                continue
            if self._shapes.get(keys, Shape.PRESENT) is not Shape.PRESENT:
                raise ConfigError("registry_invalid", f"`{'.'.join(keys)}` is both a value and an object.")
            kind, below = self._struct(keys, children)
            empty = kind()
            fields.append((attribute, kind, msgspec.field(default_factory=_always(empty))))
            attributes.update({path: f"{attribute}.{name}" for path, name in below.items()})
            if keys in self._shapes:
                attributes[keys] = attribute
                self._nodes[self._index[keys]] = empty
        return msgspec.defstruct("Ping", fields, rename=names, frozen=True, gc=False), attributes

    def _lenient(self, body: bytes | memoryview) -> tuple[Any, ...]:
        try:
            ping = json.loads(bytes(body), parse_constant=no_constant)
        except RecursionError:
            raise TooDeep("nested too deeply") from None
        except ValueError as error:
            raise NotJson(str(error)) from None
        if not isinstance(ping, dict):
            raise NotJson(f"a ping is a JSON object, this is {type(ping).__name__}")
        return tuple(_find(ping, keys, self._shapes[keys]) for keys in self._index)


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def no_constant(name: str) -> Any:
    """For `json.loads(parse_constant=...)`: NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is no JSON")


def _find(ping: Any, keys: Iterable[str], shape: Shape) -> Any:
    node = ping
    for key in keys:
        if node is None:
            return None
        if not isinstance(node, dict):
            return WRONG
        node = node.get(key)
    if node is None:
        return None
    if shape is Shape.SCALAR:
        return node if isinstance(node, str | int | float | bool) else WRONG
    if shape is Shape.BUCKETS:
        return _buckets(node)
    if shape is Shape.BRANCHES:
        return _branches(node)
    return node


def _buckets(node: Any) -> Any:
    """Bucket counts; a key that is no integer is passed over with its count."""
    if not isinstance(node, dict):
        return WRONG
    buckets = {int(key): _count(count) for key, count in node.items() if _BUCKET(key)}
    return WrongCounts(buckets) if WRONG in buckets.values() else buckets


def _count(value: Any) -> int | Wrong:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
    return value if is_count else WRONG


def _branches(node: Any) -> Any:
    if not isinstance(node, dict):
        return WRONG
    found = {}
    for experiment, entry in node.items():
        branch = entry.get("branch") if isinstance(entry, dict) else None
        found[experiment] = Branch(branch if isinstance(branch, str) else None)
    return found
