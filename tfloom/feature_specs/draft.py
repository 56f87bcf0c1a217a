"""A spec that no person wrote, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from tfloom.feature_specs.spec import FeatureSpec


@dataclass(frozen=True)
class Draft:
    """A spec to start from.

    remark: a sentence about it. left_out: what is not in it, by name, and why. notes: lines about a column or a label
    of the spec, by its name. suspects: columns of the data that may be unknown when a prediction is made, and the
    evidence.
    """

    spec: FeatureSpec
    left_out: Mapping[str, str]
    remark: str
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    suspects: Mapping[str, str] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """The spec as a file, with the rest in comments."""
        lines = [self.remark]
        for what, told in (("Suspected leaks:", self.suspects), ("Left out:", self.left_out)):
            lines += [what] * bool(told) + [f"  {name}: {why}" for name, why in told.items()]
        text = self.spec.to_yaml().splitlines()
        for line, name in sorted(_items(self.spec.to_yaml()), reverse=True):
            text[line:line] = map(_comment, self.notes.get(name, ()))
        return "\n".join([*map(_comment, lines), *text]) + "\n"


def _items(text: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every column and label in the text of a spec."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    for part, items in root.value:
        if part.value in ("columns", "labels"):
            for item in items.value:
                yield item.start_mark.line, next(value.value for key, value in item.value if key.value == "name")


def _comment(line: str) -> str:
    """What is not printable would end a comment, or be no YAML."""
    return "# " + "".join(c if c.isprintable() else " " for c in line)
