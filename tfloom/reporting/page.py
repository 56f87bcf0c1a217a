"""HTML that cannot be broken by the data in it: text is escaped where it is put in, unless it is Html."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

# Nothing is fetched and nothing runs, whatever the data says; the browser is told to see to it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c2430; --faint: #5b6675; --line: #d5dae1;
  --accent: #2563b0; --second: #b4530a; --good: #18703a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c; --card: #1b2129; --ink: #e6e9ee; --faint: #a0abba;
  --line: #38414d; --accent: #7ab2f5; --second: #f0a35e; --good: #6fd08f; --bad: #ff9b93; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main, header { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
main { padding-bottom: 4rem; }
h1 { font-size: 2rem; margin: 2.5rem 0 0; letter-spacing: -.02em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p, dl, ul { margin: .25rem 0 .75rem; } a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: 1.25rem; }
.faint, figcaption { color: var(--faint); font-size: .875rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.tile { background: var(--card); border-radius: .5rem; padding: .6rem 1rem; min-width: 7rem; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.card { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; min-width: 0; }
.card p { font-size: .875rem; margin: .15rem 0; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; align-items: end; margin: .5rem 0; }
figure { margin: 0; min-width: 0; } figure svg { display: block; width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: system-ui, sans-serif !important; }
.pictures { display: flex; flex-wrap: wrap; gap: .35rem; }
.pictures img { height: 64px; max-width: 128px; object-fit: contain; image-rendering: pixelated; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: .9rem; }
caption { text-align: left; color: var(--faint); padding-bottom: .25rem; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { overflow-wrap: break-word; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
pre { background: var(--card); border-radius: .5rem; padding: 1rem; overflow: auto; font-size: .8rem; }
summary { cursor: pointer; color: var(--accent); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
@media print { .card { break-inside: avoid; } nav { display: none; } }
"""


class Html(str):
    """Text that is HTML already."""


def tag(name: str, *children: Any, **attributes: str) -> Html:
    """An element; None among the children is nothing, other text is escaped, `class_` stands for class."""
    written = "".join(f' {key.strip("_").replace("_", "-")}="{escaped(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[Any]) -> Html:
    """The children one after the other, escaped where they are not Html."""
    return Html("".join(escaped(child) for child in children if child is not None))


def escaped(text: Any) -> Html:
    """The text as HTML, control characters made visible."""
    if isinstance(text, Html):
        return text
    return Html(html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))))


def section(title: str, *children: Any) -> Html:
    """A part of the page, named so that the table of contents can point at it."""
    return tag("section", tag("h2", title), *children, id=anchor(title))


def anchor(title: str) -> str:
    """The id of the section of this title."""
    return title.lower().replace(" ", "-")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str) -> Html:
    """A table whose first column names its rows; numbers stand right."""
    rows = list(rows)
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", number(cell), **_aligned(cell)) for cell in row[1:]))
        for row in rows
    ]
    aligned = [{}, *(_aligned(cell) for cell in rows[0][1:])] if rows else [{} for _ in head]
    names = [tag("th", name, scope="col", **how) for name, how in zip(head, aligned, strict=True)]
    return tag("div", tag("table", tag("caption", caption), tag("thead", tag("tr", *names)), tag("tbody", *body)),
               class_="scroll")  # fmt: skip


def number(value: Any) -> Any:
    """A number as people read it, 336,776 or 0.7293; what is none as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if value != value:
        return "not a number"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def details(summary: str, text: str) -> Html:
    """Text that is folded away until it is asked for."""
    return tag("details", tag("summary", summary), tag("pre", text))


def page(title: str, lead: Any, sections: Sequence[tuple[str, Html]]) -> Html:
    """The whole file. sections: (title, section)."""
    contents = tag("nav", *(tag("a", name, href=f"#{anchor(name)}") for name, _ in sections), aria_label="Contents")
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Html(_STYLE)),
    )
    body = tag("body", tag("header", tag("h1", title), lead, contents), tag("main", *(s for _, s in sections)))
    return Html(f"<!doctype html>\n{tag('html', head, body, lang='en')}\n")


def _aligned(cell: Any) -> dict[str, str]:
    return {"class_": "number"} if isinstance(cell, int | float) and not isinstance(cell, bool) else {}
