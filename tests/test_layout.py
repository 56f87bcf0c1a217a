"""One thing, one file: each has its page, and what is missing is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from tfloom.feature_specs import discovery

ROOT = Path(__file__).parents[1]


def test_every_column_kind_has_a_page():
    kinds = discovery.names("tfloom.feature_specs.columns")
    nothing_lacks("docs/columns/{}.md", kinds)
    nothing_lacks("tests/feature_specs/columns/test_{}.py", kinds)


def test_every_column_page_has_its_generated_parts():
    kinds = discovery.names("tfloom.feature_specs.columns")
    lacks = {
        kind: parts
        for kind in kinds
        if (page := ROOT / f"docs/columns/{kind}.md").is_file()
        and (parts := [part for part in ("about", "example", "fields") if not has(page.read_text(), part, kind)])
    }
    assert not lacks, "; ".join(f"docs/columns/{kind}.md lacks {', '.join(parts)}" for kind, parts in lacks.items())


def has(text, part, kind):
    return f"<!-- {part}: begin {kind} -->\n" in text and f"<!-- {part}: end -->\n" in text


def test_every_head_has_a_page_and_a_test():
    heads = discovery.names("tfloom.trainers.heads")
    nothing_lacks("docs/heads/{}.md", heads)
    nothing_lacks("tests/trainers/heads/test_{}.py", heads)


def test_every_command_is_in_the_reference_and_has_a_test():
    commands = discovery.names("tfloom.cli")
    reference = (ROOT / "docs/cli.md").read_text().splitlines()
    missing = [name for name in commands if f"## tfloom {name.replace('_', '-')}" not in reference]
    assert not missing, f"docs/cli.md lacks {', '.join(missing)}"
    nothing_lacks("tests/cli/test_{}.py", commands)


def nothing_lacks(pattern, names):
    assert names
    missing = [path for path in map(pattern.format, names) if not (ROOT / path).is_file()]
    assert not missing, f"missing: {', '.join(missing)}"


@pytest.mark.parametrize(
    "program",
    [
        "import tfloom",
        "import tfloom; tfloom.load_spec('examples/flights.yaml')",
        "import tfloom.cli",
        "from tfloom.cli.list import command; command('columns')",
    ],
    ids=["import", "load_spec", "cli", "list"],
)
def test_nothing_heavy_where_it_is_not_needed(program):
    program += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    heavy = {"pandas", "tensorflow", "tensorflow_transform", "tfx_bsl", "apache_beam", "keras", "tf_keras"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_rooms_are_links_into_the_package():
    rooms = {room: (ROOT / room).readlink().as_posix() for room in ("data", "feature_specs", "pipeline", "trainers")}
    assert rooms == {room: f"tfloom/{room}" for room in rooms}


def test_no_file_is_named_after_nothing():
    nothing = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    files = [
        path for part in ("tfloom", "tests", "docs", "examples", "benchmarks") for path in (ROOT / part).rglob("*")
    ]
    assert [str(path.relative_to(ROOT)) for path in files if path.stem.strip("_") in nothing] == []
