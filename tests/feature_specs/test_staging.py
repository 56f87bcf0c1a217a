"""A folder appears whole or not at all, at whatever moment a process is killed; the next run leaves no trace of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfloom.feature_specs import staging
from tfloom.feature_specs.directories import whole_or_absent

KILLED_AT_EVERY_STEP = """
import itertools, json, os, signal, sys
from pathlib import Path
from tfloom.feature_specs import staging
from tfloom.feature_specs.directories import whole_or_absent

out, before, exchange = Path(sys.argv[1]), sys.argv[2] == "before", sys.argv[3] == "exchange"
if not exchange:
    staging._exchanged = lambda one, other: False

def write(text):
    with whole_or_absent(out, overwrite=True) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(text)

def killed_at(step):
    def hook(event, _):
        if event != "os.kill" and event.startswith(("os.", "shutil.", "open", "ctypes.dlsym")):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    left = step
    if (pid := os.fork()) == 0:
        sys.addaudithook(hook)
        write("new")
        os._exit(0)
    return os.waitpid(pid, 0)[1] == signal.SIGKILL

def held():
    return sorted({file.read_text() for file in out.iterdir()}), sorted(file.name for file in out.iterdir())

told = []
for step in itertools.count():
    write("old")
    if not before:
        staging.remove(out)
    killed = killed_at(step)
    there = held() if out.exists() else None
    left = len(list(out.parent.iterdir())) - out.exists()
    staging.mend(out)
    mended = held() if out.exists() else None
    write("newer")
    told.append({"there": there, "left": left, "mended": mended, "files": os.listdir(out.parent), "after": held()})
    if not killed:
        break
print(json.dumps(told))
"""
BOTH = ["a", "b"]


def killed_at_every_step(folder, before, exchange):
    arguments = [folder / "out", "before" if before else "", "exchange" if exchange else ""]
    program = [sys.executable, "-c", KILLED_AT_EVERY_STEP, *map(str, arguments)]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_killed_where_one_was_there(exchange, tmp_path):
    told = killed_at_every_step(tmp_path, before=True, exchange=exchange)
    assert len(told) > 10
    for one in told:
        assert one["mended"] in ([["old"], BOTH], [["new"], BOTH])
        assert one["there"] == one["mended"] or (one["there"] is None and not exchange)
        assert (one["files"], one["after"]) == (["out"], [["newer"], BOTH])
    assert {one["mended"][0][0] for one in told} == {"old", "new"}
    assert any(one["left"] for one in told)
    assert any(one["there"] is None for one in told) != exchange


def test_killed_where_none_was(tmp_path):
    told = killed_at_every_step(tmp_path, before=False, exchange=True)
    assert len(told) > 5
    for one in told:
        assert one["there"] == one["mended"]
        assert one["there"] in (None, [["new"], BOTH])
        assert (one["files"], one["after"]) == (["out"], [["newer"], BOTH])
    assert {one["there"] is None for one in told} == {True, False}


WRITING = """
import sys
from tfloom.feature_specs.directories import whole_or_absent
with whole_or_absent(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_live_run_is_left_alone_and_a_dead_one_removed(tmp_path):
    program = [sys.executable, "-c", WRITING, str(tmp_path / "out")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as live:
        folder = Path(live.stdout.readline().strip())
        with whole_or_absent(tmp_path / "out"):
            pass
        assert folder.is_dir()
        live.kill()
    assert folder.is_dir()
    with pytest.raises(ValueError, match="is there already"), whole_or_absent(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_with_a_like_name_is_not_of_us(tmp_path):
    others = [".out-cache", ".out.part", ".out.1.part", ".output.abcdefgh.part", "out.abcdefgh.part"]
    for name in others:
        (tmp_path / name).mkdir()
    with whole_or_absent(tmp_path / "out"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "out"])


def test_where_the_file_system_knows_no_locks_nothing_is_taken_for_dead(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(staging.fcntl, "flock", flock)
    (tmp_path / ".out.abcdefgh.part").mkdir()
    with whole_or_absent(tmp_path / "out"):
        pass
    assert sorted(os.listdir(tmp_path)) == [".out.abcdefgh.part", "out"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_over_a_file_and_over_a_link(exchange, tmp_path, monkeypatch):
    if not exchange:
        monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
    (tmp_path / "file").write_text("")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    for name in ("file", "link"):
        with whole_or_absent(tmp_path / name, overwrite=True) as folder:
            (folder / "a").write_text("")
    assert {path.name: path.is_dir() and not path.is_symlink() for path in tmp_path.iterdir()} == {
        "file": True, "link": True, "target": True
    }  # fmt: skip
    assert not list((tmp_path / "target").iterdir())
