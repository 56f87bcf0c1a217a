"""Pictures inline: matplotlib's SVG in the colours of the page, light or dark, and thumbnails as data URIs."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfloom.reporting.page import Html, escaped, tag

# Colours to draw with, each a variable of the page's style; what matplotlib writes for them is replaced by it.
INK, FAINT, LINE, ACCENT, SECOND = COLOURS = ("#010101", "#010102", "#010103", "#010104", "#010105")
_VARIABLES = dict(zip(COLOURS, ("ink", "faint", "line", "accent", "second"), strict=True))

_STYLE = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": LINE, "axes.labelcolor": FAINT, "text.color": INK,
    "xtick.color": LINE, "ytick.color": LINE, "xtick.labelcolor": FAINT, "ytick.labelcolor": FAINT,
    "xtick.major.size": 2, "ytick.major.size": 2, "axes.facecolor": "none", "figure.facecolor": "none",
    "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.6, "axes.axisbelow": True,
}  # fmt: skip

# Inches, for half a card and for a whole one: a point is then about a pixel of text on the page.
SMALL = (1.75, 1.3)
LARGE = (3.6, 2.7)

BARS = 6
"""So many bars fit into a small picture."""

_MAGIC = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"BM": "bmp"}


def figure(
    alt: str, draw: Callable[[Axes], None], caption: str | None = None, size: tuple[float, float] = SMALL
) -> Html:
    """A picture of what `draw` puts on the axes. alt: what it shows, for those who do not see it."""
    # The ids within an SVG are hashes with this salt: the same in every run, others in every picture.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": alt}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that matplotlib's font lacks: the browser has its own
        canvas = FigureCanvasSVG(Figure(figsize=size))
        axes = canvas.figure.add_axes((0.06, 0.18, 0.86, 0.8) if size == SMALL else (0.17, 0.17, 0.8, 0.78))
        draw(axes)
        text = io.StringIO()
        canvas.print_svg(text, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return tag("figure", _inline(text.getvalue(), alt), caption and tag("figcaption", caption))


def histogram(axes: Axes, values: np.ndarray, colour: str, bins: int = 30) -> None:
    """How numbers are distributed. values: finite, one at least."""
    rows, edges = np.histogram(values, bins=bins)
    axes.stairs(rows, edges, fill=True, color=colour)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    few_ticks(axes)


def bars(axes: Axes, names: Sequence[str], shares: Sequence[float], colour: str) -> None:
    """Shares of a whole, from the top, each with its name on it."""
    places = np.arange(len(names))[::-1]
    axes.barh(places, shares, height=0.86, color=colour, alpha=0.35)
    for place, name, share in zip(places, names, shares, strict=True):
        axes.text(0, place, f" {shortened(name)}", va="center")
        axes.text(
            max(shares),
            place,
            f"{share:.0%}" if share >= 0.01 else f"{share:.1%}",
            va="center",
            ha="right",
            color=FAINT,
        )
    # Always as many places, so that bars are as high in every picture.
    axes.set_ylim(len(names) - BARS - 0.5, len(names) - 0.5)
    axes.set_xlim(0, max(shares))
    axes.axis("off")
    axes.set_position((0, 0.02, 1, 0.96))


def few_ticks(axes: Axes) -> None:
    """Three or four round numbers along x, written short."""
    axes.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")


def shortened(text: str, length: int = 20) -> str:
    """A text that fits into a picture."""
    text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def thumbnail(picture: bytes, alt: str, pixels: int = 128) -> Html | None:
    """An encoded picture as an <img>, made small; None where it is no picture."""
    from PIL import Image  # matplotlib brings it

    if not picture.startswith(tuple(_MAGIC)):
        return None
    try:
        with Image.open(io.BytesIO(picture)) as image:
            image.thumbnail((pixels, pixels))
            png = io.BytesIO()
            image.convert("RGBA").save(png, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    uri = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    return Html(f'<img src="{uri}" alt="{escaped(alt)}">')


def _inline(svg: str, alt: str) -> Html:
    """matplotlib's SVG as a part of the page: with its colours, a name, and no ids that other pictures have too."""
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda found: found.group() if found.group(1) in used else "", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    inner = svg[svg.index(">") + 1 :]
    return Html(f'<svg role="img" aria-label="{escaped(alt)}" {box and box.group()}>{inner.strip()}')
