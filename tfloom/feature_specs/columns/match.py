"""`match`: what a nested map of the row has for a category and an item of it, as ids."""

from __future__ import annotations

from typing import Literal

from tfloom.feature_specs.columns._looked_up import FoundIds, InNestedMap


class Match(FoundIds, InNestedMap):
    """The values that a nested map of the row has for the row's categories and items, as ids.

    The ids are buckets, or indices in a vocabulary of V entries that is learned on the training split or given.
    """

    kind: Literal["match"] = "match"  # type: ignore[assignment]  # it makes ids as a vocabulary does, and is none
