"""Handwritten digits as PNG files: 1,797 pictures of 8 x 8 pixels, from scikit-learn (UCI, CC BY 4.0)."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd


def write_digits(folder: str | Path) -> Path:
    """Write digits.parquet into `folder`: `id`, `image` (PNG bytes) and `digit` (0 to 9).

    Needs scikit-learn and Pillow.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = load_digits()
    pictures = []
    for pixels in data.images:
        png = io.BytesIO()
        Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(png, "PNG")
        pictures.append(png.getvalue())
    table = pd.DataFrame({"id": range(len(pictures)), "image": pictures, "digit": data.target.astype("int64")})
    path = folder / "digits.parquet"
    table.to_parquet(path, index=False)
    return path
