"""From a file that a person wrote to a validated value, or to an error with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import SpecError, nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

_NOT_RIGHT = "is not right"

_WORDS = {
    "a valid tuple": "a list",
    "^Tuple should have": "a list of",
    " after validation": "",
    "a valid dictionary or .*": "a mapping",
    ", (got|unable) .*": "",
    "Unable to extract tag using discriminator": "a value for",
}
"""What pydantic says of a value, in the words of one who writes YAML."""


def load(path: Path, cls: type[Model]) -> Model:
    """Read a YAML or JSON file as a `cls`. Raises SpecError with file, line and place."""
    try:
        text = storage.fetch(path).read_text(encoding="utf-8-sig")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        root = _tree(text)
    except OSError as error:
        raise SpecError(
            f"{path}: cannot be read", expected="a YAML or JSON file", received=error.strerror or str(error)
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, no such day
        reason = " ".join(str(error).split())
        raise SpecError(f"{path}: is not YAML or JSON", expected="a YAML or JSON file", received=reason) from None
    if twice := _named_twice(root):
        key, line = twice
        raise SpecError(f"{path}, line {line}: {key!r} is there already", expected="each key once", received=repr(key))
    return validate(values, cls, str(path), root)


def _tree(text: str) -> yaml.Node | None:
    """The YAML tree of a text, for its lines; None where it is JSON that YAML cannot read, such as one with tabs."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _named_twice(node: yaml.Node | None) -> tuple[str, int] | None:
    """(key, line) of a key that a mapping has already: YAML and JSON would forget what it said before."""
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, _ in node.value:
            if key.value in keys:
                return key.value, key.start_mark.line + 1
            keys.add(key.value if isinstance(key, yaml.ScalarNode) else None)
    below = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else getattr(node, "value", "")
    return next(filter(None, map(_named_twice, below)), None) if isinstance(below, list) else None


def validate(values: Any, cls: type[Model], origin: str, root: yaml.Node | None = None) -> Model:
    """Validate plain values as a `cls`; `origin` says where they came from, `root` is their YAML tree for the line."""
    if not isinstance(values, dict):
        raise SpecError(
            f"{origin}: is not a mapping", expected=nearest("", cls.model_fields), received=repr(values)[:80]
        )
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        told = explain(error, cls, values)
        line = _line(root, told.what.split(":")[0].split("."))
        raise SpecError(f"{origin}{f', line {line}' if line else ''}: {told.what}",
                        expected=told.expected, received=told.received) from None  # fmt: skip


def explain(error: ValidationError, cls: type[BaseModel], values: Any) -> SpecError:
    """What is wrong first, in three parts; `what` starts with the place in `values`, such as `columns.3.boundaries`."""
    found = [(_place(one, values), one) for one in error.errors()]
    start = found[0][0]
    # Of a value that may be one of several things each says what it lacks: the one that came furthest was meant.
    found = [(place, one) for place, one in found if place[: len(start)] == start]
    loc, first = max(found, key=lambda one: (len(one[0]), one[1]["type"] == "extra_forbidden"))
    alike = [one for place, one in found if place == loc]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        # Of the whole value there is no place below this one.
        between = (": " if inner.what == _NOT_RIGHT else ".") if loc else ""
        return SpecError(f"{'.'.join(loc)}{between}{inner.what}", expected=inner.expected, received=inner.received)
    place = ".".join(loc)
    if first["type"] == "extra_forbidden":
        fields = _fields(cls, loc[:-1])
        return SpecError(f"{place}: there is no {loc[-1]!r}", expected=nearest(loc[-1], fields), received=repr(loc[-1]))
    if first["type"] == "missing":
        return SpecError(f"{place}: is missing", expected=f"a value for {loc[-1]!r}", received="nothing")
    if first["type"] == "union_tag_invalid":
        tag, tags = first["ctx"]["tag"], first["ctx"]["expected_tags"].replace("'", "").split(", ")
        key = first["ctx"]["discriminator"].strip("'")
        return SpecError(f"{place}.{key}: there is no {tag!r}", expected=nearest(tag, tags), received=repr(tag))
    return SpecError(f"{place}: {_NOT_RIGHT}" if place else _NOT_RIGHT,
                     expected=" or ".join(dict.fromkeys(map(_expected, alike))),
                     received=repr(first["input"])[:200])  # fmt: skip


def _place(error: ErrorDetails, values: Any) -> list[str]:
    """Where it is: the parts of its `loc` that the values have, without the names of types that pydantic tried."""
    place: list[str] = []
    for part in error["loc"]:
        known = range(len(values)) if isinstance(values, list | tuple) else values
        if isinstance(known, range | Mapping) and part in known:
            place, values = [*place, str(part)], values[part]
    return [*place, str(error["loc"][-1])] if error["type"] == "missing" else place


def _expected(error: ErrorDetails) -> str:
    told = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    for of_pydantic, ours in _WORDS.items():
        told = re.sub(of_pydantic, ours, told)
    return told


def _fields(cls: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """The keys possible at a place: those of the models that its first part's annotation names."""
    if not loc or loc[0] not in cls.model_fields:
        return list(cls.model_fields)
    return [field for model in _models(cls.model_fields[loc[0]].annotation) for field in model.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in getattr(annotation, "__args__", ()) for model in _models(arg)]


def _line(node: yaml.Node | None, place: Sequence[str]) -> int | None:
    """The line, counted from 1, of the deepest part of a place that the file has; columns may be given by name."""
    line = None
    while place:
        # The name of a column may have dots.
        steps = ((end, _below(node, ".".join(place[:end]))) for end in range(len(place), 0, -1))
        end, step = next(((end, step) for end, step in steps if step), (0, None))
        if step is None:
            break
        (line, node), place = step, place[end:]
    return line


def _below(node: yaml.Node | None, part: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            name = _below(item, "name")
            if part == str(index) or (name and name[1].value == part):
                return item.start_mark.line + 1, item
    return None
