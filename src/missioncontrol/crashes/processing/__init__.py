"""From a raw crash and what the stackwalker says of its dumps to a processed crash with a signature.

`process()` is a pure function: no I/O, no clock, the same answer for the same input. Whatever a client sent ends in a
document; what was wrong with it is in the notes.
"""

from missioncontrol.crashes.processing.model import MOZILLA_PRODUCTS, Processed, Settings, Walked
from missioncontrol.crashes.processing.runner import process, regenerate

__all__ = ["MOZILLA_PRODUCTS", "Processed", "Settings", "Walked", "process", "regenerate"]
