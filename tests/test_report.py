"""The report: hand-made directories in, one page out."""

import collections
import html.parser
import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.reporting import write_report
from tfloom.reporting.page import number, tag
from tfloom.reporting.pictures import bars, figure, thumbnail

HOSTILE = "</svg><script>alert('$x$')</script>--><b>&amp;\x00"
ROWS = 40

SPEC = {
    "columns": [
        {"name": "age_z", "kind": "numeric", "source": "age", "scale": "z_score", "missing": "mean"},
        {"name": "age_told", "kind": "numeric", "source": "age", "missing": 40.0, "indicator": True},
        {"name": "age_steps", "kind": "piecewise_linear", "source": "age", "edges": [15, 30, 60], "missing": "mean"},
        {"name": "age_b", "kind": "bucketized", "source": "age", "boundaries": [30, 45, 60]},
        {"name": "age_q", "kind": "bucketized", "source": "age", "quantiles": 4},
        {"name": "city", "kind": "vocabulary", "oov_buckets": 1},
        {"name": "size", "kind": "vocabulary", "vocabulary": ["small", "large"]},
        {"name": "size_by", "kind": "weighted", "of": "size", "weights": "count"},
        {"name": "street", "kind": "hashed", "buckets": 64},
        {"name": "where", "kind": "crossed", "of": ["city", "street"], "buckets": 100},
        {"name": "city_vec", "kind": "embedded", "of": "city", "dimension": 4},
        {"name": "face", "kind": "image", "height": 8, "width": 8, "channels": 1},
    ],
    "inputs": {
        "age": {"dtype": "float32", "optional": True},
        "city": {"dtype": "string"},
        "size": {"dtype": "string", "multi_valued": True},
        "count": {"dtype": "float32", "multi_valued": True},
        "street": {"dtype": "string"},
        "face": {"dtype": "bytes"},
    },
    "labels": [{"name": "rich", "positive": ">50K", "negative": "<=50K"}],
}


def png(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 1), dtype=np.uint8)
    return tf.io.encode_png(pixels).numpy()


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def write_output(folder, fingerprint="f" * 64, spec=None):
    """A transform output as it lies on disk, of 40 rows."""
    write(folder / "feature_spec.json", FeatureSpec.model_validate(spec or SPEC).to_json())
    write(folder / "transform_fn/saved_model.pb", "")
    write(folder / "transform_fn/assets/city", f"Zürich\n{HOSTILE.replace(chr(0), '')}\n")
    write(folder / "report.json", {
        "rows": {"in": 1055, "out": 1040, "filtered": 5, "unlabelled": 7, "rejected": 3},
        "splits": {"train": ROWS, "eval": 0, "test": 0},
        "sources": [{"label": "people.csv", "path": f"/data/{HOSTILE}.csv"}],
        "reasons": {f"age: {HOSTILE!r} is no float32": 3},
        "num_buckets": {"age_b": 4, "age_q": 4, "city": 3, "size": 2, "size_by": 2, "street": 64, "where": 100},
        "fingerprint": fingerprint,
    })  # fmt: skip
    rng = np.random.default_rng(1)
    ages = [[float(a)] if a > 20 else [] for a in rng.integers(15, 90, ROWS)]
    sample = pa.table({
        "age": pa.array(ages, pa.list_(pa.float32())),
        "city": [[b"Z\xc3\xbcrich"] if i % 3 else [HOSTILE.encode()] for i in range(ROWS)],
        "size": [[b"small", b"large"][: i % 3] for i in range(ROWS)],
        "count": pa.array([[0.5, -2.0][: i % 3] for i in range(ROWS)], pa.list_(pa.float32())),
        "street": [[f"street {i}".encode()] for i in range(ROWS)],
        "face": [[png(i)] for i in range(ROWS)],
        "rich": [[int(i % 4 == 0)] for i in range(ROWS)],
        "__split__": ["train"] * ROWS,
    })  # fmt: skip
    (folder / "stats").mkdir(exist_ok=True)
    pq.write_table(sample, folder / "stats/sample.parquet")
    (folder / "examples").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "examples/train-00000-00000.tfrecord.gz"), "GZIP") as writer:
        for i in range(ROWS):
            ids = {"age_b": [i % 4], "age_q": [i % 3], "city": [i % 3], "size": [0, 1, -1][: i % 4],
                   "street": [i % 64], "where": [i % 9]}  # fmt: skip
            features = {name: tf.train.Feature(int64_list={"value": of}) for name, of in ids.items()}
            features["age_z"] = tf.train.Feature(float_list={"value": [i / 10 - 2]})
            features["age_told"] = tf.train.Feature(float_list={"value": [20 + i, float(i % 5 == 0)]})
            features["age_steps"] = tf.train.Feature(float_list={"value": [1, i / ROWS]})
            features["size_by"] = tf.train.Feature(float_list={"value": [0.5, -2, 3][: i % 4]})
            features["face"] = tf.train.Feature(bytes_list={"value": [png(i)]})
            writer.write(tf.train.Example(features={"feature": features}).SerializeToString())


