"""A first spec, from the data: one that trains at once and is then made better by hand."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import DataError, nearest
from tfloom.feature_specs.inputs import served_name, tensor_name
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.profile import Profile
from tfloom.pipeline.sources import Data, Source, chunks, find, schema

VOCABULARY = 1_000
"""A categorical column of more values than these is hashed."""

MAX_BUCKETS = 1 << 18
INTEGERS = 32
"""Integers of at most so many different values are categories (an hour, a month, a day), others are numbers."""

FEW_INTEGERS = 20
"""A label of at most so many different integers has classes; of more, too, where they are 0, 1, 2 ... without a gap."""

CLASSES = 100
QUANTILES = 10
INDICATOR = 10
"""At most so many ids are seen one by one by the deep part, more are embedded."""

_NEAR_EVERY_ROW = 0.95
_YES_NO = {("yes", "no"), ("y", "n"), ("true", "false"), ("t", "f"), ("1", "0"), ("1", "-1"), ("positive", "negative")}


def infer(data: Data, label: str) -> FeatureSpec:
    """A spec for `data` whose column `label` is to be learned.

    Raises:
      DataError: where there is no such column, where it cannot be learned, or where nothing is left to learn it from.
    """
    return survey(data, label).spec


REMARK = "What the data alone could say: a start. Take out what is not known yet when a prediction is made."


def survey(data: Data, label: str) -> Draft:
    """As `infer`, with what was left out and why."""
    with tempfile.TemporaryDirectory() as staging:
        sources = find({None: data}, Path(staging))
        names = _shared_names(sources)
        if label not in names:
            raise DataError(f"label: the data has no column {label!r}", expected=nearest(label, names),
                            received=repr(label))  # fmt: skip
        profiles = {name: Profile() for name in names}
        for source in sources:
            for chunk in chunks(source, names):
                for name in names:
                    profiles[name].add(chunk.rows.column(name))
    target = _label(label, profiles.pop(label))
    while target["name"] != label and target["name"] in names:
        target["name"] += "_label"
    draft = _Draft({target["name"]})
    for name, profile in profiles.items():
        draft.place(name, profile)
    if not draft.columns:
        raise DataError("data: no column is left to learn from", expected="columns that tell rows apart",
                        received="; ".join(f"{k}: {v}" for k, v in draft.left_out.items())[:300])  # fmt: skip
    groups = {group: members for group, members in draft.groups.items() if members}
    spec = FeatureSpec.model_validate({
        "inputs": draft.inputs, "columns": draft.columns, "labels": [target],
        "groups": groups if set(groups) != {"images"} else {},
    })  # fmt: skip
    return Draft(spec, draft.left_out, REMARK)


def _shared_names(sources: Sequence[Source]) -> list[str]:
    of_each = [schema(source).names for source in sources]
    return [name for name in of_each[0] if all(name in names for names in of_each)]


@dataclass
class _Draft:
    """The spec as it grows. taken: the names in use. served: the inputs by what they are to TensorFlow."""

    taken: set[str]
    columns: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=lambda: {"wide": [], "deep": [], "images": []})
    left_out: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, profile: Profile) -> None:
        """Give a column of the data its columns of the spec, or the reason why it has none."""
        kind = profile.kind
        if why := _useless(kind, profile):
            self.left_out[name] = why
        elif (other := self.served.setdefault(tensor_name(served_name(name)), name)) != name:
            self.left_out[name] = f"one name with {other!r} to TensorFlow; give one of them another in the data"
        elif kind == "picture":
            height, width, channels = profile.picture_size()
            self._add("images", name, name, "image", height=height, width=width, channels=channels)
        elif kind == "number" and (profile.fractional or profile.distinct > INTEGERS) and not profile.is_list:
            if profile.words:
                self.inputs[name] = {"dtype": "float32", "na_values": sorted(profile.words)}
            missing = {"missing": "mean"} if profile.missing else {}
            column = self._add("deep", name, name, "numeric", scale="z_score", **missing)
            self._add("wide", f"{column}_q", name, "bucketized", quantiles=QUANTILES)
        else:
            self._categorical(name, profile.distinct)

    def _categorical(self, name: str, distinct: int) -> None:
        if distinct > VOCABULARY:
            # With twice as many buckets as values, 1 - exp(-1/2) = 39% of the values at most share theirs with another.
            ids = min(MAX_BUCKETS, 1 << (2 * distinct - 1).bit_length())
            column = self._add("wide", name, name, "hashed", buckets=ids)
        else:
            ids = distinct + 1
            column = self._add("wide", name, name, "vocabulary", oov_buckets=1)
        if ids <= INDICATOR:
            self._add("deep", f"{column}_in", None, "indicator", of=column)
        else:
            self._add("deep", f"{column}_vec", None, "embedded", of=column, dimension=_dimension(ids))

    def _add(self, group: str, name: str, source: str | None, kind: str, **fields: Any) -> str:
        name = stem = _legal(name)
        for n in range(2, len(self.taken) + 3):
            if name not in self.taken:
                break
            name = f"{stem}_{n}"
        self.taken.add(name)
        named = {"source": source} if source not in (None, name) else {}
        self.columns.append({"name": name, "kind": kind} | named | fields)
        self.groups[group].append(name)
        return name


def _dimension(ids: int) -> int:
    """6 * ids^(1/4), the rule of Deep & Cross (arXiv:1708.05123, section 4.2), here at most 16."""
    return min(16, round(6 * ids**0.25))


def _legal(name: str) -> str:
    """The name as a column of a spec may have it."""
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")
    return legal if legal[:1].isalpha() else f"column_{legal}".strip("_")


def _useless(kind: str, profile: Profile) -> str | None:
    """Why a column of the data is no help in learning, if it is none."""
    if kind == "time":
        return "a time; what matters of it, such as the hour or the weekday, belongs in a column of its own"
    if kind == "other":
        return f"{profile.type}, for which no kind of column is inferred"
    if kind == "picture":
        return None
    if profile.distinct == 0:
        return "no value at all"
    if profile.distinct == 1 and not profile.missing:
        return "the same value in every row"
    if kind == "number" and profile.fractional:
        return "lists of numbers, for which no kind of column is inferred" if profile.is_list else None
    if not profile.is_list and profile.distinct >= max(_NEAR_EVERY_ROW * profile.counted, INTEGERS):
        return "another value in nearly every row, as an id has"
    return None


def _label(name: str, profile: Profile) -> dict[str, Any]:
    """The label: two values are positive and negative, few are classes, other numbers are a number."""
    label = {"name": _legal(name), "missing": "drop"} | ({"source": name} if _legal(name) != name else {})
    counts = profile.counts
    is_number = profile.kind == "number" and (not profile.words or len(counts) > CLASSES)
    written: dict[str, list[str]] = {}
    for text in sorted(set(counts) - (profile.words if is_number else set()), key=lambda text: (len(text), text)):
        written.setdefault(_class(text, is_number), []).append(text)
    if is_number and len(written) > 1 and (profile.fractional or not _numbered(written)):
        low, high = min(map(float, written)), max(map(float, written))
        return label | ({"above": (low + high) / 2} if len(written) == 2 else {})
    if profile.kind not in ("number", "text") or profile.is_list or not 2 <= len(written) <= CLASSES:
        held = (
            f"{len(written)} different texts" if len(written) > 1 else f"only {', '.join(written) or 'missing values'}"
        )
        raise DataError(f"label: {name!r} cannot be learned", expected=f"numbers, or 2 to {CLASSES} different values",
                        received=held if profile.kind in ("number", "text") else f"{profile.kind} values")  # fmt: skip
    if len(written) == 2:
        positive, negative = _positive_first(
            {one: sum(counts[text] for text in texts) for one, texts in written.items()}
        )
        return label | {"positive": _plain(written[positive]), "negative": _plain(written[negative])}
    if is_number and _from_zero(written):
        return label | {"classes": len(written)}
    classes = [_plain(written[one]) for one in sorted(written, key=float if is_number else str)]
    whole = all(isinstance(one, int) for one in classes)
    return label | {"classes": classes if whole else [str(one) if isinstance(one, int) else one for one in classes]}


def _class(text: str, is_number: bool) -> str:
    """What is one class: spaces around a text and a dot at its end, as adult.test has it, make no difference."""
    return f"{float(text):.17g}" if is_number else text.strip().removesuffix(".")


def _numbered(classes: Collection[str]) -> bool:
    """Whether whole numbers are the names of classes rather than amounts."""
    return len(classes) <= FEW_INTEGERS or (len(classes) <= CLASSES and _from_zero(classes))


def _from_zero(classes: Collection[str]) -> bool:
    return {float(one) for one in classes} == set(range(len(classes)))


def _positive_first(counts: Mapping[str, int]) -> tuple[str, str]:
    """(positive, negative): the one that says yes or more, else the rarer."""
    first, second = sorted(counts, key=lambda one: (counts[one], one))
    says_no = (second.lower(), first.lower()) in _YES_NO or second.startswith(">") > first.startswith(">")
    return (second, first) if says_no else (first, second)


def _plain(texts: Sequence[str]) -> str | int | list[str]:
    """One class as a person would write it: an integer, a text, or the list of its texts."""
    if len(texts) > 1:
        return list(texts)
    return int(texts[0]) if re.fullmatch(r"0|-?[1-9]\d{0,17}", texts[0]) else texts[0]
