"""What is known of an input: what the spec says, or what the data says where it does not."""

from __future__ import annotations

import keyword
import re
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, model_validator

from tfloom.feature_specs.numbers import is_text

Dtype = Literal["float32", "int64", "string", "bytes"]


class Input(BaseModel):
    """A column of the data that columns of the spec read.

    source: the column of the data; left out, the one of its own name. So two inputs can be made of one.
    dtype: `int64`, `float32`, `string` or `bytes`; left out, the data and the kinds that read it say.
    multi_valued: any number of values a row: a list in Parquet, JSON lines or TFRecord, delimited text in CSV.
    delimiter: what separates the values of a text.
    optional: whether a row may lack it; left out, whether a row of the data does.
    na_values: texts of the data that stand for a missing value, such as "?"; they need a dtype.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str | None = None
    dtype: Dtype | None = None
    multi_valued: bool = False
    delimiter: str | None = None
    optional: bool | None = None
    na_values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _dtype_beside_na_values(self) -> Input:
        # Without it the texts themselves would make a string of the input.
        if self.na_values and self.dtype is None:
            raise ValueError("has na_values without a dtype")
        return self

    def without_na(self, values: pa.Array) -> pa.Array:
        """The values, null where they are one of `na_values`."""
        if not (self.na_values and is_text(values.type)):
            return values
        return pc.if_else(pc.is_in(values, value_set=pa.array(self.na_values, values.type)), None, values)


def served_name(name: str) -> str:
    """What a client of `serving_default` calls an input: a name that TensorFlow takes as the argument of a function.

    "hours-per-week" as it is, "home town" as home_town, "2nd" as input_2nd, "class" as input_class.
    """
    legal = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    taken = not legal[:1].isalpha() or legal == "self" or keyword.iskeyword(legal)
    return f"input_{legal}" if taken else legal


def tensor_name(served: str) -> str:
    """What two served names may not share: to TensorFlow `-` and `.` are `_`, and x is X."""
    return re.sub("[.-]", "_", served).lower()


TENSORFLOW_DTYPES: dict[Dtype | None, str] = {
    "float32": "float32",
    "int64": "int64",
    "string": "string",
    "bytes": "string",
}
"""The tf.DType of an input, by name."""