CURVES = {
    "binary": {
        "roc": {"false_positive_rate": [0, 0.1, 1], "true_positive_rate": [0, 0.7, 1]},
        "calibration": {"predicted": [0.1, 0.5], "observed": [0.2, 0.5], "rows": [30, 10]},
    },
    "multiclass": {"confusion": [[9, 1, 0], [0, 7, 3], [0, 0, 0]]},
    "regression": {"residuals": {"edges": [-2, -1, 0, 1], "rows": [3, 9, 4]}},
    "of a head to come": {"density": [1, 2, 3]},
}


def write_model(folder, fingerprint="f" * 64, curves="binary"):
    write(folder / "feature_spec.json", FeatureSpec.model_validate(SPEC).to_json())
    write(folder / "train_spec.json", {"trainer": "keras", "note": HOSTILE})
    write(folder / "provenance.json", {"transformed": "../transformed", "fingerprint": fingerprint})
    epochs = [
        {"epoch": e, "step": 10 * e, "seconds": 1.5, "train": {"loss": 1 / e}, "eval": {"loss": 2 / e, "auc": 0.7}}
              for e in (1, 2, 3)]  # fmt: skip
    write(folder / "history.json", epochs)
    told = {"rows": 336776, "loss": 0.5, "auc": 0.72934, "f1": float("nan"), "curves": CURVES[curves]}
    write(folder / "metrics.json", {"eval": told, "test": told})


def write_export(folder, differing=0, fingerprint="f" * 64):
    version = folder / "2"
    write(folder / "1/saved_model.pb", "")
    write(version / "saved_model.pb", "")
    write(version / "feature_spec.json", FeatureSpec.model_validate(SPEC).to_json())
    signature = {"inputs": {"age": {"dtype": "float32", "shape": [None]}}, "outputs": {}}
    write(version / "model_card.json", {"task": "binary_classification", "tensorflow": "2.21.0", "tried": {},
                                        "fingerprint": fingerprint,
                                        "signatures": {"serving_default": signature}})  # fmt: skip
    compared = {"compared": 4000, "differing": differing, "first": [{"row": HOSTILE}] * bool(differing)}
    write(version / "verify.json", {"rows": 1001, "transformed": compared, "predictions": compared,
                                    "batch_sizes": [1, 7, 1000, 1001], "url": None})  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "demo"
    write_output(folder / "transformed")
    write_model(folder / "model")
    write_export(folder / "export")
    return folder


@pytest.fixture(scope="module")
def page(demo):
    return write_report(demo, demo.parent / "out/report.html").read_text()


