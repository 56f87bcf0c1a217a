"""Folders that appear whole: written beside their place, moved there in one step, removed where a run was killed."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_SUFFIX = ".part"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new folder, ``.<name>.<random>.part`` beside `path`, gone on leaving unless it was moved. Raises OSError.

    It is locked: the kernel frees the lock of a process that dies, however it dies, and so the next run knows which of
    these folders nobody writes in any more.
    """
    folder, lock = _new(path)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def mend(path: Path) -> None:
    """Remove the folders beside `path` that killed runs left; put back what one of them had taken from its place."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.????????{_SUFFIX}"):
        # An error: somebody writes there, or the file system knows no locks, or another run was faster.
        with contextlib.suppress(OSError):
            lock = _lock(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    older = _older(path)
    if older.exists() and path.exists():
        remove(older)
    elif older.exists():
        older.rename(path)


def publish(staging: Path, path: Path) -> None:
    """Move a finished folder into place; what was there is there until that moment, and is then removed."""
    if not path.exists():
        staging.rename(path)
    elif _exchanged(staging, path):
        remove(staging)
    else:  # two steps, and a run killed between them is mended by the next
        older = _older(path)
        if older.exists():
            remove(older)
        path.rename(older)
        staging.rename(path)
        remove(older)


def remove(path: Path) -> None:
    """A folder and what is in it; of a file or a link, itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _new(path: Path) -> tuple[Path, int | None]:
    """A folder and the open file that holds its lock, None where the file system knows none."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_SUFFIX, dir=path.parent))
        try:
            lock = _lock(folder)
        except (FileNotFoundError, BlockingIOError):
            continue  # until it was locked another run could take it for one that a killed run left
        except OSError:
            return folder, None
        if folder.exists():
            return folder, lock
        os.close(lock)


def _lock(folder: Path) -> int:
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _older(path: Path) -> Path:
    return path.parent / f".{path.name}.older"


def _exchanged(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and not rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
