"""Each test of a contract that asks for `name` runs for every column of it."""

import fcntl
import os
import re
from pathlib import Path

import pytest
import yaml

from tests.feature_specs.columns.contract import ColumnContract
from tests.feature_specs.columns.contracts import contracts
from tests.feature_specs.columns.materialised import Materialised, materialise
from tfloom.feature_specs.spec import FeatureSpec

DOCS = Path(__file__).parents[3] / "docs/columns"


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames and issubclass(metafunc.cls or object, ColumnContract):
        metafunc.parametrize("name", metafunc.cls.columns)


@pytest.fixture(scope="session")
def materialised(request, tmp_path_factory) -> Materialised:
    """Every column of the contracts that are tested, by one job, whichever worker of pytest-xdist comes first."""
    items = request.session.items
    tested = dict.fromkeys(cls for item in items if issubclass(cls := item.cls or object, ColumnContract))
    if any("every_contract" in getattr(item, "fixturenames", ()) for item in items):
        tested |= dict.fromkeys(contracts())
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "columns.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return materialise(tested, folder / "columns")


@pytest.fixture(scope="session")
def every_contract(materialised) -> Materialised:
    """The same, of every contract there is, whatever else is tested."""
    return materialised


@pytest.fixture
def page():
    """(kind) -> the spec, the raw values and what the model sees of each, by the first example of the kind's page."""

    def read(kind):
        text = (DOCS / f"{kind}.md").read_text(encoding="utf-8")
        written, table = re.search(r"^With `(.*)`:\n\n\| raw .*\n.*\n((?:\|.*\n)+)", text, re.MULTILINE).groups()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        spec = FeatureSpec.model_validate({"columns": [yaml.safe_load(written)]})
        return spec, [None if raw == "null" else raw for raw, _ in rows], [told for _, told in rows]

    return read
