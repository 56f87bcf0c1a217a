"""What becomes of a column of the data in a first spec: its columns of the spec, or why it has none."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
import yaml

from tfloom.feature_specs.inputs import served_name, tensor_name
from tfloom.pipeline.profile import DISTINCT, Numbers, Profile

VOCABULARY = 1_000
"""A categorical column of more values than these is hashed, unless so many of them nearly fill it."""

NEARLY_ALL = 0.95
MAX_BUCKETS = 1 << 18
INTEGERS = 32
"""Integers of at most so many different values are categories (an hour, a month, a day), others are numbers."""

QUANTILES = 10
INDICATOR = 32
"""At most so many ids are seen one by one by the deep part, more are embedded."""

NOTED_MISSING = 0.01
"""Where so many rows lack a number, that it is missing is a number of its own."""

SKEWED = 1.5
LONG_TAILED = 12.0
"""A kurtosis; a normal distribution has 3, Laplace's 6."""

WORDS_A_TEXT = 4

_ID = 0.95
_LATITUDE, _LONGITUDE = ("latitude", "lat"), ("longitude", "lng", "long", "lon")


@dataclass
class Proposal:
    """The columns of a spec as they are proposed.

    taken: the names in use. groups: what the wide, the deep and the image part read. left_out: why a column of the
    data is not in it. notes: lines about a column of the spec, by name. served: the inputs by what they are to
    TensorFlow.
    """

    taken: set[str]
    columns: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=lambda: {"wide": [], "deep": [], "images": []})
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, profile: Profile) -> None:
        """Give a column of the data its columns of the spec, or the reason why it has none."""
        if why := _useless(profile):
            self.left_out[name] = why
            return
        if (other := self.served.setdefault(tensor_name(served_name(name)), name)) != name:
            self.left_out[name] = f"one name with {other!r} to TensorFlow; give one of them another in the data"
            return
        first = len(self.columns)
        if profile.kind == "picture":
            height, width, channels = profile.picture_size()
            self._add("images", name, name, "image", height=height, width=width, channels=channels)
        elif profile.kind == "time":
            self._time(name, profile)
        elif profile.kind == "number" and not profile.is_list and (profile.fractional or profile.distinct > INTEGERS):
            self._number(name, profile)
        else:
            self._categorical(name, profile)
        self.notes[self.columns[first]["name"]] = [f"{name}: {_evidence(profile)}"]

    def _number(self, name: str, profile: Profile) -> None:
        if profile.words:
            self.inputs[name] = {"dtype": "float32", "na_values": sorted(profile.words)}
        found = profile.numbers
        number, share = found.commonest
        shape = _shape(found)
        missing: dict[str, Any] = {}
        if profile.missing:
            missing["missing"] = "median" if shape.get("log1p") else "mean"
            if profile.missing_share >= NOTED_MISSING:
                missing["indicator"] = True
        column = self._add("deep", name, name, "numeric", **shape, **missing)
        # Of quantiles those that lie on one value count once: where a value has more than half the rows its own bucket
        # and quantiles of the others tell rows apart.
        edges = _boundaries(found, number) if share > 0.5 else []
        buckets = {"boundaries": edges} if edges else {"quantiles": QUANTILES}
        binned = self._add("wide", f"{column}_q", name, "bucketized", **buckets)
        self._add("deep", f"{binned}_in", None, "indicator", of=binned)

    def _categorical(self, name: str, profile: Profile) -> None:
        distinct, common = profile.distinct, 0
        if not profile.is_list and profile.kind == "text" and (delimiter := profile.delimiter):
            self.inputs[name] = {"dtype": "string", "delimiter": delimiter}
            distinct = len(profile.parts(delimiter))
        elif distinct > VOCABULARY:
            common = _nearly_all(profile)
        if distinct > VOCABULARY and not common:
            # With twice as many buckets as values, 1 - exp(-1/2) = 39% of the values at most share theirs with another.
            ids = min(MAX_BUCKETS, 1 << (2 * distinct - 1).bit_length())
            column = self._add("wide", name, name, "hashed", buckets=ids)
        else:
            ids = (common or distinct) + 1
            column = self._add("wide", name, name, "vocabulary", **({"top_k": common} if common else {}), oov_buckets=1)
        if ids <= INDICATOR:
            self._add("deep", f"{column}_in", None, "indicator", of=column)
        else:
            self._add("deep", f"{column}_vec", None, "embedded", of=column, dimension=_dimension(ids))

    def _time(self, name: str, profile: Profile) -> None:
        """Where a time stands in the day, the week and the year, as far as the data tells, and how late it is."""
        first, last = pc.min_max(profile.times).as_py().values()
        whole_days = all(time.time() == datetime.time() for time in profile.times.to_pylist())
        days = max((last - first).days, 1)
        parts = [*["month"] * (days > 60), *["weekday"] * (days > 3), *["hour"] * (not whole_days)]
        missing = {"missing": 0} if profile.missing else {}
        stem = legal(name)
        if parts:
            self._add("deep", f"{stem}_cycles", name, "date", parts=parts, cyclical=True, **missing)
        for part in parts:
            self._add("wide", f"{stem}_{part}", name, "date_part", part=part)
        day = first.date().isoformat()
        since = self._add(None, f"{stem}_days", name, "date", since=day, **({"missing": days / 2} if missing else {}))
        # From 0 to 1 in the data: days would be too large for a network.
        named = since if since.isidentifier() else f"`{since}`"
        self._add("deep", f"{since}_share", None, "expression", of=f"{named} / {days}", missing=0)

    def _add(self, group: str | None, name: str, source: str | None, kind: str, **fields: Any) -> str:
        name = stem = legal(name)
        for n in range(2, len(self.taken) + 3):
            if name not in self.taken:
                break
            name = f"{stem}_{n}"
        self.taken.add(name)
        named = {"source": source} if source not in (None, name) else {}
        self.columns.append({"name": name, "kind": kind} | named | fields)
        if group:
            self.groups[group].append(name)
        return name

    def suggest_places(self, profiles: Mapping[str, Profile]) -> None:
        """Note what could be made of latitudes and longitudes: what they are near to is not in the data."""
        pairs = [(a, b) for a in profiles for b in profiles if _are_a_place(a, b, profiles)]
        first = {c.get("source", c["name"]): c["name"] for c in reversed(self.columns)}
        for i, pair in enumerate(pairs):
            made = [_cell(pair, profiles)] + [
                {"name": f"{legal(pair[0])}_to_{legal(to[0])}", "kind": "geo_distance", "source": [*pair],
                 "to": [*to], "missing": 0}
                for to in pairs[i + 1 :]
            ]  # fmt: skip
            notes = [f"{pair[0]}, {pair[1]}: a place, of which could be made", *map(_line, made)]
            self.notes[first[pair[0]]] = notes + self.notes[first[pair[0]]]


