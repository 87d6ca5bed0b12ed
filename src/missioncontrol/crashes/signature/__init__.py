"""Signatures: one name for crashes with the same cause.

siggen is the engine; around it are lists per product that a user can edit, what it lacks, and answers to "why this
signature?" and "what would it be with other lists?".
"""

from missioncontrol.crashes.signature.compare import compare, try_lists
from missioncontrol.crashes.signature.model import (
    Change,
    Comparison,
    Explanation,
    FrameStep,
    RuleStep,
    Signature,
    Trial,
)
from missioncontrol.crashes.signature.signatures import Signatures

__all__ = [
    "Change",
    "Comparison",
    "Explanation",
    "FrameStep",
    "RuleStep",
    "Signature",
    "Signatures",
    "Trial",
    "compare",
    "try_lists",
]
