"""Video: how fast clips become rows.

python benchmarks/video.py [--clips GLOB]

Clips are made where none are named.
"""

from __future__ import annotations

import argparse
import glob
from pathlib import Path

from _record import record
from _video_ingest import clips, ingest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="video files to read instead, a glob")
    given = parser.parse_args().clips
    rows = ingest(sorted(glob.glob(given)) if given else clips(Path("build/bench/clips")))
    (ours,) = (row for row in rows if row["side"] == "tfloom")
    record("video", rows, {"ingest_over_pyav": (ours["over_pyav"], "<=", 1.2)})


if __name__ == "__main__":
    main()
