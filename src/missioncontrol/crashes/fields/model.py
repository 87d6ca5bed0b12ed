"""Fields of a processed crash: what is declared, and the three things that follow from it alone.

Pure: no file is read here. What nobody declared is protected, in raw and in processed crashes alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from missioncontrol.crashes.fields.redact import Tree, grow, prune
from missioncontrol.crashes.fields.values import convert_value

FieldType = Literal["text", "integer", "number", "bool", "object", "list", "date"]
Access = Literal["public", "protected"]
Search = Literal["", "keyword", "text", "number", "bool", "date"]

FURTHER_DUMP = "upload_file_minidump_"
"""How the names of dumps begin that stand in a processed crash under their own names."""
_OF_A_DUMP = ("json_dump", "mdsw_")
COLLECTED = ("uuid", "submitted_timestamp", "version")
"""Keys of a raw crash that the collector makes itself; they say nothing about a person."""
COLLECTED_METADATA = (
    "payload",
    "payload_compressed",
    "payload_size",
    "dump_checksums",
    "throttle_rule",
    "throttle_rate",
)
"""Keys of `metadata` that are public: nothing out of headers, no notes, which name annotations as the client did."""


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One declared field."""

    name: str
    """Its name in searches, and its key in the processed crash unless `path` says otherwise."""
    description: str
    type: FieldType = "text"
    annotation: tuple[str, ...] = ()
    """Annotations of the raw crash that it is copied from: the first one present counts. Empty: a rule makes it."""
    access: Access = "protected"
    search: Search = ""
    """How it is searched; empty: not at all."""
    facet: bool = False
    """Whether it is offered where values are counted."""
    path: str = ""
    """Where its value lies in the processed crash: keys joined by dots, `[]` after a key for each item of a list."""
    override: bool = False
    """Said by a user's file that knowingly makes public what came protected."""

    @property
    def place(self) -> str:
        """Path of the value in a processed crash."""
        return self.path or self.name


class Fields:
    """All declared fields. Immutable; `revision` is a digest of the files."""

    def __init__(self, fields: Mapping[str, Field], revision: str = "") -> None:
        self._fields = dict(fields)
        self.revision = revision
        self._copied = tuple(f for f in self._fields.values() if f.annotation)
        self._public_annotations = frozenset(self._find_public_annotations())
        places = {access: self._places(access) for access in ("public", "protected")}
        self._public_tree = grow(places["public"], places["protected"])
        self._further_tree = self._public_tree.children.get("additional_minidumps", Tree()).children.get("{}")

    def __iter__(self) -> Any:
        return iter(self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __getitem__(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        return self._fields[name]

    def get(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return self._fields.get(name)

    def copy(self, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Values of all fields that have an annotation in `raw`, by field name, and a note for each that is malformed.

        A note names annotation and problem, never the value: notes are public.
        """
        values: dict[str, Any] = {}
        notes: list[str] = []
        for field in self._copied:
            name = next((a for a in field.annotation if raw.get(a) is not None), None)
            if name is None:
                continue
            value, problem = convert_value(raw[name], field.type)
            if problem:
                notes.append(f"{name}: {problem}")
            if value is not None:
                values[field.name] = value
        return values, notes

    def raw_public(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a raw crash that needs no scope: declared public annotations and the collector's own keys."""
        allowed = self._public_annotations
        public = {k: v for k, v in raw.items() if k in allowed or k in COLLECTED}
        metadata = raw.get("metadata")
        if isinstance(metadata, dict):
            public["metadata"] = {k: v for k, v in metadata.items() if k in COLLECTED_METADATA}
        return public

    def processed_public(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a processed crash that needs no scope: fields declared public, without protected parts in them.

        Further dumps stand under their own names as well, and are reduced in the same way.
        """
        public = prune(document, self._public_tree)
        if self._further_tree is not None:
            for name, dump in document.items():
                if name.startswith(FURTHER_DUMP) and isinstance(dump, dict):
                    public[name] = prune(dump, self._further_tree)
        return public

    def _places(self, access: str) -> list[str]:
        """Paths of that access; what holds for the main dump holds for further ones."""
        places = [f.place for f in self._fields.values() if f.access == access]
        return places + [f"additional_minidumps.{{}}.{p}" for p in places if p.startswith(_OF_A_DUMP)]

    def _find_public_annotations(self) -> set[str]:
        public: set[str] = set()
        protected: set[str] = set()
        for field in self._copied:
            (public if field.access == "public" else protected).update(field.annotation)
        return public - protected
