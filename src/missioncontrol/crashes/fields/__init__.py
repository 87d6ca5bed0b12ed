"""The fields of a processed crash, declared once in TOML.

`load_fields()` reads and validates. From a declaration follow, with no other edit, the copy of the annotation, what a
reader without the scope `protected` may see of raw and processed crashes, and how the field can be searched.
"""

from missioncontrol.crashes.fields.load import load_fields
from missioncontrol.crashes.fields.model import Field, Fields
from missioncontrol.crashes.fields.watch import FieldsWatcher

__all__ = ["Field", "Fields", "FieldsWatcher", "load_fields"]
