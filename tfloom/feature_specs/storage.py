"""Paths, on this machine or in Google Cloud Storage: gs://bucket/folder/name.

Raw data is read where it lies. A folder of ours (transform output, model, export) is worked on in a copy under the
mirror, a temporary folder of this process that has a place for every object, gs://bucket/a/b at <mirror>/bucket/a/b: so
what holds between paths holds between their copies. `fetch` brings the copy up to date, `publish` the objects.

No function here raises anything but OSError.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import datetime
import fnmatch
import functools
import glob as local_glob
import io
import os
import re
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

One = TypeVar("One")

_URI = re.compile(r"gs:/{1,2}(?=[^/])")  # pathlib makes one slash of two

_MARKS = ("provenance.json", "report.json", "saved_model.pb")
"""The files by which a folder is known for what it is."""

_UNFINISHED = ".part"
"""A file that is in a folder as long as it is not."""

_AT_ONCE = 16
_RETRIED = datetime.timedelta(minutes=2)


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether it is in Google Cloud Storage, or the copy of what is."""
    return _key(path) is not None


def local(path: str | os.PathLike[str]) -> Path:
    """Where it is on this machine: the path itself, or where its copy is or would be."""
    key = _key(path)
    return Path(path) if key is None else _mirror() / key


def named(text: str | os.PathLike[str]) -> str:
    """A path, or a text with paths, as a person knows them: not by their copies."""
    text = _URI.sub("gs://", os.fspath(text), count=1) if _URI.match(os.fspath(text)) else os.fspath(text)
    return text.replace(f"{_mirror()}/", "gs://") if _mirror.cache_info().currsize else text


def relative(path: str | os.PathLike[str], start: str | os.PathLike[str]) -> str:
    """`path` as it is to be called within `start`: relative to it where both are here, or both are there."""
    if is_remote(path) != is_remote(start):
        return named(path) if is_remote(path) else str(Path(path).resolve())
    return os.path.relpath(local(path).resolve(), local(start).resolve())


def within(start: str | os.PathLike[str], path: str) -> Path:
    """What `relative` called so; a copy, of what is there."""
    return local(path) if is_remote(path) else Path(os.path.normpath(local(start) / path))


def absolute(folder: Path, path: str) -> str:
    """A path that starts at a folder where it is relative, as it is to be written anywhere else."""
    remote = is_remote(path) or is_remote(folder)
    return named(within(folder, path)) if remote else os.path.abspath(folder / path)


# -- raw data ---------------------------------------------------------------------------------------------------------


def glob(pattern: str) -> list[str]:
    """The paths that match, in order; the path itself, where there is nothing to match."""
    if not local_glob.has_magic(pattern):
        return [pattern]
    key = _object(pattern)
    if key is None:
        return sorted(local_glob.glob(pattern))
    parts = key.split("/")
    fixed = next(i for i, part in enumerate(parts) if local_glob.has_magic(part))
    folder = "/".join(parts[:fixed])
    found = (f"{folder}/{name}".split("/") for name in _listing(folder, recursive=fixed < len(parts) - 1))
    fits = (one for one in found if len(one) == len(parts) and all(map(fnmatch.fnmatchcase, one, parts)))
    return sorted("gs://" + "/".join(one) for one in fits)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether it is there, and no folder."""
    key = _object(path)
    return Path(path).is_file() if key is None else _info(key).is_file


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder, or anything whose name begins with its own."""
    key = _object(path)
    return Path(path).is_dir() if key is None else _info(key).type.name == "Directory"


def folders(path: str | os.PathLike[str]) -> list[str]:
    """The names of the folders in a folder."""
    key = _object(path)
    if key is None:
        return [one.name for one in Path(path).iterdir() if one.is_dir()] if Path(path).is_dir() else []
    # A folder is what names have in common; asked for those in a folder alone, pyarrow would not see it.
    return sorted({name.partition("/")[0] for name in _listing(key) if "/" in name})


def stat(path: str) -> tuple[int, int]:
    """(time of the last change in nanoseconds, bytes)"""
    key = _object(path)
    if key is None:
        told = os.stat(path)
        return told.st_mtime_ns, told.st_size
    info = _info(key)
    return info.mtime_ns or 0, info.size or 0


def opened(path: str, buffer: int = io.DEFAULT_BUFFER_SIZE) -> Any:
    """A file to read bytes from, from its beginning on. buffer: how many it reads at once, at least."""
    key = _object(path)
    return open(path, "rb", buffer) if key is None else io.BufferedReader(_service().open_input_file(key), buffer)


