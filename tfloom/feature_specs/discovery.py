"""Find things by name: a kind, a head, a backbone or a command is a module of ours, or an installed package's.

Ours is registered by its file's name, another package's by an entry point that names its module.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType

from tfloom.feature_specs.errors import SpecError, nearest

ENTRY_POINTS = {
    "tfloom.feature_specs.columns": "tfloom.columns",
    "tfloom.trainers.heads": "tfloom.heads",
    "tfloom.trainers.backbones": "tfloom.backbones",
}
"""The entry point group by which installed packages add to a package of ours."""


@functools.cache
def places(package: str) -> Mapping[str, tuple[str, ...]]:
    """The modules by registered name, without importing them: one each, but where two packages chose the same name."""
    found: dict[str, tuple[str, ...]] = {}
    for one in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not one.name.startswith("_"):
            found[one.name] = (f"{package}.{one.name}",)
    if package in ENTRY_POINTS:
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS[package]):
            found[point.name] = (*found.get(point.name, ()), point.module)
    return dict(sorted(found.items()))


def names(package: str) -> tuple[str, ...]:
    """The registered names, sorted."""
    return tuple(places(package))


def module(package: str, name: str, what: str) -> ModuleType:
    """Import the module of this name; `what` says where the name was written, for the error."""
    found = places(package).get(name, ())
    if not found:
        raise SpecError(f"{what}: there is no {name!r}", expected=nearest(name, names(package)), received=repr(name))
    if len(found) > 1:
        raise SpecError(f"{what}: {name!r} is the name of several", expected=f"one module for {name!r}",
                        received=", ".join(found))  # fmt: skip
    if found[0].rpartition(".")[2] != name:  # the class names itself after its module, in specs and on disk
        raise TypeError(f"the entry point {name!r} must name a module {name!r}, it names {found[0]!r}")
    return importlib.import_module(found[0])


def the_class(package: str, name: str, parent: type, what: str) -> type:
    """The one public class of the module `name` that derives from `parent`."""
    found = module(package, name, what)
    classes = [
        value
        for value in vars(found).values()
        if inspect.isclass(value) and issubclass(value, parent) and value.__module__ == found.__name__
        and not value.__name__.startswith("_")
    ]  # fmt: skip
    if len(classes) != 1:
        raise TypeError(f"{found.__name__} must define exactly one {parent.__name__}, it defines {len(classes)}")
    return classes[0]
