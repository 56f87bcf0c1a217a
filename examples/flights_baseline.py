"""The figure to compare with: scikit-learn's HistGradientBoostingClassifier on the same columns, rows and split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS

MOST_CATEGORIES = 255
"""More than HistGradientBoosting takes: the column is given as its code, a number."""


def baseline(flights: Path, spec: FeatureSpec) -> float:
    """AUC on the test split, of a model fitted on the train split with scikit-learn's defaults."""
    rows = pq.read_table(flights).combine_chunks()
    split = spec.split.assign(rows.to_batches()[0])
    table = rows.select(list(spec.input_names)).to_pandas()
    arr_delay = rows.column(spec.labels[0].source).to_pandas()
    labelled = arr_delay.notna().to_numpy()
    late = (arr_delay > 15).to_numpy()
    categorical = []
    for name in table.select_dtypes(exclude="number"):
        codes = pd.Categorical(table[name], table[name][split == 0].value_counts().index)
        table[name] = pd.Series(codes.codes, dtype="float").where(codes.codes >= 0)
        categorical.append(name) if len(codes.categories) <= MOST_CATEGORIES else None
    train, test = (labelled & (split == SPLITS.index(name)) for name in ("train", "test"))
    model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
    model.fit(table[train], late[train])
    return float(roc_auc_score(late[test], model.predict_proba(table[test])[:, 1]))
