"""`match_number`: what a nested map of the row has for a category and an item of it, as a number."""

from __future__ import annotations

from typing import Literal

from tfloom.feature_specs.columns._looked_up import FoundNumber, InNestedMap


class MatchNumber(FoundNumber, InNestedMap):
    """The numbers that a nested map of the row has for the row's categories and items, as one: float32 [B, 1]."""

    kind: Literal["match_number"] = "match_number"
