"""Specs and rows that hypothesis draws: what our columns and tf.feature_column must agree on."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

# What we do otherwise by design is left out here, by what an input may hold, and nowhere else:
# - docs/columns/numeric.md: `missing` fills NaN too, a default_value of tf.feature_column only what is absent. So a
#   numeric column with `missing` reads "filled" or "whole", which have no NaN.
# - docs/columns/identity.md: without a `default` tf hands on what lies outside, and its embedding fails. So such a
#   column reads "inside".
# - docs/columns/hashed.md: tf crosses no hash-bucket column, and has no salt. Neither is drawn.
# - docs/columns/weighted.md: of dense tensors tf drops '' and -1, and weights of 0, each by itself: what is left does
#   not belong together. So both are fed as sparse tensors, without the places that we drop; and no weight is NaN.
# - docs/columns/crossed.md: tf crosses '' and -1 of a dense tensor for want of a missing value. Raw parts of a cross
#   are fed as sparse tensors.
INPUTS = {
    "number": {"dtype": "float32"},
    "filled": {"dtype": "float32"},
    "vector": {"dtype": "float32", "multi_valued": True},
    "whole": {"dtype": "float32", "multi_valued": True},
    "count": {"dtype": "int64"},
    "codes": {"dtype": "int64", "multi_valued": True},
    "inside": {"dtype": "int64", "multi_valued": True},
    "word": {"dtype": "string"},
    "words": {"dtype": "string", "multi_valued": True},
}
INPUTS |= {
    f"{name}_weights": told | {"dtype": "float32"} for name, told in INPUTS.items() if told["dtype"] != "float32"
}
"""By name; what categorical columns read has weights beside it."""

WORDS = ["a", "b", "Ünïcödé", "日本語", "-1", " ", "a\n", "\0", "x" * 65, "ß" * 64, "🐘" * 40]
CODES = [0, 1, 2, 3, 7, -2, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
NUMBERS = [0.0, -0.0, 0.5, 1.0, -1.0, 10.0, 0.1, 2.0**24 + 2, 3.4e38, -3.4e38, float("inf"), float("-inf")]
INSIDE = 4
"""The least number of buckets of an identity column without a default."""
SIZE = 3
"""How many numbers a vector has, where there is one."""

_word = st.one_of(st.sampled_from(["", *WORDS]), st.text(max_size=4))
_code = st.one_of(st.sampled_from([-1, *CODES]), st.integers(-(2**63), 2**63 - 1))
# Nothing subnormal: TensorFlow's kernels take -1e-40 for 0.
_number = st.one_of(st.sampled_from(NUMBERS), st.floats(width=32, allow_nan=False, allow_subnormal=False))


def _vector(number: Any) -> Any:
    return st.one_of(st.just([]), st.lists(number, min_size=SIZE, max_size=SIZE))


# In steps of 1/8, so that the order in which they are summed up is nothing to the sum.
_weight = st.integers(-128, 128).map(lambda eighths: eighths / 8)


def _weighed(of: Any, **sizes: int) -> Any:
    """Lists of values, each with a weight."""
    return st.lists(st.tuples(of, _weight), **sizes)


def _apart(row: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A row in which values and their weights are inputs of their own."""
    weights = {name: values for name, values in row.items() if f"{name}_weights" in INPUTS}
    return row | {name: [value for value, _ in pairs] for name, pairs in weights.items()} | {
        f"{name}_weights": [weight for _, weight in pairs] for name, pairs in weights.items()
    }  # fmt: skip


rows = st.lists(
    st.fixed_dictionaries({
        "number": st.lists(st.one_of(_number, st.just(float("nan"))), max_size=1),
        "filled": st.lists(_number, max_size=1),
        "vector": _vector(st.one_of(_number, st.just(float("nan")))),
        "whole": _vector(_number),
        "count": _weighed(_code, min_size=1, max_size=1),
        "codes": _weighed(_code, max_size=4),
        "inside": _weighed(st.integers(-1, INSIDE - 1), max_size=4),
        "word": _weighed(_word, max_size=1),
        "words": _weighed(_word, max_size=4),
    }).map(_apart),
    min_size=1, max_size=5,
)  # fmt: skip
"""A batch: of each row the values of every input, as parsed rows have them."""

# -- columns, by kind: every field beside name and kind ---------------------------------------------------------------

_finite = st.floats(-1e6, 1e6, allow_subnormal=False)
_few = st.integers(1, 40)