def read(path: str) -> bytes:
    """All of a file."""
    with opened(path) as file:
        content: bytes = file.read()
    return content


def arrow(path: str) -> tuple[str, Any]:
    """(path, file system) as pyarrow's readers take them."""
    key = _object(path)
    return (path, None) if key is None else (key, _service())


# -- our own folders --------------------------------------------------------------------------------------------------


def fetch(path: str | os.PathLike[str], but: tuple[str, ...] = ()) -> Path:
    """A file or a folder on this machine: itself, or its copy, brought up to date.

    but: folders in it, as `name/`, that are left alone.
    """
    key = _key(path)
    if key is None:
        return Path(path)
    target = _mirror() / key
    if (info := _info(key)).is_file:
        _download({"": (info.mtime_ns, info.size)}, key, target)
        return target
    left = lambda name: any(f"/{folder}" in f"/{name}" for folder in but)
    there = {name: told for name, told in _listing(key).items() if not left(name)}
    for file in [file for file in target.rglob("*") if file.is_file()]:
        name = file.relative_to(target).as_posix()
        if name not in there and not left(name):
            file.unlink()
    _download(there, key, target)
    return target


def fetch_files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose names match, in order, on this machine."""
    key = _key(folder)
    if key is None:
        return sorted(folder.glob(pattern))
    if local_glob.has_magic(pattern):
        there = {name: told for name, told in _listing(key).items() if fnmatch.fnmatchcase(name, pattern)}
    else:
        info = _info(f"{key}/{pattern}")
        there = {pattern: (info.mtime_ns, info.size)} if info.is_file else {}
    _download(there, key, folder)
    return [folder / name for name in sorted(there)]


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file in a folder, and of each object that others have written there."""
    here = {file.name: file.stat().st_size for file in folder.iterdir()} if folder.is_dir() else {}
    key = _key(folder)
    return here if key is None else here | {name: size for name, (_, size) in _listing(key).items()}


def gather(folder: Path, but: str) -> None:
    """Bring here what others have written into a folder, in place of their objects; those in `but` stay there."""
    key = _key(folder)
    if key is not None:
        written = {name: told for name, told in _listing(key).items() if not name.startswith(but)}
        _download(written, key, folder)
        _side_by_side(lambda name: _service().delete_file(f"{key}/{name}"), list(written))


def is_free(path: str | os.PathLike[str]) -> bool:
    """Whether nothing is there, or what a killed `publish` has left."""
    if _object(path) is None or not is_folder(path):
        return not (is_file(path) or is_folder(path))
    there = _listing(str(_object(path)))
    return _UNFINISHED in there and not there.keys() & set(_MARKS)


