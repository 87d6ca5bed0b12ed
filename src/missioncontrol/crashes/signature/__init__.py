"""Signatures: one name for crashes with the same cause.

siggen is the engine; around it are lists per product that a user can edit, what it lacks, and answers to "why this
signature?" and "what would it be with other lists?".
"""

from missioncontrol.crashes.signature.compare import try_lists
from missioncontrol.crashes.signature.model import Explanation, FrameStep, RuleStep, Signature, Trial
from missioncontrol.crashes.signature.signatures import Signatures

__all__ = ["Explanation", "FrameStep", "RuleStep", "Signature", "Signatures", "Trial", "try_lists"]
