"""What training and evaluation left behind: loss and metrics by epoch, and the curves of each split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfloom.reporting.page import Html, number, table, tag
from tfloom.reporting.pictures import ACCENT, FAINT, INK, LARGE, SECOND, few_ticks, figure, shortened

# Half transparent, it is read on white and on black.
_CELL = (0.24, 0.5, 0.86)


def history(epochs: Sequence[Mapping[str, Any]]) -> Html:
    """A picture of each metric by epoch, of the training and the eval split."""
    names = dict.fromkeys(name for epoch in epochs for split in ("train", "eval") for name in epoch.get(split, {}))
    seconds = sum(epoch.get("seconds", 0) for epoch in epochs)
    told = f"{len(epochs)} epochs, {number(epochs[-1].get('step', 0))} steps, {seconds:,.0f} seconds" if epochs else ""
    pictures = [tag("div", _by_epoch(name, epochs), class_="card") for name in names]
    return tag("div", tag("p", told or "No epoch is finished yet."), tag("div", *pictures, class_="cards"))


def metrics(by_split: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> Html:
    """A table of the metrics of each split, and the pictures of its curves. classes: their names, for a confusion."""
    names = dict.fromkeys(name for split in by_split.values() for name in split if name != "curves")
    rows = [[split, *(values.get(name, "") for name in names)] for split, values in by_split.items()]
    pictures = [
        tag("div", draw(split, values, classes), class_="card")
        for split, told in by_split.items()
        for name, values in told.get("curves", {}).items()
        if (draw := _CURVES.get(name))
    ]
    return tag("div", table(["split", *names], rows, "Metrics by split"), tag("div", *pictures, class_="cards"))


def _by_epoch(name: str, epochs: Sequence[Mapping[str, Any]]) -> Html:
    lines = {}
    for split in ("train", "eval"):
        points = [(epoch["epoch"], epoch[split][name]) for epoch in epochs if name in epoch.get(split, {})]
        if points:
            lines[split] = np.asarray(points, np.float64).T

    def draw(axes: Axes) -> None:
        for split, (x, y) in lines.items():
            colour, dashes = (ACCENT, "-") if split == "eval" else (SECOND, "--")
            axes.plot(x, y, color=colour, linestyle=dashes, marker="o", markersize=3, label=split)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("epoch")
        axes.legend()

    told = "; ".join(f"{split} from {y[0]:.4g} to {y[-1]:.4g}" for split, (_, y) in lines.items())
    return figure(f"{name} by epoch: {told}", draw, name, LARGE)


def _roc(split: str, curve: Mapping[str, Sequence[float]], classes: Sequence[str]) -> Html:
    x, y = np.asarray(curve["false_positive_rate"]), np.asarray(curve["true_positive_rate"])

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
        axes.plot(x, y, color=ACCENT)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")

    at_tenth = float(np.interp(0.1, x, y)) if len(x) else 0.0
    alt = f"ROC of {split}: at a false positive rate of 0.1 the true positive rate is {at_tenth:.3g}"
    return figure(alt, draw, f"{split}: ROC", LARGE)


def _calibration(split: str, curve: Mapping[str, Sequence[float]], classes: Sequence[str]) -> Html:
    x, y, rows = (np.asarray(curve[name], np.float64) for name in ("predicted", "observed", "rows"))

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
        axes.plot(x, y, color=ACCENT, linewidth=0.8)
        axes.scatter(x, y, s=6 + 24 * rows / max(rows.max(initial=0), 1), color=ACCENT)
        axes.set_xlabel("mean prediction")
        axes.set_ylabel("share of positives")

    gap = float(np.sum(rows * np.abs(x - y)) / max(rows.sum(), 1))
    alt = f"Calibration of {split}: prediction and observation differ by {gap:.3g} on average"
    return figure(alt, draw, f"{split}: calibration, mean gap {gap:.3g}", LARGE)


def _confusion(split: str, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Html:
    rows = np.asarray(counts, np.float64)
    shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    names = [shortened(str(classes[i]) if i < len(classes) else str(i), 10) for i in range(len(rows))]

    def draw(axes: Axes) -> None:
        cells = np.empty((*shares.shape, 4))
        cells[..., :3], cells[..., 3] = _CELL, shares
        axes.imshow(cells, interpolation="nearest", aspect="auto")
        ticks = range(0, len(names), -(-len(names) // 20))
        axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(ticks, [names[i] for i in ticks])
        axes.set_xlabel("predicted")
        axes.set_ylabel("label")
        for i, j in np.ndindex(*rows.shape) if len(rows) <= 12 else ():
            axes.text(j, i, f"{rows[i, j]:.0f}", ha="center", va="center", fontsize=7, color=INK)

    right = float(np.trace(rows) / max(rows.sum(), 1))
    alt = f"Confusion of {split}: {right:.1%} of the rows on the diagonal"
    return figure(alt, draw, f"{split}: confusion, rows are labels", LARGE)


def _residuals(split: str, histogram: Mapping[str, Sequence[float]], classes: Sequence[str]) -> Html:
    edges, rows = np.asarray(histogram["edges"]), np.asarray(histogram["rows"])

    def draw(axes: Axes) -> None:
        axes.stairs(rows, edges, fill=True, color=ACCENT)
        axes.axvline(0, color=FAINT, linewidth=0.8, linestyle=":")
        axes.set_xlabel("prediction - label")
        axes.set_ylabel("rows")
        few_ticks(axes)

    alt = f"Residuals of {split}: {rows.sum():,.0f} rows from {edges[0]:.4g} to {edges[-1]:.4g}"
    return figure(alt, draw, f"{split}: residuals", LARGE)


def _average_precision(split: str, of_class: Mapping[str, float], classes: Sequence[str]) -> Html:
    best = sorted(of_class, key=of_class.__getitem__)[::-1]
    shown = [*best[:10], *best[max(10, len(best) - 10) :]][::-1]  # of many the best and the worst

    def draw(axes: Axes) -> None:
        axes.barh(range(len(shown)), [of_class[name] for name in shown], color=ACCENT)
        axes.set_yticks(range(len(shown)), [shortened(name, 14) for name in shown])
        axes.set_xlabel("average precision")

    told = f", best {best[0]}, worst {best[-1]}" if best else ""
    return figure(f"Average precision of {split} by class{told}", draw, f"{split}: average precision", LARGE)


_CURVES: dict[str, Callable[[str, Any, Sequence[str]], Html]] = {
    "roc": _roc, "calibration": _calibration, "confusion": _confusion, "residuals": _residuals,
    "average_precision": _average_precision,
}  # fmt: skip
