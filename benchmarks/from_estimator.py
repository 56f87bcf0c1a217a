"""Canned Estimators trained on census income, and what `tfloom convert estimator` makes of them: the same predictions?

python benchmarks/from_estimator.py [--data ../shared/data/adult] [--steps 500]

The folder holds adult.data and adult.test of UCI's Adult, CSV with a header. Each Estimator learns from adult.data;
its own SavedModel and the export of our model predict every row of adult.test.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import tfloom
from tfloom.trainers.estimator_bridge import load_estimator

FOLDER = Path("build/bench/from_estimator")
FILES = {"train": "adult.data", "test": "adult.test"}
LABEL = {"name": "rich", "source": "Y", "positive": [">50K", ">50K."]}
ESTIMATORS = {
    "LinearClassifier": {"linear": ""},
    "DNNClassifier": {"dnn": ""},
    "DNNLinearCombinedClassifier": {"linear": "linear_", "dnn": "dnn_"},
}
"""By name its parts, and how the names of their arguments begin."""


def columns() -> tuple[list[Any], list[Any]]:
    """Those of the linear part and those of the dnn part."""
    fc = tf.feature_column
    names = "age", "education-num", "capital-gain", "capital-loss", "hours-per-week"
    age, *_ = numbers = [fc.numeric_column(name) for name in names]
    hashed = [
        fc.categorical_column_with_hash_bucket(name, 100) for name in ("workclass", "native-country", "occupation")
    ]
    education = fc.categorical_column_with_vocabulary_list("education", ["HS-grad", "Bachelors"], num_oov_buckets=5)
    relationship = fc.categorical_column_with_vocabulary_list("relationship", ["Husband", "Wife", "Own-child"])
    ages = fc.bucketized_column(age, [18, 25, 30, 35, 40, 45, 50, 55, 60, 65])
    crosses = [fc.crossed_column(["education", "occupation"], 1_000), fc.crossed_column([ages, "occupation"], 1_000)]
    wide = [*hashed, education, relationship, ages, *crosses]
    deep = [*numbers, ages, *map(fc.indicator_column, (education, relationship))]
    return wide, [*deep, *(fc.embedding_column(column, 8) for column in hashed)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/adult"), help="the folder of the two files")
    parser.add_argument("--steps", type=int, default=500, help="how many steps each Estimator learns, of 256 rows")
    given = parser.parse_args()
    data = {split: given.data / name for split, name in FILES.items()}
    if missing := [str(path) for path in data.values() if not path.is_file()]:
        sys.exit(f"missing: {', '.join(missing)}\nUCI Adult, two CSV files with a header; --data names their folder")

    tf.get_logger().setLevel("ERROR")
    shutil.rmtree(FOLDER, ignore_errors=True)
    rows = [compared(name, data, given.steps) for name in ESTIMATORS]
    worst = max(row["probabilities differ by at most"] for row in rows)
    record("from_estimator", rows, {"difference of predictions from the Estimator's": (worst, "<=", 1e-6)})


def compared(name: str, data: dict[str, Path], steps: int) -> dict[str, Any]:
    """One Estimator and the model that it becomes, on every row of the test file."""
    folder, read = FOLDER / name, tf.feature_column.make_parse_example_spec([c for part in columns() for c in part])
    of_part = dict(zip(("linear", "dnn"), columns(), strict=True))
    arguments: dict[str, Any] = {}
    for part, prefix in ESTIMATORS[name].items():
        arguments[f"{prefix}feature_columns"] = of_part[part]
        if part == "dnn":
            arguments |= {f"{prefix}hidden_units": [100, 50], f"{prefix}dropout": 0.1, "batch_norm": True}
    module = load_estimator()
    estimator = getattr(module, name)(model_dir=str(folder / "model_dir"), **arguments)
    estimator.train(lambda: batches(data["train"], read), steps=steps)
    receiver = module.export.build_parsing_serving_input_receiver_fn(read)
    saved_model = estimator.export_saved_model(str(folder / "saved_model"), receiver).decode()
    serialized, _ = examples(data["test"], read)
    theirs = tf.saved_model.load(saved_model).signatures["predict"](examples=tf.constant(serialized))

    draft = tfloom.estimator_spec(saved_model, columns, LABEL)
    files = {split: str(path) for split, path in data.items()}
    transformed = tfloom.preprocess(draft.spec, files, folder / "transformed")
    converted = tfloom.convert_estimator(saved_model, columns, transformed, folder / "model")
    ours = tfloom.predict(tfloom.export(converted.model, folder / "export"), files["test"])
    probabilities = np.array(ours.column("probabilities").to_pylist())
    return {
        "estimator": name,
        "rows": len(probabilities),
        "auc": tfloom.evaluate(converted.model)["auc"],
        "left out": len(converted.left_out),
        "probabilities differ by at most": float(np.abs(probabilities - theirs["probabilities"].numpy()).max()),
        "class_ids that differ": int(
            np.sum(np.ravel(ours.column("class_ids").to_pylist()) != theirs["class_ids"][:, 0])
        ),
    }


def examples(path: Path, read: dict[str, Any]) -> tuple[list[bytes], np.ndarray]:
    """Serialized tf.Examples of the rows of a file, and whether each is rich [rows, 1]."""
    frame = pd.read_csv(path, skipinitialspace=True, keep_default_na=False)

    def told(row: dict[str, Any]) -> Iterator[tuple[str, tf.train.Feature]]:
        for name, one in read.items():
            if one.dtype == tf.string:
                yield name, tf.train.Feature(bytes_list=tf.train.BytesList(value=[row[name].encode()]))
            else:
                yield name, tf.train.Feature(float_list=tf.train.FloatList(value=[row[name]]))

    made = (tf.train.Example(features=tf.train.Features(feature=dict(told(row)))) for row in frame.to_dict("records"))
    return [one.SerializeToString() for one in made], frame["Y"].isin(LABEL["positive"]).to_numpy()[:, None]


def batches(path: Path, read: dict[str, Any]) -> tf.data.Dataset:
    data = tf.data.Dataset.from_tensor_slices(examples(path, read)).shuffle(65_536, seed=1).repeat().batch(256)
    return data.map(lambda serialized, rich: (tf.io.parse_example(serialized, read), rich))


if __name__ == "__main__":
    main()