class Page(html.parser.HTMLParser):
    """What a browser would make of it: text, elements, and whether every element ends."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "img"):
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_the_page_is_whole_and_says_what_its_pictures_show(page):
    seen = Page(page)
    pictures = [attributes for name, attributes in seen.elements if name in ("img", "svg")]
    assert {name for name, _ in seen.elements} >= {"svg", "img", "table", "nav", "main", "h1", "h2", "h3"}
    for attributes in pictures:
        assert attributes.get("alt") or (attributes["role"] == "img" and attributes["aria-label"])
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes.get("scope") for name, attributes in seen.elements if name == "th")
    assert ("html", {"lang": "en"}) in seen.elements


def test_the_page_needs_nothing_else(page):
    seen = Page(page)
    links = [
        value for _, attributes in seen.elements for key, value in attributes.items() if key.endswith(("src", "href"))
    ]
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert not {name for name, _ in seen.elements} & {"script", "link", "iframe"}
    assert "url(http" not in page
    assert "@import" not in page


def test_text_of_the_data_is_text(page):
    assert "<script" not in page
    assert "\x00" not in page
    assert HOSTILE.replace("\x00", "\ufffd") in Page(page).text  # in the path of a source


def test_what_the_page_tells(page):
    text = Page(page).text
    for told in (
        "tfloom: demo", "Learns rich (binary classification) from 6 inputs in 12 columns.",
        "1,055 rows in", "7 rows unlabelled", "3 rows rejected", "40 train split", "is no float32 3",
        "3 epochs, 30 steps, 4 seconds", "eval 336,776 0.5 0.7293 not a number",
        "✓ What is served is what was trained.", "transformed 4,000 0", "f" * 64, "this transform output",
        "model card: tensorflow 2.21.0", "serving_default age float32 [?]",
    ):  # fmt: skip
        assert told in text


def test_what_the_page_tells_of_columns(page):
    text = Page(page).text
    for told in (
        "float32, missing in", "age_b: bucketized", "for example < 30 (0), 30 to 45 (1), 45 to 60 (2), ≥ 60 (3)",
        "boundaries are those of the sample", "city: vocabulary", "embedded as city_vec", "out of vocabulary (2)",
        "string, any number of values a row", "small (0)·large (1)·out of vocabulary",
        "street: 40 of 64 ids in the 40 rows looked at", "of city × street",
        "with a number more, whether it was missing: 20.0% were; for example 20, 21, 22, 23, 24",
        "of size × count", "size_by: weights of the ids of size; for example none, small (0) x 0.5, small (0) x 0.5"
        "·large (1) x -2, small (0) x 0.5·large (1) x -2·out of v…, none",
        "age_steps: piecewise_linear, the mean of each number", "for example 1·0, 1·0.025",
    ):  # fmt: skip
        assert told in text
    assert "Rows by bucket of age_b, boundaries 30, 45, 60" in page
    assert "Distribution of age_told, transformed: from 20 to 59, median 39.5" in page
    assert "Means of the 2 numbers of age_steps: 1, 0.488" in page
    assert "Distribution of size_by, transformed: from -2 to 3, median 0.5" in page
    assert page.count('alt="face, picture 1"') == 2  # raw and transformed


def test_the_same_page_again(demo, page, tmp_path):
    assert write_report(demo, tmp_path / "again.html").read_text() == page


@pytest.mark.parametrize(
    ("curves", "alt"),
    [
        ("binary", "ROC of test: at a false positive rate of 0.1 the true positive rate is 0.7"),
        ("binary", "Calibration of eval: prediction and observation differ by 0.075 on average"),
        ("multiclass", "Confusion of test: 80.0% of the rows on the diagonal"),
        ("regression", "Residuals of eval: 16 rows from -2 to 1"),
        ("of a head to come", "loss by epoch: train from 1 to 0.3333; eval from 2 to 0.6667"),
    ],
)
def test_curves(tmp_path, curves, alt):
    write_model(tmp_path / "model", curves=curves)
    assert f'aria-label="{alt}"' in write_report(tmp_path, tmp_path / "report.html").read_text()


def test_a_difference_is_told(tmp_path):
    write_export(tmp_path, differing=3)
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    assert "✗ What is served differs from what was trained." in text
    assert "The first that differ" in text


@pytest.mark.parametrize(
    ("parts", "lacking"),
    [
        ([write_output], ["history", "metrics", "verify result"]),
        ([write_model], ["transform output", "verify result"]),
        ([write_export], ["transform output", "history", "metrics"]),
    ],
)
def test_what_is_not_there_is_told(tmp_path, parts, lacking):
    for write_part in parts:
        write_part(tmp_path)
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    told = re.findall(r"There is no (?:model with )?(?:a )?(.*?) here", text)
    assert set(told) == set(lacking)


def test_boundaries_of_each_key_are_not_those_of_the_sample(tmp_path):
    columns = [c | ({"per_key": "city"} if c["name"] == "age_q" else {}) for c in SPEC["columns"]]
    write_output(tmp_path, spec=SPEC | {"columns": columns})
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    assert "age_q: bucketized" in text
    assert "boundaries are those of the sample" not in text


def test_a_transform_output_without_rows_and_sample(tmp_path):
    write_output(tmp_path)
    shutil.rmtree(tmp_path / "stats")
    shutil.rmtree(tmp_path / "examples")
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    assert "No sample of it is at hand." in text
    assert "No row of the training split is at hand." in text


def test_of_several_transform_outputs_the_one_the_model_learned_from(tmp_path):
    write_output(tmp_path / "a", "a" * 64)
    write_output(tmp_path / "b", "b" * 64)
    write_model(tmp_path / "model", "b" * 64)
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    assert "this transform output" in text
    assert "b" * 64 in text
    shutil.rmtree(tmp_path / "b")
    assert f"the transform output {'b' * 64}" in write_report(tmp_path, tmp_path / "report.html").read_text()


def test_of_several_models_the_one_that_was_exported(tmp_path):
    for name in ("a", "b"):
        write_output(tmp_path / f"transformed_{name}", name * 64)
        write_model(tmp_path / f"model_{name}", name * 64)
    write_export(tmp_path / "export", fingerprint="b" * 64)
    text = Page(write_report(tmp_path, tmp_path / "report.html").read_text()).text
    assert "this transform output" in text
    assert "b" * 64 in text
    assert "a" * 64 not in text


def test_nothing_to_report_on(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(ArtefactError, match=r"holds nothing to report on[^$]*received: other"):
        write_report(tmp_path, tmp_path / "report.html")
    with pytest.raises(ArtefactError, match="received: no such folder"):
        write_report(tmp_path / "gone", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_written_whole_leaves_the_one_before(demo, tmp_path, monkeypatch):
    out = tmp_path / "report.html"
    out.write_text("the one before")

    def full(path, text, encoding):
        path.write_bytes(text.encode(encoding)[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(ArtefactError, match=r"report\.html: cannot be written[^$]*received: No space left on device"):
        write_report(demo, out)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "the one before")]


def test_a_report_is_no_folder(demo, tmp_path):
    with pytest.raises(ArtefactError, match=r"cannot be written[^$]*received: Is a directory"):
        write_report(demo, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file(tmp_path):
    write_model(tmp_path)
    write(tmp_path / "metrics.json", "{")
    with pytest.raises(ArtefactError, match=r"metrics\.json: cannot be read"):
        write_report(tmp_path, tmp_path / "report.html")


def test_no_picture_of_a_broken_picture():
    assert thumbnail(b"\x89PNG\r\n", "broken") is None
    assert thumbnail(b"words", "none") is None
    assert thumbnail(png(1), 'a "face"').startswith('<img src="data:image/png;base64,')
    assert 'alt="a &quot;face&quot;"' in thumbnail(png(1), 'a "face"')


def test_elements_and_numbers():
    assert tag("p", "a < b", tag("b", "&"), None, class_="x") == '<p class="x">a &lt; b<b>&amp;</b></p>'
    assert [number(n) for n in (336776, 0.72934, 12345.6, float("nan"), "1", True)] == [
        "336,776", "0.7293", "12,346", "not a number", "1", True,
    ]  # fmt: skip


def test_a_picture_has_the_colours_of_the_page():
    svg = figure("shares", lambda axes: bars(axes, ["a", HOSTILE], [0.7, 0.3], "#010104"))
    assert "var(--accent)" in svg
    assert "#01010" not in svg
    Page(svg)


# -- in a browser ---------------------------------------------------------------------------------------------------

_LOOK = """<script>
const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const contrast = text => { const [a, b] = [light(getComputedStyle(text).fill),
  light(getComputedStyle(text.closest(".card")).backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05); };
const seen = { imgs: [...document.images].map(i => i.naturalWidth),
  svgs: [...document.querySelectorAll("svg")].map(s => Math.min(s.getBBox().width, s.getBoundingClientRect().width)),
  contrasts: [...document.querySelectorAll("svg text")].map(contrast),
  overflow: document.documentElement.scrollWidth - innerWidth };
document.body.innerHTML = `<pre id="seen">${JSON.stringify(seen)}</pre>`;
</script>"""


def browse(page, folder, *options):
    """Open a page in headless Chromium: (the DOM, the console's lines, the URLs asked of the network)."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "this test needs Chromium: apt-get install chromium"
    folder.mkdir()
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}", "--virtual-time-budget=5000", "--dump-dom", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    log = json.loads((folder / "net.json").read_text())
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in log["events"] if event["type"] == start and "url" in event.get("params", {})]
    # What the browser asks for by itself has no page that initiated it.
    urls = [one["url"] for one in asked if one.get("initiator") != "not an origin"]
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line], urls