def publish(path: str | os.PathLike[str], beside: str | os.PathLike[str] | None = None) -> None:
    """Make the objects what the copy at `path` is; nothing, where `path` is no copy.

    A folder is what it is with its last object, one of _MARKS. Where there was another it is uploaded to `beside`
    first, and the other ceases to be one while objects are moved; so are those that others have written there.
    """
    key = _key(path)
    if key is None:
        return
    source, service = _mirror() / key, _service()
    if source.is_file():
        _upload(source, key)
        return
    if beside is None:
        beside = f"gs://{key}.part"
        remove(beside)
    part = _key(beside)
    files = [file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()]
    older, others = _listing(key), list(_listing(str(part)))
    via = part if older or others else key
    if via == part:
        _side_by_side(lambda name: _upload(source / name, f"{part}/{name}"), files)
        _side_by_side(lambda name: service.delete_file(f"{key}/{name}"), _last_marks(older)[::-1])
    service.open_output_stream(f"{key}/{_UNFINISHED}").close()
    if via == part:
        _side_by_side(lambda name: service.move(f"{part}/{name}", f"{key}/{name}"), _last_marks({*files, *others}))
    else:
        _side_by_side(lambda name: _upload(source / name, f"{key}/{name}"), _last_marks(files))
    service.delete_file(f"{key}/{_UNFINISHED}")
    for name, (changed, _) in _listing(key).items():
        if (source / name).is_file():
            os.utime(source / name, ns=(changed, changed))


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a folder, its copy too; nothing, where it is none."""
    key = _key(path)
    shutil.rmtree(local(path), ignore_errors=True)
    if key is not None:
        _side_by_side(lambda name: _service().delete_file(f"{key}/{name}"), _last_marks(_listing(key))[::-1])


def keep(folder: Path) -> None:
    """Put a folder in the making by, so that another process can go on with it: in one object, <folder>.tar."""
    key = _key(folder)
    if key is not None:
        with tempfile.NamedTemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                tar.add(folder, "")
            file.flush()
            _upload(Path(file.name), f"{key}.tar")


def resume(folder: Path) -> None:
    """The folder as `keep` last put it by, if it did."""
    key = _key(folder)
    if key is not None and not folder.exists() and _info(f"{key}.tar").is_file:
        with _reading(f"{key}.tar") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            tar.extractall(folder, filter="data")


def forget(folder: Path) -> None:
    """Remove what `keep` put by."""
    key = _key(folder)
    if key is not None and _info(f"{key}.tar").is_file:
        _service().delete_file(f"{key}.tar")


# -- objects ----------------------------------------------------------------------------------------------------------


def _object(path: str | os.PathLike[str]) -> str | None:
    """bucket/name of what is remote."""
    text = os.fspath(path)
    found = _URI.match(text)
    return os.path.normpath(text[found.end() :]) if found else None


def _key(path: str | os.PathLike[str]) -> str | None:
    """bucket/name of what is remote, or the copy of what is."""
    text = os.fspath(path)
    if (of_object := _object(text)) is not None:
        return of_object
    if _mirror.cache_info().currsize and text.startswith(f"{_mirror()}/"):
        return os.path.normpath(text[len(str(_mirror())) + 1 :])
    return None


@functools.cache
def _mirror() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tfloom-")).resolve()
    atexit.register(_gone, folder, os.getpid())
    return folder


def _gone(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a process that this one was forked into
        shutil.rmtree(folder, ignore_errors=True)


def _service() -> Any:
    return _connected(os.environ.get("STORAGE_EMULATOR_HOST"))


@functools.cache
def _connected(emulator: str | None) -> Any:
    from pyarrow.fs import GcsFileSystem

    if emulator is None:
        # Nobody may read what is public; asked for an access token, the service would try to make one for minutes.
        return GcsFileSystem(anonymous=not _signed_in(), retry_time_limit=_RETRIED)
    scheme, _, host = emulator.rpartition("://")
    return GcsFileSystem(anonymous=True, scheme=scheme or "http", endpoint_override=host, retry_time_limit=_RETRIED)


def _signed_in() -> bool:
    import google.auth

    try:
        google.auth.default()
    except google.auth.exceptions.DefaultCredentialsError:
        return False
    return True


def _info(key: str) -> Any:
    return _service().get_file_info(key)


def _listing(key: str, recursive: bool = True) -> dict[str, tuple[int, int]]:
    """By name within a folder (time of the last change in nanoseconds, bytes)."""
    from pyarrow.fs import FileSelector

    found = _service().get_file_info(FileSelector(key, recursive=recursive, allow_not_found=True))
    return {one.path.removeprefix(f"{key}/"): (one.mtime_ns, one.size) for one in found if one.is_file}


def _download(files: Mapping[str, tuple[int, int]], key: str, target: Path) -> None:
    def one(name: str) -> None:
        file, (changed, size) = target / name if name else target, files[name]
        if file.is_file() and (file.stat().st_mtime_ns, file.stat().st_size) == (changed, size):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{threading.get_ident()}.part")
        with _reading(f"{key}/{name}" if name else key) as stream, open(part, "wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 22)
        os.utime(part, ns=(changed, changed))
        part.replace(file)

    _side_by_side(one, list(files))


def _reading(key: str) -> Any:
    return _service().open_input_stream(key, compression=None)  # which pyarrow would else do by the name


def _upload(file: Path, key: str) -> None:
    with open(file, "rb") as content, _service().open_output_stream(key, compression=None) as stream:
        shutil.copyfileobj(content, stream, 1 << 22)


def _last_marks(names: Iterable[str]) -> list[str]:
    """The names, those of _MARKS at the end."""
    return sorted(names, key=lambda name: (name in _MARKS, name))


def _side_by_side(work: Callable[[str], None], names: list[str]) -> None:
    """Several at once; those of _MARKS, at either end, by themselves."""
    runs: list[list[str]] = []
    for name in names:
        if not runs or (name in _MARKS) != (runs[-1][0] in _MARKS):
            runs.append([])
        runs[-1].append(name)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for run in runs:
            list(pool.map(work, run))
