"""Write what the model sees of the example on each column kind's page, from a real run of the transform.

python docs/examples.py          write what is out of date
python docs/examples.py --check  write nothing, name what is out of date and exit 1

An example stands between `<!-- example: begin KIND -->` and `<!-- example: end -->`: its columns in backquotes, the one
that is shown last, and a table of raw rows, whose last cells are written here. A head of the table is the name of an
input, or `raw` where one column reads one input. A cell is text, as CSV has it, `null`, or a list `[a, b]`; `''` is the
empty text and `{b64: ...}` bytes, in a list too. A backquoted `{...}` without a kind is a label. What is trained stands
at 0.25, 0.5, 0.75 and so on.

One job materialises the examples of all pages, for tf.Transform takes many seconds for each. So an example has at most
ROWS rows, of which all are training rows: its last one fills them up, which a column that learns from them counts. No
two examples have an input or a column of one name, but for those with `raw`, whose column is called by its kind.
"""

from __future__ import annotations

import base64
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.directories import TransformOutput

PAGES = Path(__file__).parent / "columns"
BLOCK = re.compile(r"^(<!-- example: begin (\w+) -->\n)(.*?)^(<!-- example: end -->)", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
SPLIT = "split of the example"
ROWS = 8


class BadExampleError(Exception):
    """An example that cannot be run."""


@dataclass(frozen=True)
class Example:
    """columns, labels: as a spec has them. heads: columns of the data. raw: the cells of each row, as written."""

    page: Path
    kind: str
    columns: list[dict[str, Any]]
    labels: list[dict[str, Any]]
    heads: list[str]
    raw: list[list[str]]

    @property
    def rows(self) -> dict[str, pa.Array]:
        """ROWS raw values by input."""
        filled = self.raw + self.raw[-1:] * (ROWS - len(self.raw))
        return {name: pa.array([value(row[i]) for row in filled]) for i, name in enumerate(self.heads)}

    def table(self, seen: list[str]) -> str:
        """The table with what the model sees of each row."""
        heads = ["raw"] if self.heads == [self.kind] else self.heads
        lines = [[*heads, "the model sees"], ["---"] * (len(heads) + 1)]
        lines += [[*row, one] for row, one in zip(self.raw, seen, strict=False)]
        return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main(check: bool) -> int:
    """The exit status."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PAGES.glob("*.md"))}
    examples = [read(path, match) for path, text in texts.items() for match in BLOCK.finditer(text)]
    with tempfile.TemporaryDirectory() as scratch:
        seen = run(examples, Path(scratch))
    tables = {example.kind: example.table(seen[example.kind]) for example in examples}
    stale = False
    for path, text in texts.items():
        written = BLOCK.sub(lambda found: found[1] + TABLE.sub(lambda _: tables[found[2]], found[3]) + found[4], text)
        if written != text:
            stale = True
            print(f"docs/columns/{path.name}: {'out of date' if check else 'written'}")
            if not check:
                path.write_text(written, encoding="utf-8")
    return 1 if check and stale else 0


def read(page: Path, match: re.Match[str]) -> Example:
    """The example between two marks."""
    kind, body = match[2], match[3]
    tables = TABLE.findall(body)
    written = [yaml.safe_load(text) for text in re.findall(r"`(\{.*?\})`", body)]
    columns, labels = [one for one in written if "kind" in one], [one for one in written if "kind" not in one]
    if len(tables) != 1 or not columns or columns[-1]["kind"] != kind or page.stem != kind:
        raise BadExampleError(f"{page}: needs `{{name: ..., kind: {kind}, ...}}` last among its columns, and one table")
    heads, _, *rows = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in tables[0].splitlines())
    if not 1 <= len(rows) <= ROWS or any(len(row) != len(heads) for row in rows):
        raise BadExampleError(f"{page}: its example needs 1 to {ROWS} rows of {len(heads)} cells, it has {len(rows)}")
    if heads[0] == "raw":
        columns = [columns[-1] | {"name": kind, **({"source": kind} if "source" in columns[-1] else {})}]
        heads[0] = kind
    return Example(page, kind, columns, labels, heads[:-1], [row[:-1] for row in rows])


def value(cell: str) -> Any:
    """What a cell of the table stands for."""
    if cell.startswith("{b64: "):
        return base64.b64decode(yaml.safe_load(cell)["b64"])
    if cell.startswith("[{b64: "):
        return [base64.b64decode(one["b64"]) for one in yaml.safe_load(cell)]
    return yaml.safe_load(cell) if cell == "null" or cell[:1] in ("[", "'") else cell


def run(examples: list[Example], folder: Path) -> dict[str, list[str]]:
    """By kind, what the model sees of each row."""
    from tfloom.pipeline.preprocess import preprocess

    table: dict[str, Any] = {SPLIT: ["train"] * ROWS}
    for example in examples:
        if taken := table.keys() & example.rows.keys():
            raise BadExampleError(f"{example.page}: another example has an input {min(taken)!r} too")
        table |= example.rows
    spec = FeatureSpec.model_validate({
        "columns": [column for example in examples for column in example.columns],
        "labels": [label for example in examples for label in example.labels],
        "split": {"by": "column", "source": SPLIT},
    })  # fmt: skip
    output = preprocess(spec, {None: pa.table(table)}, folder / "transformed", max_rejected=0)
    return features(output, {example.kind: example.columns[-1]["name"] for example in examples})


def features(output: TransformOutput, names: Mapping[str, str]) -> dict[str, list[str]]:
    """By kind, the typed feature of the column of this name, in words, row by row."""
    import tensorflow as tf

    from tfloom.feature_specs.encoded import Encoded
    from tfloom.trainers.inputs import dense, examples_spec

    spec = output.spec
    records = list(tf.data.TFRecordDataset(output.examples("train"), "GZIP"))
    made = tf.io.parse_example(records, examples_spec(spec.materialised))
    variables = {
        column.name: {name: counted(one.shape) for name, one in column.variables(output.num_buckets).items()}
        for column in spec.columns
    }
    values = {name: dense(value) for name, value in made.items()}
    batch = Encoded(spec.by_name, values, variables, output.num_buckets)
    return {kind: [words(batch.feature(name), row) for row in range(ROWS)] for kind, name in names.items()}


def counted(shape: tuple[int, ...]) -> Any:
    """0.25, 0.5, 0.75, ... in a tensor of this shape."""
    import tensorflow as tf

    return tf.reshape(tf.range(1, tf.reduce_prod(shape) + 1, dtype=tf.float32) / 4, shape)


def words(feature: Any, row: int) -> str:
    """A row of a typed feature."""
    from tfloom.feature_specs.features import Categorical, Dense, Sequence

    match feature:
        case Dense(values):
            return numbers(values[row])
        case Categorical(ids, _, None):
            return ", ".join(str(i) for i in ids[row].numpy() if i >= 0) or "none"
        case Categorical(ids, _, weights):
            pairs = zip(ids[row].numpy(), weights[row].numpy(), strict=True)
            return ", ".join(f"{i} x {weight:g}" for i, weight in pairs if i >= 0) or "none"
        case Sequence(values, mask):
            steps = [f"[{numbers(step)}]" for step, there in zip(values[row], mask[row], strict=True) if there]
            return " ".join(steps) or "none"
        case _:
            return f"{list(feature.values.shape[1:])}: {numbers(feature.values[row])}"


def numbers(values: Any) -> str:
    """The numbers of a tensor, one after the other; what sine makes of pi is 0."""
    return ", ".join(f"{round(float(number), 6) + 0.0:g}" for number in values.numpy().reshape(-1))


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
