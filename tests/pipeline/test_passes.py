"""How often the data is gone through: once for each phase of the analysis, and read from its source once for all."""

import contextlib
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.pipeline import PipelineVisitor

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import resolve
from tfloom.pipeline.engines import beam, beam_job
from tfloom.pipeline.sources import find

ROWS = 200
WORDS = [f"word_{i}" for i in range(4)]
NUMBERS = {"number_0": "z_score", "number_1": "min_max", "number_2": "robust", "number_3": "gaussian"}


def table():
    rng = np.random.default_rng(0)
    words = {name: pa.array([f"w{w}" for w in rng.integers(9, size=ROWS)]) for name in WORDS}
    return pa.table(words | {name: rng.normal(size=ROWS) for name in NUMBERS} | {"y": rng.integers(2, size=ROWS)})


LEARNED_AT_ONCE = [
    *({"name": name, "kind": "vocabulary", "oov_buckets": 1} for name in WORDS),
    *({"name": name, "kind": "numeric", "scale": scale, "missing": "median"} for name, scale in NUMBERS.items()),
    *({"name": f"{name}_q", "kind": "bucketized", "source": name, "quantiles": 4} for name in NUMBERS),
    *({"name": f"{name}_p", "kind": "piecewise_linear", "source": name, "bins": 4} for name in NUMBERS),
    {"name": "common", "kind": "vocabulary", "source": "word_0", "top_k": 3, "weights": "number_0"},
    {"name": "fare", "kind": "numeric", "source": "number_0", "scale": "z_score", "per_key": "word_1"},
    {"name": "pair", "kind": "crossed", "of": ["word_0", "number_0_q"], "buckets": 50},
    {"name": "raw_pair", "kind": "crossed", "of": [{"input": "word_0"}, {"input": "word_1"}], "collision_free": True},
    {"name": "word_vec", "kind": "embedded", "of": "word_0", "dimension": 2},
]
OF_WHAT_IS_LEARNED = {"name": "free", "kind": "crossed", "of": ["word_0", "number_0_q"], "collision_free": True}
"""Its combinations are known once its parts are: a second phase."""

SAID = {name: {"dtype": "string", "optional": False} for name in WORDS}
SAID |= {name: {"dtype": "float32", "optional": False} for name in NUMBERS}


class Phases(PipelineVisitor):
    """How often each phase of an analysis goes through the rows."""

    def __init__(self):
        self.found = Counter()

    def visit_transform(self, node):
        if found := re.fullmatch(r"Learn (\d+)/Count", node.full_label):
            self.found[int(found[1])] += 1

    enter_composite_transform = visit_transform


@pytest.mark.parametrize(
    ("columns", "inputs", "phases", "looks"),
    [
        (LEARNED_AT_ONCE, SAID, {1: 1}, 0),
        # The first rows are looked at, and all of them for what they leave open.
        ([*LEARNED_AT_ONCE, OF_WHAT_IS_LEARNED], {}, {1: 1, 2: 1}, 2),
    ],
    ids=["one phase", "two phases, dtypes left open"],
)
def test_passes_over_the_data(columns, inputs, phases, looks, tmp_path, monkeypatch):
    pipelines, reads = [], Counter()

    @contextlib.contextmanager
    def kept():
        with beam_job.Run(["--runner=FnApiRunner"]).pipeline() as pipeline:
            pipelines.append(pipeline)
            yield pipeline

    def counted(module, read):
        def chunks(source, *args):
            reads[module.__name__.rpartition(".")[2], source.label] += 1
            return read(source, *args)

        return chunks

    for module in (beam, resolve):
        monkeypatch.setattr(module, "chunks", counted(module, module.chunks))
    spec = FeatureSpec.model_validate({"inputs": inputs, "columns": columns, "labels": [{"name": "y", "positive": 1}]})
    sources = find({"train": table(), "test": table()}, tmp_path)
    beam.run(resolve.resolve(spec, sources), sources, str(tmp_path / "out"), "tfrecord", kept())

    visitor = Phases()
    (pipeline,) = pipelines
    pipeline.visit(visitor)
    assert visitor.found == phases
    labels = {source.label for source in sources}
    assert len(labels) == 2
    assert reads == Counter({("beam", one): 1 for one in labels}) + Counter({("resolve", one): looks for one in labels})
