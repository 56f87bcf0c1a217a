"""How the values of a variable start: tf.compat.v1's initializers, by their names and with their numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator


class _Initializer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str

    @property
    def numbers(self) -> dict[str, Any]:
        """What it is called with: Keras and tf.compat.v1 have the same names for it."""
        return self.model_dump(exclude={"name"})


class TruncatedNormal(_Initializer):
    """A normal distribution, nothing beyond twice the standard deviation."""

    name: Literal["truncated_normal"]
    mean: FiniteFloat = 0.0
    stddev: Annotated[FiniteFloat, Field(gt=0)]


class RandomNormal(_Initializer):
    """A normal distribution."""

    name: Literal["random_normal"]
    mean: FiniteFloat = 0.0
    stddev: Annotated[FiniteFloat, Field(gt=0)]


class RandomUniform(_Initializer):
    """A uniform distribution between two numbers."""

    name: Literal["random_uniform"]
    minval: FiniteFloat
    maxval: FiniteFloat

    @model_validator(mode="after")
    def _increases(self) -> RandomUniform:
        if self.minval >= self.maxval:
            raise ValueError("minval must be below maxval")
        return self


class Constant(_Initializer):
    """One number everywhere."""

    name: Literal["constant"]
    value: FiniteFloat


class Zeros(_Initializer):
    """0 everywhere."""

    name: Literal["zeros"]


Initializer = Annotated[TruncatedNormal | RandomNormal | RandomUniform | Constant | Zeros, Field(discriminator="name")]
"""What a spec can say."""
