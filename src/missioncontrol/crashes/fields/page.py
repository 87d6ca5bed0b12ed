"""The reference page of the fields, made from their declarations."""

from __future__ import annotations

from missioncontrol.crashes.fields.model import Field, Fields

_HEAD = """# Fields of a crash

Made from `src/missioncontrol/crashes/fields.toml`, where the keys of a block are explained. A file of your own with
further blocks, or with keys that change these, counts at once; a file that is wrong changes nothing and is told in the
log.

    [field.den_depth]
    description = "How deep the den was."
    annotation = "DenDepth"
    type = "integer"
    access = "public"          # without it: only for those with the scope `protected`
    search = "number"
    facet = true

Annotations that no block declares are kept in the raw crash, for those with the scope `protected`. To make public what
is protected here, a block must say `override = true`.

| field | from | type | search | who | what |
|---|---|---|---|---|---|
"""


def fields_page(fields: Fields) -> str:
    """The page in Markdown."""
    return _HEAD + "".join(_row(field) for field in fields)


def _row(field: Field) -> str:
    source = ", ".join(f"`{name}`" for name in field.annotation) or (
        f"at `{field.path}`" if field.path else ""
    )
    search = f"{field.search}, facet" if field.facet else field.search
    who = "" if field.access == "public" else "protected"
    return f"| `{field.name}` | {source} | {field.type} | {search} | {who} | {field.description} |\n"
