"""What the docs say is so: generated parts are up to date, examples are specs, links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tfloom.feature_specs import FeatureSpec, discovery, json_schema, load_spec

ROOT = Path(__file__).parents[1]
PAGES = [path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]]


def test_generated_docs_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `make docs`: {done.stdout}{done.stderr}"


def test_what_the_model_sees_of_the_examples():
    """Every page's example by one job: `docs/examples.py` says what is wrong with one that does not run."""
    done = subprocess.run(
        [sys.executable, "docs/examples.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `make docs`: {done.stdout}{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", [p for p in PAGES if p == "docs/spec.md" or p.startswith("docs/columns/")])
def test_examples_are_specs(page):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        values = yaml.safe_load(block)
        FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "hashed", "buckets": 2}]} | values)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("path", [path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").glob("*.yaml")])
def test_examples_load(path):
    if path.endswith(("_train.yaml", "_tsm.yaml")):
        from tfloom.trainers.train_spec import load_train_spec

        load_train_spec(ROOT / path)
    else:
        load_spec(ROOT / path)


def test_the_schema_has_every_kind_and_no_loose_end():
    schema = json_schema()
    kinds = [item["$ref"].rpartition("/")[2] for item in schema["properties"]["columns"]["items"]["oneOf"]]
    assert kinds == list(discovery.names("tfloom.feature_specs.columns"))
    assert all(schema["$defs"][kind]["additionalProperties"] is False for kind in kinds)
    references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema)))
    assert references <= schema["$defs"].keys()


def test_the_workers_image_has_what_is_pinned():
    """Beam refuses workers of another version than that which submits the job."""
    image = (ROOT / "docs/dataflow/Dockerfile").read_text()
    (beam,) = re.findall(r"^apache-beam==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert re.findall(r"^FROM (.*)", image, re.MULTILINE)[-1] == f"apache/beam_python3.11_sdk:{beam}"
    copied = [name for line in re.findall(r"^COPY ([^-].*) \S+$", image, re.MULTILINE) for name in line.split()]
    assert "docs/dataflow/launcher.py" in copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    (step,) = yaml.safe_load((ROOT / "docs/dataflow/cloudbuild.yaml").read_text())["steps"]
    assert (ROOT / step["args"][step["args"].index("--file") + 1]).is_file()
