"""Prism, Beam's runner in Go, of Beam's own version: built once by the Go client, and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import apache_beam

PACKAGE = "github.com/apache/beam/sdks/v2/go/cmd/prism"


def program() -> Path | None:
    """None where there is no Go."""
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    version = apache_beam.__version__
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tfloom" / f"prism-{version}"
    if go and not (folder / "prism").exists():
        subprocess.run([go, "install", f"{PACKAGE}@v{version}"], env=os.environ | {"GOBIN": str(folder)}, check=True)
    return folder / "prism" if go else None
