"""`lookup_number`: what a map of the row has for another input of it, as a number."""

from __future__ import annotations

from typing import Literal

from tfloom.feature_specs.columns._looked_up import FoundNumber, InMap


class LookupNumber(FoundNumber, InMap):
    """The numbers that a map of the row has for the row's keys, combined into one: float32 [B, 1]."""

    kind: Literal["lookup_number"] = "lookup_number"
