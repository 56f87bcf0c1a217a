"""The command that preprocesses, ended at any moment: by SIGKILL, which nobody can catch, and by Ctrl-C."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.pipeline.test_engines import files
from tfloom.feature_specs.directories import TransformOutput
from tfloom.pipeline.engines.local import in_order

SPEC = """\
columns:
- {name: town, kind: vocabulary, top_k: 500, oov_buckets: 2}
- {name: age, kind: numeric, scale: z_score, missing: median}
- {name: age_bin, kind: bucketized, source: age, quantiles: 10}
- {name: town_age, kind: crossed, of: [town, age_bin], collision_free: true}
labels:
- {name: rich, source: income, positive: high}
split: {by: hash, of: [id]}
"""
FILES, ROWS = 3, 17_000


def write_data(folder, seed=0):
    rng = random.Random(seed)
    for number in range(FILES):
        with open(folder / f"people-{number}.csv", "w") as file:
            file.write("id,town,age,income\n")
            for row in range(ROWS):
                town, age = int(rng.paretovariate(0.5)) % 3_000, f"{rng.gauss(40, 12):.1f}" if row % 50 else ""
                file.write(f"{number}-{row},t{town},{age},{rng.choice(['high', 'low'])}\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "tmp").mkdir()
    (folder / "data").mkdir()
    write_data(folder / "data")
    return folder


def begun(folder, out, *options):
    """The command, in a process group of its own."""
    program = "import sys, tfloom.cli; sys.argv[0] = 'tfloom'; tfloom.cli.main()"
    arguments = ["preprocess", "spec.yaml", "data/*.csv", "-o", str(out), "--memory-limit", "0.1MiB", *options]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=os.environ | {"TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finished(command):
    command.communicate()
    assert command.returncode == 0


def staging(out):
    return next(out.parent.glob(f".{out.name}.*.part"), None)


def temporary(folder):
    """What lies where temporary files go, but for TensorFlow's own, which it removes when it exits."""
    return [name for name in os.listdir(folder / "tmp") if not name.startswith("__autograph_generated_file")]


def wait_for(command, condition):
    """What `condition()` is once it is true."""
    while not (found := condition()):
        assert command.poll() is None, command.communicate()
        time.sleep(0.001)
    return found


def interrupt(command, with_):
    os.killpg(command.pid, with_)
    return command.communicate(timeout=60)


@pytest.mark.slow
def test_killed_at_30_moments(folder):
    """Nothing is half there at any moment, and the same command makes in the end what it would have made at once.

    Five kills in a row on each of six outputs, three of which were there before: four at moments drawn from as long as
    a run takes once it reads, learns, transforms; the fifth when it is about to publish.
    """
    out = folder / "undisturbed" / "out"
    out.parent.mkdir()
    command = begun(folder, out)
    of = wait_for(command, lambda: staging(out))
    wait_for(command, (of / "parsed").exists)
    began = time.perf_counter()
    wait_for(command, lambda: not of.exists())
    seconds = time.perf_counter() - began
    finished(command)
    new = files(TransformOutput.open(out))
    old = new | {"kept": b"of an earlier run"}

    rng, moments = random.Random(7), []
    for number in range(6):
        out = folder / f"disturbed-{number}" / "out"
        shutil.copytree(folder / "undisturbed", out.parent)
        options = ["--overwrite"] if number % 2 else []
        if options:
            (out / "kept").write_bytes(old["kept"])
        for kill in range(5):
            if not options:
                shutil.rmtree(out, ignore_errors=True)  # of the copy, or published in time
            left = staging(out)
            command = begun(folder, out, *options)
            of = wait_for(command, lambda out=out, left=left: (of := staging(out)) != left and of)
            if kill < 4:
                wait_for(command, lambda of=of: not of.exists() or (of / "parsed").exists())
                time.sleep(rng.uniform(0, seconds))
            else:
                wait_for(command, lambda of=of: not of.exists() or (of / "report.json").exists())
                time.sleep(rng.uniform(0, 0.004))
            interrupt(command, signal.SIGKILL)
            moments.append(tuple(sorted(str(path.relative_to(of)) for path in of.rglob("*") if path.suffix != ".run")))
            if options or out.exists():
                assert files(TransformOutput.open(out)) in ([old, new] if options else [new])
        if not options:
            shutil.rmtree(out, ignore_errors=True)
        finished(begun(folder, out, *options))
        assert files(TransformOutput.open(out)) == new
        assert os.listdir(out.parent) == ["out"]
    assert not temporary(folder)
    assert len(set(moments)) > 8, moments  # different things lay there


def test_interrupted(folder):
    out = folder / "interrupted" / "out"
    command = begun(folder, out)
    wait_for(command, lambda: list(out.parent.glob(".out.*.part/parsed/*.arrow")))
    began = time.perf_counter()
    assert interrupt(command, signal.SIGINT) == ("", "interrupted\n")
    assert time.perf_counter() - began < 20
    assert command.returncode == 130
    assert not os.listdir(out.parent)
    assert not temporary(folder)


def test_what_waits_is_not_begun():
    started = []

    def work(item):
        started.append(item)
        time.sleep(0.02)
        return item

    def interrupted():
        for item in in_order(work, range(1000), 2):
            if item == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    count = len(started)
    assert count <= 10
    time.sleep(0.1)
    assert len(started) == count