@st.composite
def _numeric(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    source = draw(st.sampled_from(["number", "filled", "count", "vector", "whole"]))
    fields: dict[str, Any] = {"source": source}
    if source in ("vector", "whole"):
        fields["shape"] = draw(st.sampled_from([SIZE, [SIZE], [1, SIZE]]))
    if source in ("filled", "whole"):
        fields["missing"] = draw(_finite)
    if source == "whole" and draw(st.booleans()):
        fields["missing"] = draw(st.lists(_finite, min_size=SIZE, max_size=SIZE))
    if draw(st.booleans()):
        low, high = sorted(draw(st.lists(_finite, min_size=2, max_size=2, unique=True)))
        fields["clip"] = draw(st.sampled_from([[low, high], [low, None], [None, max(high, 0.0)]]))
        if fields["clip"][1] is None or fields["clip"][1] > -1:
            fields["log1p"] = draw(st.booleans())
    return fields


@st.composite
def _bucketized(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    boundary = st.one_of(st.sampled_from([b for b in NUMBERS if abs(b) < 1e38]), _finite)
    boundaries = draw(st.lists(boundary, min_size=1, max_size=6, unique=True))
    source = draw(st.sampled_from(["number", "filled", "count", "vector", "whole"]))
    shape = {"shape": SIZE} if source in ("vector", "whole") else {}
    return {"source": source, "boundaries": sorted(boundaries)} | shape


@st.composite
def _vocabulary(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    source = draw(st.sampled_from(["count", "codes", "word", "words"]))
    entry = st.sampled_from([-1, *CODES] if source in ("count", "codes") else ["", *WORDS])
    entries = draw(st.lists(entry, min_size=1, max_size=8, unique=True))
    return {"source": source, "vocabulary": entries, "oov_buckets": draw(st.integers(0, 5))}


@st.composite
def _hashed(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    return {"source": draw(st.sampled_from(["count", "codes", "word", "words"])), "buckets": draw(_buckets)}


@st.composite
def _identity(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    buckets = draw(st.integers(INSIDE, 40))
    if draw(st.booleans()):
        return {"source": "inside", "buckets": buckets}
    return {
        "source": draw(st.sampled_from(["count", "codes"])),
        "buckets": buckets,
        "default": draw(st.integers(0, buckets - 1)),
    }


@st.composite
def _crossed(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    raw = [{"input": name} for name, told in INPUTS.items() if told["dtype"] != "float32"]
    columns = [name for name, told in made.items() if told["kind"] in ("bucketized", "vocabulary", "identity")]
    inner = [name for name, told in made.items() if told["kind"] == "crossed" and len(told["of"]) == 2]
    parts = draw(st.lists(st.sampled_from(raw + columns), min_size=1, max_size=2))
    parts.append(draw(st.sampled_from(inner or columns)))
    fields = {"of": draw(st.permutations(parts)), "buckets": draw(_buckets)}
    if draw(st.booleans()):
        fields["hash_key"] = draw(st.integers(1, 2**63 - 1))
    return fields


@st.composite
def _weighted(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    of = [name for name in _narrow(made) if made[name]["kind"] in ("vocabulary", "hashed", "identity")]
    name = draw(st.sampled_from(of))
    return {"of": name, "weights": f"{made[name]['source']}_weights"}


@st.composite
def _indicator(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    weighted = [name for name, told in made.items() if told["kind"] == "weighted"]
    return {"of": draw(st.one_of(st.sampled_from(weighted), st.sampled_from(_narrow(made))))}


@st.composite
def _embedded(draw: Any, made: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "of": draw(st.sampled_from(_narrow(made))),
        "dimension": draw(st.integers(1, 5)),
        "combiner": draw(st.sampled_from(["sum", "mean", "sqrtn"])),
    }
    return fields | ({"max_norm": draw(st.floats(0.1, 4))} if draw(st.booleans()) else {})


@st.composite
def _sharing(draw: Any) -> dict[str, Any]:
    """Two hashed columns of one size, and an embedding of each by one table."""
    buckets = draw(_few)
    table = {
        "kind": "embedded", "dimension": draw(st.integers(1, 5)), "shared": "table",
        "combiner": draw(st.sampled_from(["sum", "mean", "sqrtn"])), "max_norm": draw(st.floats(0.1, 4)),
    }  # fmt: skip
    made: dict[str, Any] = {}
    for i in range(2):
        source = draw(st.sampled_from(["count", "codes", "word", "words"]))
        made[f"twin_{i}"] = {"kind": "hashed", "source": source, "buckets": buckets}
        made[f"sharing_{i}"] = {"of": f"twin_{i}"} | table
    return made


_buckets = st.one_of(_few, st.just(2**31 - 1))


def _narrow(made: dict[str, Any]) -> list[str]:
    """The categorical columns of which a dense row can be made, but for weighted ones."""
    others = ("numeric", "weighted", "indicator", "embedded")
    return [name for name, told in made.items() if told["kind"] not in others and told.get("buckets", 1) <= 40]


_KINDS = [
    (_numeric, 3), (_bucketized, 3), (_vocabulary, 4), (_hashed, 3), (_identity, 3), (_crossed, 4), (_weighted, 3),
    (_indicator, 4), (_embedded, 4),
]  # fmt: skip


@st.composite
def columns(draw: Any) -> list[dict[str, Any]]:
    """The columns of a spec over INPUTS, some of every kind."""
    made: dict[str, Any] = {}
    for kind, count in _KINDS:
        word = kind.__name__.removeprefix("_")
        drawn: dict[str, Any] = {}
        for i in range(count):
            # No column is made of those of its own kind, but for crosses.
            drawn[f"{word}_{i}"] = {"kind": word} | draw(kind(made | drawn if word == "crossed" else made))
        made |= drawn
    made |= draw(_sharing())
    return [{"name": name} | fields for name, fields in made.items()]


def examples(strategy: Any, count: int) -> list[Any]:
    """The first of the examples that hypothesis draws, the same in every run."""
    found: list[Any] = []

    @seed(0)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None)
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    assert len(found) == count
    return found
