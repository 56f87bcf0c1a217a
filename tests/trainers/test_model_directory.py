"""Where a run begins."""

import pytest

from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import ArtefactError
from tfloom.trainers.model_directory import open_training
from tfloom.trainers.train_spec import TrainSpec


def test_rows_that_no_trainer_reads_begin_no_run(tmp_path):
    """So that the same command goes on once there are rows of the other form."""
    (tmp_path / "transformed" / "examples").mkdir(parents=True)
    (tmp_path / "transformed" / "examples" / "train-00000-00000.parquet").touch()
    with pytest.raises(ArtefactError, match="tfloom preprocess --examples both"):
        open_training(tmp_path / "model", TransformOutput(tmp_path / "transformed"), TrainSpec(), False)
    assert [path.name for path in tmp_path.iterdir()] == ["transformed"]
