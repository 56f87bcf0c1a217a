"""Every way onto a machine, each into a fresh environment: wheel, sdist, editable, Beam's setup file."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the tree, as git would check it out: a build leaves its traces there and not in the working tree."""
    copy = tmp_path_factory.mktemp("packaging") / "tfloom"
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for file in filter(None, files):
        if (ROOT / file).exists():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, copy / file, follow_symlinks=False)
    return copy


@pytest.fixture
def dist(tmp_path):
    folder = tmp_path / "dist"
    folder.mkdir()
    return folder


def test_wheel(source, dist, tmp_path):
    run(sys.executable, "-m", "build", "--wheel", "--outdir", dist, source)
    (wheel,) = dist.iterdir()
    package = {path.relative_to(source).as_posix() for path in (source / "tfloom").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == package
    works(install(tmp_path / "venv", wheel), within=tmp_path / "venv")


def test_sdist(source, dist, tmp_path):
    # Beam's way with `--setup_file`, where the package build is installed.
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", dist, source)
    (sdist,) = dist.iterdir()
    works(install(tmp_path / "venv", sdist), within=tmp_path / "venv")


def test_setup_file(source, dist, tmp_path):
    # Beam's way with `--setup_file`, where it is not.
    run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", dist, cwd=source)
    (tarball,) = dist.glob("*.tar.gz")
    works(install(tmp_path / "venv", tarball), within=tmp_path / "venv")


def test_editable(source, tmp_path):
    works(install(tmp_path / "venv", "--editable", source), within=source)


def install(environment, *what):
    """Into a fresh environment, with its dependencies from the package index. Returns its folder of programs."""
    constraint = ("--constraint", ROOT / "requirements.lock")
    # uv, which `make` puts beside Python, takes a fraction of pip's time.
    uv = shutil.which("uv", path=Path(sys.executable).parent) or shutil.which("uv")
    venv.create(environment, with_pip=uv is None, symlinks=True)
    programs = environment / "bin"
    if uv:
        run(uv, "pip", "install", "--quiet", "--python", programs / "python", *constraint, *what)
    else:
        run(programs / "python", "-m", "pip", "install", "--quiet", *constraint, *what)
    return programs


def works(programs, within):
    """The console script and the import run, from a folder that is not the repository."""
    assert "preprocess" in run(programs / "tfloom", "--help", cwd=programs)
    where = run(programs / "python", "-c", "import tfloom.feature_specs as f; print(f.__file__)", cwd=programs)
    assert Path(where.strip()).is_relative_to(within)


def run(*command, cwd=None):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout
