"""A spec that no person wrote, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tfloom.feature_specs.spec import FeatureSpec


@dataclass(frozen=True)
class Draft:
    """A spec to start from.

    remark: a sentence about it. left_out: what is not in it, by name, and why.
    """

    spec: FeatureSpec
    left_out: Mapping[str, str]
    remark: str

    def to_yaml(self) -> str:
        """The spec as a file, with what it leaves out in comments."""
        lines = [self.remark]
        lines += ["Left out:"] * bool(self.left_out)
        lines += [f"  {' '.join(name.split())}: {why}" for name, why in self.left_out.items()]
        return "".join(f"# {line}\n" for line in lines) + self.spec.to_yaml()
