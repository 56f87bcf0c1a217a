"""`lookup`: what a map of the row has for another input of it, as ids."""

from __future__ import annotations

from typing import Literal

from tfloom.feature_specs.columns._looked_up import FoundIds, InMap


class Lookup(FoundIds, InMap):
    """The values that a map of the row has for the row's keys, as ids.

    The ids are buckets, or indices in a vocabulary of V entries that is learned on the training split or given.
    """

    kind: Literal["lookup"] = "lookup"  # type: ignore[assignment]  # it makes ids as a vocabulary does, and is none