def _cell(pair: tuple[str, str], profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """A grid of about 30 by 30 cells over the places of nearly all rows."""
    bounds = [profiles[name].numbers.quantiles(200) for name in pair]
    degrees = float(f"{max(edges[-1] - edges[0] for edges in bounds) / 30 or 1:.1g}")
    south_north, west_east = (
        [round(math.floor(edges[0] / degrees) * degrees, 9), round(math.ceil(edges[-1] / degrees) * degrees, 9)]
        for edges in bounds
    )
    return {"name": f"{legal(pair[0])}_cell", "kind": "geo_cell", "source": [*pair], "degrees": degrees,
            "latitude": south_north, "longitude": west_east}  # fmt: skip


def _useless(profile: Profile) -> str | None:
    """Why a column of the data is no help in learning, if it is none."""
    kind = profile.kind
    if kind == "other":
        return f"{profile.type}, for which no kind of column is inferred"
    if kind == "picture":
        return None
    if profile.distinct == 0 or (kind == "number" and not len(profile.numbers.values)):
        return "no value at all"
    if profile.distinct == 1 and not profile.missing:
        return "the same value in every row"
    if kind == "time":
        return "lists of times, for which no kind of column is inferred" if profile.is_list else None
    if kind == "number" and profile.fractional:
        return "lists of numbers, for which no kind of column is inferred" if profile.is_list else None
    if kind == "text" and profile.words_a_text >= WORDS_A_TEXT and 2 * profile.distinct > profile.counted:
        return f"free text, about {profile.words_a_text:.0f} words each: a kind of column that reads words may help"
    if not profile.is_list and profile.distinct >= max(_ID * profile.counted, INTEGERS):
        return f"distinct in {_percent(profile.distinct / profile.counted)} of rows, as an id is"
    return None


def _shape(found: Numbers) -> dict[str, Any]:
    """How a number is scaled: its logarithm where it is skewed, as a normal one where both of its tails are long."""
    skewness = found.moment(3)
    if found.values[0] >= 0 and skewness > SKEWED and abs(found.moment(3, np.log1p)) < skewness:
        return {"log1p": True, "scale": "z_score"}
    return {"scale": "gaussian" if abs(skewness) <= SKEWED and found.moment(4) > LONG_TAILED else "z_score"}


def _boundaries(found: Numbers, commonest: float) -> list[float]:
    """Boundaries between which lie the commonest number alone, and about as many rows each of the others."""
    others = found.without(commonest)
    if not len(others.values):
        return []
    edges = np.array([commonest, *others.values[others.values > commonest][:1], *others.quantiles(2 * QUANTILES)])
    # As float32 compares them, in the fewest digits.
    return [float(str(edge)) for edge in np.unique(np.append(found.values[0], edges).astype(np.float32))[1:]]


def _nearly_all(profile: Profile) -> int:
    """How many values of a large vocabulary have NEARLY_ALL of the rows, where VOCABULARY at most do; else 0."""
    counts = np.sort(np.fromiter(profile.counts.values(), np.int64))[::-1]
    enough = int(np.searchsorted(np.cumsum(counts), NEARLY_ALL * counts.sum())) + 1
    return enough if enough <= VOCABULARY and profile.distinct <= DISTINCT else 0


def _dimension(ids: int) -> int:
    """6 * ids^(1/4), the rule of Deep & Cross (arXiv:1708.05123, section 4.2), here at most 16."""
    return min(16, round(6 * ids**0.25))


def legal(name: str) -> str:
    """The name as a column of a spec may have it."""
    legal = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")
    return legal if legal[:1].isalpha() else f"column_{legal}".strip("_")


def _are_a_place(latitude: str, longitude: str, profiles: Mapping[str, Profile]) -> bool:
    """Whether they are named as the two parts of one place, such as pickup_lat and pickup_lon, and are degrees."""
    rest = _rest(latitude, _LATITUDE)
    if rest is None or rest != _rest(longitude, _LONGITUDE):
        return False
    found = {90: profiles[latitude], 180: profiles[longitude]}
    return all(
        one.kind == "number" and one.fractional and not one.is_list and np.abs(one.numbers.values).max() <= bound
        for bound, one in found.items()
    )


def _rest(name: str, words: tuple[str, ...]) -> list[str] | None:
    """The parts of a name without that one which is one of the words; None where none is, or several are."""
    parts = re.split(r"([^a-z]+)", name.lower())
    rest = [part for part in parts if part not in words]
    return rest if len(rest) == len(parts) - 1 else None


# -- comments ---------------------------------------------------------------------------------------------------------


def _evidence(profile: Profile) -> str:
    """What the data says of a column, in a line."""
    if profile.kind == "picture":
        return "pictures, of the size of the first"
    told = [{"number": "numbers" if profile.fractional else "whole numbers", "time": "times"}.get(profile.kind, "text")]
    if profile.kind == "number":
        low, high = profile.numbers.values[[0, -1]]
        told[0] += f" from {low:.6g} to {high:.6g}"
    elif profile.kind == "time":
        told[0] += " from {min} to {max}".format(**pc.min_max(profile.times).as_py())
    more = "more than " if profile.distinct > DISTINCT else ""
    told.append(f"{more}{min(profile.distinct, DISTINCT):,} different")
    if profile.kind != "time" and profile.counts:
        commonest, rows = max(profile.counts.items(), key=lambda one: one[1])
        if 10 * rows >= profile.counted:
            told.append(f"{_percent(rows / profile.counted)} are {commonest[:40]!r}")
    if profile.missing_share > 0:
        told.append(f"{_percent(profile.missing_share)} missing")
    return ", ".join(told)


def _percent(share: float) -> str:
    """100% of all alone, and 0% of none."""
    return f"{min(max(share, 0.001), 0.999):.1%}" if 0 < share < 1 else f"{share:.0%}"


def _line(column: Mapping[str, Any]) -> str:
    """A column as a line of a spec."""
    text: str = yaml.safe_dump(dict(column), sort_keys=False, width=10_000, default_flow_style=True)
    return f"- {text.strip()}"
