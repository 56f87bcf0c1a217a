"""Rows in, columns out, of specs that learn nothing."""

import pyarrow as pa
import pytest

from tests.feature_specs.served import served
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.resolve import resolve


@pytest.fixture
def transform():
    """(spec, inputs by name) -> the columns of a spec that learns nothing, as lists, without a job."""

    def run(spec, **inputs):
        with raw_rows.opened(pa.table(inputs)) as sources:
            spec = resolve(spec, sources)
            ((_, done),) = raw_rows.parsed(spec, sources, labelled=False)
        return served(spec, {name: done.rows.column(name).to_pylist() for name in spec.input_names})

    return run
