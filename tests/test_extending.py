"""A new kind of column is its file, its test and its page, as docs/extending.md shows them, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOWN = (ROOT / "docs/extending.md").read_text()
NAMES = (
    "tfloom/feature_specs/columns/clipped.py",
    "tests/feature_specs/columns/test_clipped.py",
    "docs/columns/clipped.md",
)
"""What the page names, in the order of the blocks of code that it shows."""


def shown():
    code = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)
    (page,) = re.findall(r"^ {4}# clipped\n(?:(?: {4}.*)?\n)+", SHOWN, re.MULTILINE)
    return [*code, textwrap.dedent(page).rstrip("\n") + "\n"]


@pytest.fixture
def repository(tmp_path):
    """A copy with the three files that the page shows."""
    for name in ("tfloom", "tests", "docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("data", "feature_specs", "pipeline", "trainers", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name, follow_symlinks=False)
    for name, text in zip(NAMES, shown(), strict=True):
        assert f"`{name}`" in SHOWN
        (tmp_path / name).write_text(text)
    return tmp_path


def run(repository, *command):
    done = subprocess.run(
        [sys.executable, *command], cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_kind_that_extending_shows(repository):
    # Nothing of the page itself is out of date, and `make docs` writes all else.
    assert run(repository, "docs/generate.py", "--check") == (
        1, "docs/spec.schema.json: out of date\ndocs/spec.md: out of date\n",
    )  # fmt: skip
    run(repository, "docs/generate.py")
    assert run(repository, "docs/generate.py", "--check") == (0, "")
    row = "| [clipped](columns/clipped.md) | a number between two bounds. | one value, float32 or int64 | Dense |\n"
    assert row in (repository / "docs/spec.md").read_text()

    code, told = run(repository, "-m", "pytest", "-p", "no:cacheprovider", NAMES[1], "tests/test_layout.py")
    assert code == 0, told
    for page in (repository / "docs/columns").glob("*.md"):  # the examples of the others have a test of their own
        if page.stem != "clipped":
            page.unlink()
    code, told = run(repository, "docs/examples.py", "--check")
    assert code == 0, told
