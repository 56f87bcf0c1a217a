"""tfloom's Beam engine, on any runner. Beside the columns it materialises where each row came from, as `ours`."""

from __future__ import annotations

from pathlib import Path

import tfloom
import tfloom.pipeline.engines.beam  # what a run imports, so that its time is told as that of imports
import tfloom.pipeline.preprocess

from . import prism
from .ours import SPEC


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """Materialise a file of flights. to: `tfrecord on` a runner of Beam."""
    runner = to.removeprefix("tfrecord on ")
    options = [f"--runner={runner}"]
    if runner == "PrismRunner":
        options.append(f"--prism_location={prism.program()}")
    tfloom.preprocess(tfloom.load_spec(SPEC), data, folder, overwrite=True, beam_options=options)
