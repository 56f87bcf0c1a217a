"""Sample weights: how much each row counts."""

from __future__ import annotations

from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from tfloom.feature_specs.numbers import numbers


class Weight(BaseModel):
    """How much a row counts, in the loss and in every metric: 2 as the row twice, 0 as if it were not there.

    source: the column of the data it is made from: numbers, none below 0.
    missing: the weight of a row without one; left out, such a row is rejected.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    missing: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def weights(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        """(weight, known): float32 [rows], null where missing; known is False where a value is there but is no weight.

        That is what is no number, below 0, or infinite in float32.
        """
        read, bad = numbers(values, pa.float64())
        result = pc.cast(read, pa.float32(), safe=False)
        right = pc.and_(pc.greater_equal(result, 0), pc.is_finite(result))
        known = pc.and_(pc.invert(bad), pc.fill_null(right, True))
        if self.missing is not None:
            result = pc.if_else(pc.and_(known, pc.is_null(result)), pa.scalar(self.missing, pa.float32()), result)
        return result, known
