"""What becomes of data by a spec, told before any of it is materialised: no TensorFlow but where pictures are read."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import Data, chunks, find


@dataclass(frozen=True)
class Checked:
    """A spec that fits its data.

    spec: with every input resolved. rows: in, out, filtered, unlabelled, rejected. splits: rows out by split.
    reasons: why rows are rejected, the commonest first. labels: rows by value of each label that has classes.
    missing: rows out that lack each input.
    """

    spec: FeatureSpec
    rows: Mapping[str, int]
    splits: Mapping[str, int]
    reasons: Mapping[str, int]
    labels: Mapping[str, Mapping[str, int]]
    missing: Mapping[str, int]


def check(spec: FeatureSpec, data: Mapping[str | None, Data]) -> Checked:
    """Read all of `data`, given by split, as `preprocess` would.

    Raises:
      SpecError, DataError: where the two do not fit.
    """
    spec.check_files()
    rows: Counter[str] = Counter(dict.fromkeys(("in", "out", "filtered", "unlabelled", "rejected"), 0))
    splits: Counter[str] = Counter(dict.fromkeys(SPLITS, 0))
    reasons: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = {label.name: Counter() for label in spec.labels if label.class_names}
    with tempfile.TemporaryDirectory() as scratch:
        sources = find(data, Path(scratch), columns=spec.columns_read)
        spec = resolve(spec, sources)
        for source in sources:
            for chunk in chunks(source, spec.columns_read, spec.chunk_rows):
                done = ingest(spec, chunk)
                rows.update(done.account)
                splits.update(
                    {SPLITS[i]: int(n) for i, n in enumerate(np.bincount(done.splits, minlength=len(SPLITS)))}
                )
                reasons.update(row["reason"] for row in done.rejected)
                for name in spec.input_names:
                    lengths = np.diff(done.rows.column(name).offsets.to_numpy())
                    missing[name] += int((lengths == 0).sum())
                for label in (one for one in spec.labels if one.name in labels):
                    values = done.rows.column(label.name).flatten().to_numpy()
                    for index, name in enumerate(label.class_names):
                        has = values[index :: label.width] == 1 if label.width else values == index
                        labels[label.name][name] += int(has.sum())
    return Checked(spec, dict(rows), dict(splits), dict(reasons.most_common(20)), labels, dict(missing))