@pytest.mark.slow
def test_in_a_browser(page, tmp_path):
    whole = tmp_path / "report.html"
    whole.write_text(page)
    _, console, urls = browse(whole, tmp_path / "whole")
    assert console == []
    assert urls == []

    looking = tmp_path / "looking.html"
    looking.write_text(
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</body>", f"{_LOOK}</body>")
    )
    for scheme in ("0", "1"):  # dark, light
        dom, console, _ = browse(looking, tmp_path / scheme, f"--blink-settings=preferredColorScheme={scheme}")
        seen = json.loads(re.search(r'<pre id="seen">(.*?)</pre>', dom).group(1))
        assert console == []
        assert len(seen["imgs"]) == 12
        assert min(seen["imgs"]) > 0
        assert len(seen["svgs"]) > 10
        assert min(seen["svgs"]) > 0
        assert min(seen["contrasts"]) > 4.5  # WCAG AA
        assert seen["overflow"] <= 0


@pytest.mark.slow
def test_the_browser_would_tell(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<img src='http://example.test/a.png' alt='a'><script>console.error('oh'); throw Error('no')</script>"
    )
    _, console, urls = browse(page, tmp_path / "bad")
    assert collections.Counter(urls) == {"http://example.test/a.png": 1}
    assert any("oh" in line for line in console)
    assert any("Error: no" in line for line in console)
