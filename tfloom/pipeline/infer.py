"""A first spec, from the data: one that trains at once and is then made better by hand.

Sizes, boundaries and evidence come from all the data given, labels only into the evidence of suspected leaks. What is
learned from a value (means, quantiles, vocabularies) the spec leaves to the training split.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import DataError, nearest
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.leaks import Sample, suspects
from tfloom.pipeline.profile import Profile
from tfloom.pipeline.propose import Proposal, legal
from tfloom.pipeline.sources import Data, Source, chunks, find, schema

FEW_INTEGERS = 20
"""A label of at most so many different integers has classes; of more, too, where they are 0, 1, 2 ... without a gap."""

CLASSES = 100

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
        sample = Sample()
        for source in sources:
            for chunk in chunks(source, names):
                rows = chunk.sound
                sample.add(rows)
                for name in names:
                    profiles[name].add(rows.column(name))
    of_label = profiles.pop(label)
    target = _label(label, of_label)
    while target["name"] != label and target["name"] in names:
        target["name"] += "_label"
    proposal = Proposal({target["name"]})
    for name, profile in profiles.items():
        proposal.place(name, profile)
    if not proposal.columns:
        raise DataError("data: no column is left to learn from", expected="columns that tell rows apart",
                        received="; ".join(f"{k}: {v}" for k, v in proposal.left_out.items())[:300])  # fmt: skip
    proposal.suggest_places({name: profile for name, profile in profiles.items() if name not in proposal.left_out})
    groups = {group: members for group, members in proposal.groups.items() if members}
    spec = FeatureSpec.model_validate({
        "inputs": proposal.inputs, "columns": proposal.columns, "labels": [target],
        "groups": groups if set(groups) != {"images"} else {},
    })  # fmt: skip
    read = [
        name for name in spec.input_names if profiles[name].kind in ("number", "text", "time")
        and not profiles[name].is_list
    ]  # fmt: skip
    told = suspects(sample, Label.model_validate(target), read)
    notes = proposal.notes | {target["name"]: [f"{label}: {_shares(of_label)}"]}
    return Draft(spec, proposal.left_out, REMARK, notes, told)


def _shared_names(sources: Sequence[Source]) -> list[str]:
    of_each = [names for source in sources if (names := schema(source).names)] or [[]]
    return [name for name in of_each[0] if all(name in names for names in of_each)]


def _label(name: str, profile: Profile) -> dict[str, Any]:
    """The label: two values are positive and negative, few are classes, other numbers are a number."""
    label = {"name": legal(name), "missing": "drop"} | ({"source": name} if legal(name) != name else {})
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


def _shares(profile: Profile) -> str:
    """The commonest values of a label and their shares."""
    if profile.kind == "number" and len(profile.counts) > FEW_INTEGERS:
        return "numbers from {:.6g} to {:.6g}".format(*profile.numbers.values[[0, -1]])
    counts = sorted(profile.counts.items(), key=lambda one: -one[1])
    shares = [f"{rows / profile.counted:.1%} {text[:40]!r}" for text, rows in counts[:5]]
    return ", ".join(shares + ["..."] * (len(counts) > 5))


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
