"""Labels: from a column of the data to the target a head learns."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfloom.feature_specs.column import Name
from tfloom.feature_specs.numbers import is_missing
from tfloom.feature_specs.numbers import numbers as read_numbers
from tfloom.feature_specs.values import Value, group_of, repeated, spellings, texts

Values = Value | Annotated[tuple[Value, ...], Field(min_length=1)]


class Label(BaseModel):
    """What is to be predicted: one of two with `above` or `positive`, a class with `classes`, else a number.

    With `multi_label` it is any number of the classes.

    name: what it is called in the transform output; no column has this name, and no input that columns read.
    source: the column of the data it is made from; left out, the one of its own name.
    above: 1 where the number is greater, else 0.
    positive: 1 where the value is this one, or one of these; else 0. `true` is what YAML reads as true (true, yes,
      on), and 1.
    negative: beside `positive`, all that is 0; a value that is neither is rejected.
    classes: how many, for values that are their index from 0; or their names in order, for values that name one. A
      list among the names: the ways one class is written, its name first.
    multi_label: whether a row has any number of `classes`: a list, where an empty one is none of them, or a text.
    delimiter: what separates the classes of a text, `|` where left out.
    missing: what becomes of a row without a value: `drop` (not materialised, counted as unlabelled), `reject`, or
      `keep` (materialised with NaN or -1, for prediction; trainers leave it out).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Name
    source: str | None = None
    above: float | None = None
    positive: Values | None = None
    negative: Values | None = None
    classes: Annotated[int, Field(ge=2)] | Annotated[tuple[Values, ...], Field(min_length=2)] | None = None
    multi_label: bool = False
    delimiter: Annotated[str, Field(min_length=1)] | None = None
    missing: Literal["drop", "keep", "reject"] = "reject"

    @model_validator(mode="after")
    def _one_rule(self) -> Label:
        rules = [r for r in ("above", "positive", "classes") if getattr(self, r) is not None]
        if len(rules) > 1:
            raise ValueError(f"has {' and '.join(rules)}, at most one of above, positive and classes is possible")
        if self.negative is not None and self.positive is None:
            raise ValueError("has negative without positive")
        if self.multi_label and self.classes is None:
            raise ValueError("has multi_label without classes")
        if self.delimiter is not None and not self.multi_label:
            raise ValueError("has a delimiter without multi_label")
        for value in repeated(self._groups):
            among = "its classes" if self.classes else "positive and negative"
            raise ValueError(f"names {value!r} more than once among {among}")
        return self

    @property
    def _groups(self) -> list[tuple[Value, ...]]:
        """The values that are named, by target; none where the target is a number of the data."""
        if isinstance(self.classes, tuple):
            return [_as_tuple(c) for c in self.classes]
        return [] if self.positive is None else [_as_tuple(self.negative), _as_tuple(self.positive)]

    @property
    def input(self) -> str:
        """The column of the data it is made from."""
        return self.source or self.name

    @property
    def task(self) -> Literal["binary_classification", "multiclass_classification", "multi_label", "regression"]:
        """The head that learns it where the train spec names none."""
        if self.above is not None or self.positive is not None:
            return "binary_classification"
        if self.multi_label:
            return "multi_label"
        return "multiclass_classification" if self.classes is not None else "regression"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the target; empty for a number."""
        if isinstance(self.classes, int):
            return tuple(str(i) for i in range(self.classes))
        if self.classes is not None:
            return tuple(spellings(names[0])[0] for names in self._groups)
        return ("0", "1") if self.task == "binary_classification" else ()

    @property
    def width(self) -> int | None:
        """How many numbers a target has, one for each class; None where it is a number or the index of a class."""
        return len(self.class_names) if self.multi_label else None

    def targets(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        """(target, known): float32 for a number, else int64 [rows]; null where missing.

        With `multi_label` a target is a list of `width`, 1 for each class that a row has and 0 for the others.
        `known` is False where a value is there but is none that the label names, or no number.
        """
        return self._several(values) if self.multi_label else self._one(values)

    def _several(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        if not pa.types.is_nested(values.type):
            missing = pc.and_(is_missing(values), pc.is_null(self._one(values)[0]))  # a class may be called none
            values = pc.if_else(missing, None, texts(values))
            values = pc.split_pattern(values, self.delimiter or "|")
        rows, flat = np.asarray(pc.list_parent_indices(values)), values.flatten()
        found, known = self._one(pc.utf8_trim_whitespace(flat) if pa.types.is_string(flat.type) else flat)
        classes, there = pc.fill_null(found, -1).to_numpy(), np.asarray(pc.is_valid(found))
        hot = np.zeros((len(values), len(self.class_names)), np.int64)
        hot[rows[there], classes[there]] = 1
        every = np.ones(len(values), bool)
        every[rows[~np.asarray(known)]] = False
        return pa.FixedSizeListArray.from_arrays(hot.reshape(-1), hot.shape[1], mask=pc.is_null(values)), pa.array(
            every
        )

    def _one(self, values: pa.Array) -> tuple[pa.Array, pa.Array]:
        missing = is_missing(values)
        if self._groups:
            target = group_of(values, self._groups)
            missing = pc.and_not(missing, pc.is_valid(target))  # a class may be called none
            if self.positive is not None and self.negative is None:
                target = pc.if_else(missing, None, pc.fill_null(target, 0))
            return target, pc.or_(missing, pc.is_valid(target))
        numbers, bad = read_numbers(values, pa.float64())
        known = pc.invert(bad)
        if self.above is not None:
            return pc.cast(pc.greater(numbers, self.above), pa.int64()), known
        if self.classes is not None:
            inside = pc.and_(pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, self.classes)),
                             pc.equal(pc.floor(numbers), numbers))  # fmt: skip
            target = pc.if_else(pc.fill_null(inside, False), numbers, None)
            return pc.cast(target, pa.int64()), pc.or_(missing, pc.is_valid(target))
        target = pc.cast(numbers, pa.float32())
        return target, pc.and_(known, pc.fill_null(pc.is_finite(target), True))


def _as_tuple(value: Value | tuple[Value, ...] | None) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
