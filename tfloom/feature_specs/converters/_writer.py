"""What converters share: columns are named, inputs gathered, and what cannot be said is listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from tfloom.feature_specs import spec
from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.validation import explain, validate


class RefusedError(Exception):
    """Why a column cannot be said."""


class Writer:
    """A spec that grows column by column.

    columns: the fields of each beside its name. inputs: what is said of them. left_out: what is not said, and why.
    """

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, dict[str, Any]] = {}
        self.left_out: dict[str, str] = {}
        self._weighed: dict[str, str] = {}  # by input of weights, that of the values
        self._told_of_tables: dict[str, dict[str, Any]] = {}  # by name of a shared table, what is said of it

    def add(self, name: str, told: dict[str, Any]) -> str:
        """Add a column, and give the name it has: its own as it may be written, its kind behind where that is taken.

        A column that its kind refuses is refused.
        """
        legal, kind = legal_name(name), told["kind"]
        candidates = (legal, f"{legal}_{kind}", *(f"{legal}_{kind}_{i}" for i in range(2, 1000)))
        free = next(one for one in candidates if one not in self.columns)
        if told.get("source") == free:
            told = {key: value for key, value in told.items() if key != "source"}
        cls, column = spec.kind(kind), {"name": free} | told
        try:
            cls.model_validate(column)
        except ValidationError as error:
            wrong = explain(error, cls, column)
            raise RefusedError(f"{wrong.what}, expected {wrong.expected}, received {wrong.received}") from None
        self.columns[free] = told
        return free

    def input(self, name: str, dtype: str, **told: Any) -> str:
        """Say of an input what a column needs of it; another may need something else, then it is refused."""
        wanted = {"dtype": dtype} | told
        before = self.inputs.setdefault(name, wanted)
        if before != wanted:
            raise RefusedError(f"it reads {name} as {_words(wanted)}, another column as {_words(before)}")
        return name

    def weigh(self, kind: str, source: str, weights: str) -> None:
        """Say that an input weighs the ids that a column of a kind has of another; where it cannot, it is refused."""
        if not getattr(spec.kind(kind), "one_id_a_value", False):
            raise RefusedError(f"its weights are of a column that is {kind}, without an id for each value of an input")
        if (before := self._weighed.setdefault(weights, source)) != source:
            raise RefusedError(f"its weights, {weights}, weigh {before} too")
        if source in self._weighed:
            raise RefusedError(f"its weights, {weights}, weigh {source}, which are weights themselves")

    def shared(self, name: str, told: Mapping[str, Any]) -> str:
        """The name of a table, and what a column says of it; another may say another thing, then it is refused."""
        legal = legal_name(name)
        if self._told_of_tables.setdefault(legal, {**told}) != told:
            raise RefusedError(f"it shares the table {name}, of which another column says another thing")
        return legal

    def draft(self, what: str, remark: str, groups: Mapping[str, Iterable[str]],
              labels: Iterable[Mapping[str, Any]] = ()) -> Draft:  # fmt: skip
        """The spec; `what` names what the columns should have been, for the error where there are none."""
        if not self.columns:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.left_out.items())
            raise SpecError("convert: none of the columns can be said", expected=what,
                            received=reasons[:300] or "no columns")  # fmt: skip
        columns = [{"name": name} | told for name, told in self.columns.items()]
        read = {name for told in columns for name in _inputs(told)}
        members = {group: list(dict.fromkeys(names)) for group, names in groups.items()}
        written = {
            "inputs": {name: told for name, told in self.inputs.items() if name in read}, "columns": columns,
            "labels": list(labels), "groups": {group: names for group, names in members.items() if names},
        }  # fmt: skip
        return Draft(validate(written, spec.FeatureSpec, "convert"), self.left_out, remark)


def legal_name(name: str) -> str:
    """A name as a column of a spec may have it."""
    legal = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return legal if re.match("[A-Za-z]", legal) else f"column_{legal}"


def _inputs(column: Mapping[str, Any]) -> list[str]:
    """The inputs that a written column reads."""
    if "of" not in column:
        return [column.get("source", column["name"])]
    if "weights" in column:
        return [column["weights"]]
    parts = column["of"] if isinstance(column["of"], list) else []
    return [part["input"] for part in parts if isinstance(part, dict)]


def _words(told: Mapping[str, Any]) -> str:
    return " ".join([told["dtype"], *(f"with {key} {value!r}" for key, value in told.items() if key != "dtype")])
