"""The files that benchmarks/preprocess.py reads: flights, repeated, and a wide set from a seed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfloom.data.flights import write_flights

FOLDER = Path("build/bench/preprocess")
WIDE_ROWS = 200_000


def files(times: int) -> tuple[Path, Path]:
    """(Parquet, CSV) of all flights, so many times over; each time is a row group."""
    parquet, csv = write_flights("build/demo")
    if times == 1:
        return parquet, csv

    def repeated_parquet(part: Path) -> None:
        table = pq.read_table(parquet)
        with pq.ParquetWriter(part, table.schema) as writer:
            for _ in range(times):
                writer.write_table(table)

    def repeated_csv(part: Path) -> None:
        with part.open("wb") as out:
            for time in range(times):
                with csv.open("rb") as file:
                    header = file.readline()
                    if time == 0:
                        out.write(header)
                    shutil.copyfileobj(file, out)

    return _made(f"flights_x{times}.parquet", repeated_parquet), _made(f"flights_x{times}.csv", repeated_csv)


def wide() -> Path:
    """Parquet of 100 numbers, 50 words of few and 50 codes of many, by Zipf's law; some of each are missing."""
    rng = np.random.default_rng(0)

    def text(prefix: str, exponent: float) -> pa.Array:
        drawn = rng.zipf(exponent, WIDE_ROWS) % 100_000
        return pa.array(np.char.add(prefix, drawn.astype(str)), mask=rng.random(WIDE_ROWS) < 0.02)

    def write(part: Path) -> None:
        columns = {
            f"number_{i}": pa.array(rng.normal(i, 1 + i, WIDE_ROWS), mask=rng.random(WIDE_ROWS) < 0.02)
            for i in range(100)
        }
        columns |= {f"word_{i}": text("w", 1.5) for i in range(50)}
        columns |= {f"code_{i}": text("c", 1.1) for i in range(50)}
        pq.write_table(pa.table(columns), part)

    return _made("wide.parquet", write)


def _made(name: str, write: Callable[[Path], None]) -> Path:
    """A file of FOLDER, made where it is not there."""
    path = FOLDER / name
    if not path.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{name}.part")
        write(part)
        part.rename(path)
    return path
