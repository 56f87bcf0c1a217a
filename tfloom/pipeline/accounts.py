"""What became of every row of a job: summed up over its chunks, each rejected row with its place."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfloom.pipeline.sources import FORMATS, Source

_log = logging.getLogger(__name__)


def check(rows: Mapping[str, int]) -> None:
    """Raise AssertionError unless every row that was read is accounted for."""
    if rows["in"] != rows["out"] + rows["filtered"] + rows["unlabelled"] + rows["rejected"]:
        raise AssertionError(f"rows are lost: {rows}")


def reasons(folder: Path) -> dict[str, int]:
    """Those for which most rows of a job are rejected, and how many."""
    found: Counter[str] = Counter()
    for file in (folder / "rejected").glob("*.jsonl"):
        found.update(json.loads(line)["reason"] for line in file.read_text().splitlines())
    return dict(found.most_common(20))


def place(sources: Sequence[Source], folder: Path) -> None:
    """Give each rejected row its line or its offset, for which a file is read again where there are any."""
    for source in sources:
        of_format = FORMATS[source.format]
        files = sorted(folder.glob(f"{source.index:05d}-*.jsonl"))
        entries = {file: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
        rejected = [entry for of in entries.values() for entry in of]
        for entry in rejected:
            if entry["origin"] == source.label and entry["line"] is None:  # the one that ends the file
                _log.warning("%s: %s", source.place, entry["reason"])
        if not rejected or not hasattr(of_format, "places"):
            continue
        rows = {row for entry in rejected if (row := _row(entry, source)) is not None}
        of_rows, of_records = of_format.places(source.path, rows, {entry["line"] for entry in rejected} - {None})
        for file, of in entries.items():
            for entry in of:
                if (row := _row(entry, source)) is not None:
                    entry[of_format.PLACE] = of_rows[row]
                elif entry["line"] is not None:
                    entry["line"] = of_records[entry["line"]]
            file.write_text("".join(json.dumps(entry) + "\n" for entry in of))


def _row(entry: Mapping[str, Any], source: Source) -> int | None:
    return None if entry["origin"] == source.label else int(entry["origin"].rpartition(":")[2])


def compare(counts: Mapping[str, int], rows: Mapping[str, int]) -> None:
    """Say where Beam's counters differ from the accounts, which count.

    A bundle that was tried again is counted again, while its chunks' accounts are written over by the same.
    """
    differing = [f"{name} {counts.get(name, 0):,} ({n:,})" for name, n in rows.items() if counts.get(name, 0) != n]
    if counts and differing:
        _log.warning("rows: Beam counts %s; what the accounts of the chunks say, in brackets, is so, for Beam counts a "
                     "bundle again that is tried again", ", ".join(differing))  # fmt: skip
