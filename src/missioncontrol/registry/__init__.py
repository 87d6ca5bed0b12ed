"""The registry: document types, dimensions, measures and applications, declared once in TOML.

`load_registry()` reads and validates; `compile_document()` turns a document into the functions that the stream and
the imports call on every ping. From a block follow, with no other edit, extraction, the column, API, menus and docs.
"""

from missioncontrol.registry.model import (
    Application,
    Check,
    Dimension,
    Document,
    Measure,
    MeasureSource,
    Registry,
)

__all__ = ["Application", "Check", "Dimension", "Document", "Measure", "MeasureSource", "Registry"]
