"""One self-contained HTML file about a transform output, a model and an export: `tfloom report`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import ExportDirectory, ModelDirectory, TransformOutput, fetched, whole_file
from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.reporting.page import Html, details, page, section, table, tag

Directory = TypeVar("Directory", TransformOutput, ModelDirectory, ExportDirectory)


def write_report(folder: Path, out: Path) -> Path:
    """Write a page about what lies in `folder` or right under it, as one file that needs no network and no script.

    Raises:
      ArtefactError: where there is no transform output, no model and no export, one of their files is broken, or no
        file can be written at `out`; then what was there before is there still.
    """
    folder = fetched(folder)
    written = _page(folder.resolve().name, _Found.within(folder))
    with whole_file(out) as part:
        part.write_text(written, encoding="utf-8")
    return storage.local(out)


@dataclass(frozen=True)
class _Found:
    """What there is to tell of."""

    output: TransformOutput | None
    model: ModelDirectory | None
    export: ExportDirectory | None

    @classmethod
    def within(cls, folder: Path) -> _Found:
        children = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []
        places = [folder, *children]
        # Of several models the one that was exported, of several transform outputs the one it learned from.
        export = next(iter(_opened(places, ExportDirectory.open)), None)
        made_from = export.model_card.get("fingerprint") if export else None
        models = _opened(places, ModelDirectory.open)
        model = min(models, key=lambda one: one.read("provenance.json")["fingerprint"] != made_from, default=None)
        made_from = model.read("provenance.json")["fingerprint"] if model else made_from
        outputs = _opened(places, TransformOutput.open)
        output = min(outputs, key=lambda one: one.fingerprint != made_from, default=None)
        if not any((output, model, export)):
            held = ", ".join(p.name for p in children[:8]) or ("no folders" if folder.is_dir() else "no such folder")
            raise ArtefactError(f"{folder}: holds nothing to report on",
                                expected="a transform output, a model or an export, here or one folder down",
                                received=held)  # fmt: skip
        return cls(output, model, export)

    @property
    def spec(self) -> FeatureSpec:
        """The spec of the first there is."""
        return next(one.spec for one in (self.output, self.model, self.export) if one)


def _opened(places: list[Path], open_: Callable[[Path], Directory]) -> list[Directory]:
    found = []
    for place in places:
        with contextlib.suppress(ArtefactError):
            found.append(open_(place))
    return found


def _page(name: str, found: _Found) -> Html:
    label = ", ".join(f"{one.name} ({one.task.replace('_', ' ')})" for one in found.spec.labels) or "no label"
    lead = tag("p", f"Learns {label} from {len(found.spec.input_names)} inputs in {len(found.spec.columns)} columns.")
    parts = {
        "Rows": _rows(found), "Columns": _columns(found), "Training": _training(found), "Metrics": _metrics(found),
        "Verify": _verify(found), "Provenance": _provenance(found),
    }  # fmt: skip
    return page(f"tfloom: {name}", lead, [(title, section(title, body)) for title, body in parts.items()])


def _lacking(what: str, command: str) -> Html:
    return tag("p", f"There is no {what} here; `{command}` makes it.", class_="faint")


def _rows(found: _Found) -> Html:
    if found.output is None:
        return _lacking("transform output", "tfloom preprocess")
    told = found.output.report
    tiles = [(f"rows {name}", count) for name, count in told["rows"].items()]
    tiles += [(f"{name} split", count) for name, count in told["splits"].items()]
    shown = [tag("div", tag("b", f"{count:,}"), name, class_="tile") for name, count in tiles]
    reasons = told.get("reasons") or {}
    why: Html = tag("p", "No row was rejected.", class_="faint")
    if reasons:
        why = table(["why rows were rejected", "rows"], reasons.items(), "Reasons, the most frequent first")
    return tag("div", tag("div", *shown, class_="tiles"), why)


def _columns(found: _Found) -> Html:
    from tfloom.reporting.columns import Columns

    if found.output is None:
        return _lacking("transform output", "tfloom preprocess")
    return tag("div", *Columns(found.output).cards(), class_="cards")


def _training(found: _Found) -> Html:
    from tfloom.reporting.curves import history

    epochs = _read(found.model, "history.json")
    return history(epochs) if epochs is not None else _lacking("model with a history", "tfloom train")


def _metrics(found: _Found) -> Html:
    from tfloom.reporting.curves import metrics

    by_split = _read(found.model, "metrics.json")
    if by_split is None:
        return _lacking("model with metrics", "tfloom train")
    classes = [one.class_names for one in found.spec.labels] or [()]
    return metrics(by_split, classes[0])


def _verify(found: _Found) -> Html:
    told = _read(found.export, "verify.json")
    if told is None:
        return _lacking("verify result", "tfloom verify")
    same = not any(told[part]["differing"] for part in ("transformed", "predictions"))
    rows = [[part, told[part]["compared"], told[part]["differing"]] for part in ("transformed", "predictions")]
    verdict = "✓ What is served is what was trained." if same else "✗ What is served differs from what was trained."
    sizes = ", ".join(str(size) for size in told.get("batch_sizes", ()))
    how = f"{told['rows']:,} rows, at batch sizes {sizes}" + (f", sent to {told['url']}" if told.get("url") else "")
    parts = [
        tag("p", verdict, class_="good" if same else "bad"),
        tag("p", how),
        table(["values", "compared", "differing"], rows, "The export against the transform output and the trainer"),
    ]
    if not same:
        parts.append(details("The first that differ", _json({part: told[part].get("first") for part, *_ in rows})))
    return tag("div", *parts)


def _provenance(found: _Found) -> Html:
    parts = [table(["what", "value"], _facts(found), "Where this comes from")]
    signatures = (_read(found.export, "model_card.json") or {}).get("signatures")
    if signatures:
        rows = [(name, _tensors(one["inputs"]), _tensors(one["outputs"])) for name, one in signatures.items()]
        parts.append(table(["signature", "inputs", "outputs"], rows, "Signatures of the export"))
    parts.append(details("The spec", found.spec.to_yaml()))
    if (train_spec := _read(found.model or found.export, "train_spec.json")) is not None:
        parts.append(details("The train spec", _json(train_spec)))
    return tag("div", *parts)


def _facts(found: _Found) -> Iterator[tuple[str, str]]:
    if found.output is not None:
        yield "transform output", f"{found.output.path}"
        yield "its fingerprint", found.output.fingerprint
        for source in found.output.report.get("sources", ()):
            yield f"source {source['label']}", source["path"]
    if found.model is not None:
        learned = found.model.read("provenance.json")["fingerprint"]
        yield "model", f"{found.model.path}"
        here = found.output is not None and learned == found.output.fingerprint
        yield "it learned from", "this transform output" if here else f"the transform output {learned}"
    if found.export is not None:
        yield "export", f"{found.export.path}"
        for name, value in (_read(found.export, "model_card.json") or {}).items():
            if name != "signatures" and value not in (None, {}, []):
                yield f"model card: {name}", value if isinstance(value, str) else json.dumps(value)


def _tensors(told: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {one['dtype']} [{', '.join('?' if size is None else str(size) for size in one['shape'] or ())}]"
        for name, one in told.items()
    )


def _read(directory: ModelDirectory | ExportDirectory | None, name: str) -> Any:
    """A JSON file of a directory, None where either is absent."""
    path = directory.path / name if directory else None
    if path is None or not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ArtefactError(f"{path}: cannot be read", expected="a JSON file", received=str(error)) from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)
